"""The labels of one row where a text can have several: a list, a list written as text, or texts with a separator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ftkit.data.class_names import NotOneLabel, class_name, list_items
from ftkit.data.rows import Rows
from ftkit.data.rules import AUTO
from ftkit.errors import DataError
from ftkit.formatting import beginning

SEPARATORS = "|;,/+&"
"""Characters between several labels in one text."""


def labels_in(value: Any, separator: str) -> tuple[str, ...] | None:
    """The different labels of a row as class names, empty for an empty list; None where nothing is said of its labels.

    Raises: NotOneLabel for an object, for a list inside a list, and for a list of zeros and ones.
    """
    items = list_items(value)
    if items is None:
        if class_name(value) is None:
            return None
        items = (
            [part for part in value.split(separator) if part.strip()]
            if separator and isinstance(value, str)
            else [value]
        )
    elif not items:
        return ()
    names = dict.fromkeys(name for each in items if (name := class_name(each)) is not None)
    if len(items) > len(names) and {*names} <= {"0", "1"} and len(names) > 0 and len(items) > 1:
        raise NotOneLabel(f"a list of zeros and ones ({beginning(', '.join(map(str, items)), 60)})")
    return tuple(names) or (() if separator and isinstance(value, str) else None)


def separator_of(parts: Iterable[Rows], asked: str) -> str:
    """What separates labels in one text: as the recipe says, or by which most rows combine labels; empty where nothing does.

    Where rows have lists, a text is one label. Raises: DataError where two characters separate labels equally well.
    """
    if asked != AUTO:
        return asked
    rows_of: Counter[str] = Counter()
    where = ""
    for rows in parts:
        where = where or rows.source
        for value, number in Counter(label if isinstance(label, str) else type(label) for label in rows.labels).items():
            if not isinstance(value, str):
                if value in (list, tuple, set, frozenset) or value.__name__ == "ndarray":
                    return ""
            elif list_items(value) is not None:
                return ""
            elif name := class_name(value):
                rows_of[name] += number
    rows_by = {each: sum(rows_of[name] for name in combined(rows_of, rows_of, each)) for each in SEPARATORS}
    ranked = sorted((each for each in SEPARATORS if rows_by[each]), key=lambda each: -rows_by[each])
    if len(ranked) > 1 and 2 * rows_by[ranked[1]] >= rows_by[ranked[0]]:
        first, second = ranked[:2]
        raise DataError(
            f"the labels are separated by {first!r} in {rows_by[first]:,} rows and by {second!r} in {rows_by[second]:,}",
            where=where,
            hint=f'Say which it is, as in separator = "{first}".',
        )
    return ranked[0] if ranked else ""


def combined(names: Iterable[str], rows: Mapping[str, int], separator: str) -> dict[str, list[str]]:
    """The labels among `names` that combine others, with their parts: each part is a label itself, or part of several."""
    parts_of = {
        name: parts
        for name in names
        if separator in name and len(parts := [part.strip() for part in name.split(separator)]) > 1 and all(parts)
    }
    used = Counter(part for parts in parts_of.values() for part in {*parts})
    return {name: parts for name, parts in parts_of.items() if all(part in rows or used[part] > 1 for part in parts)}
