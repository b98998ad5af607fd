"""Whether the labels are what the recipe's task says: one, several, or one of an order; if not, the word that fits."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ftkit.data.class_names import natural_order, same_class, shown_name
from ftkit.data.labels import NO_LABEL, Named, column, name_classes
from ftkit.data.rows import Rows
from ftkit.data.rules import Rules
from ftkit.errors import DataError
from ftkit.formatting import count, listing


def named_for(parts: Mapping[str, Rows], classes: Sequence[str], rules: Rules, dropped: Counter[str]) -> Named:
    """The rows with class names as labels, those of the task.

    Raises: DataError as `name_classes` does, where every row has one label and several were said, where an order misses a class or
    names one that no row has, and where the classes have no order and one was said.
    """
    if rules.task != "ordinal":
        missing = dropped[NO_LABEL]
        named = name_classes(parts, classes, rules, dropped)
        if rules.task != "multi-label":
            return named
        _check_several(named)
        if not (missing := dropped[NO_LABEL] - missing):
            return named
        have = "has no label and was" if missing == 1 else "have no label and were"
        warning = f"{count(missing, 'row')} {have} left out. Where no class fits a text, write an empty list: []."
        return replace(named, warnings=(*named.warnings, warning))
    order = rules.order or classes
    if not order:
        named = name_classes(parts, (), rules, dropped)
        _check_numbers(named)
        return named
    kept = replace(rules, unlisted="keep") if rules.unlisted == "fail" else rules
    named = name_classes(parts, order, kept, dropped)
    _check_order(named, order)
    return named


def _check_numbers(named: Named) -> None:
    if not numbers(named.classes):
        words = [name for name in named.classes if not numbers([name])]
        raise DataError(
            f"the classes have no order by themselves: {listing(map(shown_name, words), 5)} "
            f"{'is' if len(words) == 1 else 'are'} no number",
            _where(named),
            f"List them from the lowest to the highest: order = {_listed(named.classes)}.",
        )


def _check_order(named: Named, order: Sequence[str]) -> None:
    rows = named.total()
    known = {same_class(name) for name in order}
    missed = Counter({name: number for name, number in rows.items() if same_class(name) not in known})
    if missed:
        shown = [f"{shown_name(name)} ({count(number, 'row')})" for name, number in missed.most_common()]
        raise DataError(
            f"order misses the class{'es' * (len(missed) > 1)} {listing(shown, 5)}",
            _where(named),
            f"Add {'it' if len(missed) == 1 else 'them'} at the right place of order, "
            "or leave such rows out by without = [...].",
        )
    present = {same_class(name) for name in rows}
    if absent := [name for name in order if same_class(name) not in present]:
        raise DataError(
            f"order names {listing(map(shown_name, absent), 5)}, which no row has",
            _where(named),
            f"The labels are {listing(map(shown_name, sorted(rows, key=natural_order)), 10)}.",
        )


def labels_a_row(labels: Iterable[Sequence[int]]) -> str:
    """How many rows have no label, one, and more, in a sentence for the data report."""
    sizes = Counter(min(len(each), 4) for each in labels)
    shown = [f"{'4 or more' if size == 4 else size} in {count(sizes[size], 'row')}" for size in sorted(sizes)]
    return f"Labels of a row: {', '.join(shown)}."


def numbers(names: Iterable[str]) -> bool:
    """Whether all names are numbers, so that these are their order."""
    try:
        return all(float(name) == float(name) for name in names)
    except ValueError:
        return False


def _check_several(named: Named) -> None:
    if len(named.classes) == 1:
        (name,) = named.classes
        raise DataError(
            f"there is only one label: {shown_name(name)}",
            _where(named),
            f'Several labels need two at least. With task = "single-label", a column of zeros and ones is two classes: label = "{name}".',
        )
    labels = [label for part in named.parts.values() for label in part.labels if label is not None]
    if not labels or any(len(label) != 1 for label in labels):
        return
    proposal = 'Set task = "single-label"'
    if numbers(named.classes):
        proposal += ', or "ordinal" where the numbers are an order'
    raise DataError(
        f"every row has one label, {count(len(labels), 'row')} in all: this is no multi-label data",
        _where(named),
        f'{proposal}. If a character stands between several labels, give it, as in separator = "|".',
    )


def _where(named: Named) -> str:
    return ", ".join(dict.fromkeys(column(rows) for rows in named.parts.values()))


def _listed(names: Sequence[str]) -> str:
    return (
        f"[{', '.join(json.dumps(name, ensure_ascii=False) for name in names[:10])}{', …' if len(names) > 10 else ''}]"
    )
