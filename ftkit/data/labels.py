"""Class names from labels of any type: the labels of all files are seen together before there are classes.

Labels that are surely the same class become one: `1`, `1.0` and "1"; `True` and `true`; texts that differ only in
composition, invisible characters or runs of white space. A class keeps its spelling where all rows write it in one way.
What is not sure, such as `billing` and `Billing`, stays apart, and `label_doubts` warns of it.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from ftkit.data.class_names import NotOneLabel, class_name, natural_order, same_class, shown_name
from ftkit.data.rows import Rows
from ftkit.data.rules import Rules
from ftkit.errors import DataError
from ftkit.formatting import count, listing

NO_LABEL = "no label"
UNLISTED = "label not listed"
WITHOUT = "label left out"
SEVERAL = "several labels"


@dataclass(frozen=True)
class Named:
    """The rows of all files with class names in place of labels."""

    classes: tuple[str, ...]
    """All classes in their order, those that the recipe lists and no row has included."""
    parts: Mapping[str, Rows]
    """The rows; the label of a row that is left out is None."""
    counts: Mapping[str, Counter[str]]
    """Rows of each part by class."""
    listed: frozenset[str]
    """The classes that the recipe names, which nobody has to doubt."""
    notes: tuple[str, ...]
    warnings: tuple[str, ...]

    def total(self) -> Counter[str]:
        """Rows of all parts by class."""
        return sum(self.counts.values(), Counter())


def name_classes(parts: Mapping[str, Rows], classes: Sequence[str], rules: Rules, dropped: Counter[str]) -> Named:
    """Name the class of every row; rows left out are added to `dropped`, by reason.

    Raises: DataError for rows of several labels, and for labels that are not listed.
    """
    listed = _Listed(classes, rules)
    spellings = {
        name: _Spellings(rows, several=listed.closed and rules.unlisted == "drop") for name, rows in parts.items()
    }
    rows_by_spelling = sum((each.counts for each in spellings.values()), Counter[str]())
    class_of = listed.classes_of(rows_by_spelling)
    left_out = {spelling for spelling, name in class_of.items() if listed.left_out(spelling, name)}
    named: dict[str, Rows] = {}
    counts: dict[str, Counter[str]] = {}
    for name, each in spellings.items():
        unlisted = Counter({spelling: rows for spelling, rows in each.counts.items() if class_of[spelling] is None})
        for spelling in left_out:
            unlisted.pop(spelling, None)
        if unlisted and rules.unlisted != "drop":
            raise _unlisted_error(unlisted, listed.names, parts[name])
        for reason, number in (
            (NO_LABEL, each.missing),
            (SEVERAL, each.several),
            (UNLISTED, unlisted.total()),
            (WITHOUT, sum(each.counts[spelling] for spelling in left_out)),
        ):
            dropped[reason] += number
        labels = [None if spelling is None or spelling in left_out else class_of[spelling] for spelling in each.by_row]
        named[name] = dataclasses.replace(parts[name], labels=labels)
        counts[name] = Counter(label for label in labels if label is not None)
    forms: dict[str, Counter[str]] = {}
    for each in spellings.values():
        for spelling, written in each.forms.items():
            label = class_of[spelling]
            if label is not None and spelling not in left_out and label not in listed.names:
                forms.setdefault(label, Counter()).update(written)
    present = {label for each in counts.values() for label in each}
    order = listed.order(present, {class_of[spelling] for spelling in left_out} - present)
    return Named(
        order,
        named,
        counts,
        frozenset(listed.names),
        _notes(forms),
        _unused(rules, {*rows_by_spelling, *filter(None, class_of.values())}),
    )


class _Spellings:
    """The labels of one part as class names, before it is known which of them are one class.

    Raises: DataError for rows of several labels, unless these may be left out.
    """

    def __init__(self, rows: Rows, *, several: bool) -> None:
        self.by_row: list[str | None] = []
        self.counts: Counter[str] = Counter()
        self.forms: dict[str, Counter[str]] = {}
        self.missing = self.several = 0
        known: dict[tuple[type, Any], str | None] = {}
        first = (0, "")
        for index, label in enumerate(rows.labels):
            spelling = None
            key = (type(label), label if isinstance(label, str | int | bytes) else str(label))
            try:
                spelling = known[key] if key in known else known.setdefault(key, class_name(label))
                self.missing += spelling is None
            except NotOneLabel as error:
                first = first if self.several else (index, str(error))
                self.several += 1
            self.by_row.append(spelling)
            if spelling is not None:
                self.counts[spelling] += 1
                self.forms.setdefault(spelling, Counter())[_written(label)] += 1
        if self.several and not several:
            raise _several_error(rows, self.several, *first)


class _Listed:
    """The labels and classes that the recipe lists, and which label is which of them."""

    def __init__(self, classes: Sequence[str], rules: Rules) -> None:
        self.classes = tuple(_name(each) for each in classes)
        self._labels = {_name(label): _name(name) for label, name in rules.labels.items()}
        self.names = [*dict.fromkeys((*self.classes, *self._labels.values()))]
        self.closed = bool(self.names) and rules.unlisted != "keep"
        self._without = {form for each in rules.without for form in (_name(each), same_class(_name(each)))}
        self._exact = dict(zip(self.names, self.names, strict=True)) | self._labels
        self._same: dict[str, str] = {}
        for label, name in self._exact.items():
            self._same.setdefault(same_class(label), name)

    def classes_of(self, spellings: Iterable[str]) -> dict[str, str | None]:
        """The class of each label; None for one that is not listed where only listed ones are classes."""
        classes: dict[str, str | None] = {}
        free: dict[str, list[str]] = {}
        for spelling in spellings:
            classes[spelling] = self._exact.get(spelling) or self._same.get(same_class(spelling))
            if classes[spelling] is None and not self.closed:
                free.setdefault(same_class(spelling), []).append(spelling)
        for form, same in free.items():
            classes |= dict.fromkeys(same, same[0] if len(same) == 1 else form)
        return classes

    def left_out(self, spelling: str, name: str | None) -> bool:
        """Whether the recipe leaves the label out."""
        return not self._without.isdisjoint((spelling, same_class(spelling), name))

    def order(self, present: Set[str], left_out: Set[str | None]) -> tuple[str, ...]:
        """The classes in the recipe's order, and those that it does not list after them, sorted."""
        names = self.names if self.closed else self.classes
        others = sorted(present - {*names}, key=natural_order)
        return tuple(name for name in (*names, *others) if name not in left_out and not self.left_out(name, name))


def _written(label: Any) -> str:
    """A label as its file writes it, for notes."""
    written = label.strip(" \t\r\n") if isinstance(label, str) else str(label)
    return written.lower() if isinstance(label, bool) else written


def _name(name: str) -> str:
    """A name of the recipe in the form of a class name."""
    try:
        return class_name(name) or ""
    except NotOneLabel:
        return " ".join(name.split())


def _notes(forms: Mapping[str, Counter[str]]) -> tuple[str, ...]:
    """What was taken for one class."""
    shown = [
        f"{shown_name(name)} is written " + " and ".join(f"{form!a} ({rows:,})" for form, rows in _ranked(written)[:4])
        for name, written in sorted(forms.items())
        if len(written) > 1
    ]
    if not shown:
        return ()
    return (f"Labels written in several ways were taken for one class: {listing(shown, 4)}.",)


def _ranked(counts: Counter[str]) -> list[tuple[str, int]]:
    """The most frequent first, in an order that depends on nothing else."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _unused(rules: Rules, present: Iterable[str]) -> tuple[str, ...]:
    """A warning of what the recipe maps or leaves out although no row has it: a mistake in writing, probably."""
    known = {*present} | {same_class(name) for name in present}
    warnings = []
    for option, names in (("labels", rules.labels), ("without", rules.without)):
        unused = [name for name in names if known.isdisjoint((_name(name), same_class(_name(name))))]
        if unused:
            warnings.append(f"{option} names {listing([shown_name(each) for each in unused], 5)}, which no row has.")
    return tuple(warnings)


def column(rows: Rows, line: int = 0) -> str:
    """Where labels were read: the source, with line and column if they are known."""
    place = f"{rows.source}:{line}" if line else rows.source
    return f"{place}, column {rows.label_column!r}" if rows.label_column else place


def _several_error(rows: Rows, number: int, index: int, value: str) -> DataError:
    line = rows.lines[index] if rows.lines else 0
    place = f"line {line:,}" if line else f"row {index + 1:,}"
    return DataError(
        f"the label of {place} is {value}; {number:,} of {len(rows.labels):,} labels are not one label. "
        "ftkit gives one label per text: multi-label data is not supported",
        where=column(rows, line),
        hint="Keep one label in each row: a list of one is taken as that label, "
        'and label = "label.name" reads a field of an object.',
    )


def _unlisted_error(unlisted: Counter[str], names: Sequence[str], rows: Rows) -> DataError:
    import difflib

    shown = listing([f"{shown_name(name)} ({number:,})" for name, number in _ranked(unlisted)[:5]], 5)
    more = f" and {len(unlisted) - 5:,} more" if len(unlisted) > 5 else ""
    near = difflib.get_close_matches(_ranked(unlisted)[0][0], names, 1)
    have = "has" if unlisted.total() == 1 else "have"
    return DataError(
        f"{count(unlisted.total(), 'row')} {have} a label that is none of the classes: {shown}{more}",
        where=column(rows),
        hint=(f"Did you mean {shown_name(near[0])}? " if near else "")
        + f"The classes are {listing([shown_name(each) for each in names], 10)}. "
        'Add it to labels or classes, leave such rows out by unlisted = "drop", or keep them by unlisted = "keep".',
    )
