"""Class names from labels of any type: the labels of all files are seen together before there are classes.

Labels that are surely the same class become one: `1`, `1.0` and "1"; `True` and `true`; texts that differ only in
composition, invisible characters or runs of white space. A class keeps its spelling where all rows write it in one way.
With the task `multi-label`, all of this is true of each label of a row.
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
from ftkit.data.several_labels import labels_in, separator_of
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
    """The rows; the label of a row that is left out is None. With several labels a text, each is a tuple of class names."""
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
    several_dropped = listed.closed and rules.unlisted == "drop"
    separator = separator_of(parts.values(), rules.separator) if rules.task == "multi-label" else None
    spellings = {name: _Spellings(rows, separator, several=several_dropped) for name, rows in parts.items()}
    rows_by_spelling = sum((each.counts for each in spellings.values()), Counter[str]())
    class_of = listed.classes_of(rows_by_spelling)
    left_out = {spelling for spelling, name in class_of.items() if listed.left_out(spelling, name)}
    kept: dict[str | None, str] = {
        spelling: name for spelling, name in class_of.items() if name is not None and spelling not in left_out
    }
    named: dict[str, Rows] = {}
    counts: dict[str, Counter[str]] = {}
    for part, each in spellings.items():
        unlisted = Counter({spelling: rows for spelling, rows in each.counts.items() if class_of[spelling] is None})
        for spelling in left_out:
            unlisted.pop(spelling, None)
        if unlisted and rules.unlisted != "drop":
            raise _unlisted_error(unlisted, listed.names, parts[part])
        dropped[NO_LABEL] += each.missing
        dropped[SEVERAL] += each.several
        labels: list[Any]
        if separator is None:
            dropped[UNLISTED] += unlisted.total()
            dropped[WITHOUT] += sum(each.counts[spelling] for spelling in left_out)
            labels = [kept.get(spelling) for spelling in each.by_row]
            counts[part] = Counter(label for label in labels if label is not None)
        else:
            labels = [_kept_of(row, kept) for row in each.by_row]
            for row, label in zip(each.by_row, labels, strict=True):
                if row is not None and label is None:
                    dropped[UNLISTED if left_out.isdisjoint(row) else WITHOUT] += 1
            counts[part] = Counter(name for label in labels for name in label or ())
        named[part] = dataclasses.replace(parts[part], labels=labels)
    return Named(
        listed.order({*kept.values()}, {name for spelling in left_out if (name := class_of[spelling])}),
        named,
        counts,
        frozenset(listed.names),
        (
            *_notes(sum((each.forms for each in spellings.values()), Counter()), kept, listed.names),
            *([f"The labels of a row are separated by {separator!r}."] if separator else []),
        ),
        _unused(rules, {*class_of, *filter(None, class_of.values())}),
    )


class _Spellings:
    """The labels of one part as class names, before it is known which of them are one class.

    Raises: DataError for rows of several labels, unless these may be left out.
    """

    def __init__(self, rows: Rows, separator: str | None, *, several: bool) -> None:
        # A label is looked at once, however many rows have it. Python takes 1, 1.0 and True for equal: a key has the type.
        keys = [label if isinstance(label, str) else (type(label), str(label)) for label in rows.labels]
        known: dict[Any, Any] = {}
        faults: dict[Any, str] = {}
        self.forms: Counter[tuple[str, str]] = Counter()
        label_of, rows_of = dict(zip(keys, rows.labels, strict=True)), Counter(keys)
        for key, label in label_of.items():
            try:
                known[key] = class_name(label) if separator is None else labels_in(label, separator)
            except NotOneLabel as error:
                known[key], faults[key] = None, str(error)
                continue
            if known[key] is not None and separator is None:
                self.forms[known[key], _written(label)] += rows_of[key]
        self.by_row = [known[key] for key in keys]
        """Of each row its label, or a tuple of its labels; None where it has none."""
        rows_with = Counter(label for label in self.by_row if label is not None)
        self.counts = rows_with if separator is None else _each_label(rows_with)
        self.several = sum(rows_of[key] for key in faults)
        self.missing = len(keys) - rows_with.total() - self.several
        if faults and not (several and separator is None):
            index = next(index for index, key in enumerate(keys) if key in faults)
            raise _several_error(rows, self.several, index, faults[keys[index]], separator)


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

    def order(self, present: Set[str], left_out: Set[str]) -> tuple[str, ...]:
        """The classes in the recipe's order, and those that it does not list after them, sorted."""
        names = self.names if self.closed else self.classes
        others = sorted(present - {*names}, key=natural_order)
        return tuple(
            name for name in (*names, *others) if name in present or not (name in left_out or self.left_out(name, name))
        )


def _each_label(rows_with: Counter[tuple[str, ...]]) -> Counter[str]:
    """Rows of each label, by the rows of each combination of labels."""
    counts: Counter[str] = Counter()
    for labels, number in rows_with.items():
        for label in labels:
            counts[label] += number
    return counts


def _kept_of(labels: tuple[str, ...] | None, kept: Mapping[str | None, str]) -> tuple[str, ...] | None:
    """The classes of a row that are not left out, sorted; None where all of its labels are."""
    if not labels:
        return labels
    return tuple(sorted({kept[label] for label in labels if label in kept})) or None


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


def _notes(
    forms: Counter[tuple[str, str]], class_of: Mapping[str | None, str], listed: Sequence[str]
) -> tuple[str, ...]:
    """What was taken for one class, apart from what the recipe lists."""
    written_in: dict[str, Counter[str]] = {}
    for (spelling, written), rows in forms.items():
        if (name := class_of.get(spelling)) is not None and name not in listed:
            written_in.setdefault(name, Counter())[written] += rows
    shown = [
        f"{shown_name(name)} is written " + " and ".join(f"{form!a} ({rows:,})" for form, rows in _ranked(counts)[:4])
        for name, counts in sorted(written_in.items())
        if len(counts) > 1
    ]
    return (f"Labels written in several ways were taken for one class: {listing(shown, 4)}.",) if shown else ()


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


def column(rows: Rows, row: int | None = None) -> str:
    """Where labels were read, those of all rows or of one: the source, with line and column if they are known."""
    source, line = (rows.source, 0) if row is None else rows.place(row)
    place = f"{source}:{line}" if line else source
    return f"{place}, column {rows.label_column!r}" if rows.label_column else place


def _several_error(rows: Rows, number: int, index: int, value: str, separator: str | None) -> DataError:
    _, line = rows.place(index)
    place = f"line {line:,}" if line else f"row {index + 1:,}"
    if separator is not None:
        what = f"the label of {place} is {value}; {number:,} of {len(rows.labels):,} labels are no list of names"
        hint = "Write the names of the labels as a list, or one column of zeros and ones for each label."
    else:
        what = f"the label of {place} is {value}; {number:,} of {len(rows.labels):,} labels are not one label"
        hint = 'Set task = "multi-label" if a text can have several labels. Otherwise keep one label in each row'
        hint += ": a list of one is taken as that label."
    if "object" in value:
        hint = f'label = "{rows.label_column or "label"}.name" reads a field of an object.'
    return DataError(what, where=column(rows, index), hint=hint)


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
