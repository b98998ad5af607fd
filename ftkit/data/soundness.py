"""Holds what a data set loaded to what every stage relies on: whole splits that share no text, labels that name classes, a true report."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Integral
from typing import Any

from ftkit.contracts import SPLITS, TASKS, Data, DataReport, Split
from ftkit.data.cleaning import folded
from ftkit.data.digests import Digests, among, digest_of
from ftkit.data.on_disk import Chosen
from ftkit.errors import DataError, in_one_line
from ftkit.formatting import beginning

_PLAIN = (str, int, float, bool, type(None))


def check(data: Data, dataset: str) -> None:
    """Check once what a data set loaded; `dataset` is its title in a sentence. Takes a few seconds for a million rows.

    Raises: DataError naming the data set, the split and the first row that is wrong.
    """
    try:
        mistake = next(_mistakes(data), None)
    except Exception as error:  # of values that are not what their types promise
        mistake = f"data that cannot be read: {in_one_line(error)}", ""
    if mistake is not None:
        what, hint = mistake
        raise DataError(f"{dataset} loaded {what}", where=_source(data), hint=hint or _BY_ITS_AUTHOR)


_BY_ITS_AUTHOR = "Its author can mend `load`: the tests of ftkit.testing.datasets show where."
_SHARED = "Drop one of each, or let ftkit.data.splits make the splits: a text that is trained on measures nothing."


def _mistakes(data: Data) -> Iterator[tuple[str, str]]:
    """What is wrong and, where there is more to say than that its author can mend it, how to repair it."""
    splits = {name: getattr(data, name) for name in SPLITS}
    if data.task not in TASKS:
        yield f"a task that is none of {', '.join(TASKS)}: {_shown(data.task)}", ""
    yield from _mistakes_of_classes(data.classes)
    for name, split in splits.items():
        yield from _mistakes_of_split(name, split, len(data.classes), several=data.task == "multi-label")
    trained = set(data.train.each_label())
    if untrained := [name for index, name in enumerate(data.classes) if index not in trained]:
        hint = "Add rows of it, or leave the class out of `classes`: a model cannot learn it."
        yield f"no training row of the class {_listed(untrained)}", hint
    yield from _shared_texts(splits)
    yield from _mistakes_of_report(data.report, data.classes, splits)


def _mistakes_of_classes(classes: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(classes, list | tuple):
        yield f"`classes` of type {type(classes).__name__}, not a tuple of names", ""
    elif wrong := [each for each in classes if not isinstance(each, str) or not each.strip()]:
        yield f"a class that is no name: {_listed(wrong)}", ""
    elif twice := [each for each, count in Counter(classes).items() if count > 1]:
        yield f"the class {_listed(twice)} twice", ""
    elif len(classes) < 2:
        yield f"{len(classes)} class{'es' * (not classes)}", "A classifier needs at least two classes."


def _mistakes_of_split(name: str, split: Any, classes: int, *, several: bool) -> Iterator[tuple[str, str]]:
    if not isinstance(split, Split):
        yield f"a {name} split of type {type(split).__name__}, not Split", ""
        return
    rows = len(split.texts)
    if not rows:
        yield f"an empty {name} split", "Give it rows, or let ftkit split the rows: every split is needed."
    for column, values in (("labels", split.labels), *split.columns.items()):
        if len(values) != rows:
            yield f"a {name} split with {rows:,} texts and {len(values):,} values in {column!r}", ""
    unknown = not isinstance(split.texts, Chosen)  # else they were read as texts a moment ago
    if unknown and (wrong := _first(split.texts, lambda kind: issubclass(kind, str))):
        yield f"a {name} text that is no string, in row {wrong}", ""
    if several:
        yield from _mistakes_of_several(name, split.labels, classes)
    elif wrong := _first(split.labels, lambda kind: issubclass(kind, Integral) and kind is not bool):
        hint = "Labels are the indices of `classes`, from 0; ftkit.data.splits makes them from names."
        yield f"a {name} label that is no index of a class, in row {wrong}", hint
    elif rows and not 0 <= min(split.labels) <= max(split.labels) < classes:
        row, label = next((row, label) for row, label in enumerate(split.labels) if not 0 <= label < classes)
        yield f"a {name} label out of range, in row {row:,}: {label}, of {classes:,} classes", ""
    for column, values in split.columns.items():
        if not isinstance(column, str) or not _is_json(values):
            hint = "Make its values texts, numbers, true, false or None: they are stored with the run."
            yield f"a {name} column that JSON cannot hold: {_shown(column)}", hint


def _mistakes_of_several(name: str, labels: Sequence[Any], classes: int) -> Iterator[tuple[str, str]]:
    hint = "With several labels a text, a label is a rising tuple of the indices of `classes`, from 0."
    known: set[Any] = set()  # few combinations occur in many rows
    for row, label in enumerate(labels):
        if isinstance(label, tuple) and label in known:
            continue
        if not isinstance(label, tuple) or not all(isinstance(each, Integral) and each is not True for each in label):
            yield f"a {name} label that is no tuple of class indices, in row {row:,}: {_shown(label)}", hint
            return
        if any(one >= other for one, other in itertools.pairwise(label)):
            yield f"a {name} label that does not rise, in row {row:,}: {_shown(label)}", hint
            return
        if label and not 0 <= label[0] <= label[-1] < classes:
            yield f"a {name} label out of range, in row {row:,}: {_shown(label)}, of {classes:,} classes", hint
            return
        known.add(label)


def _shared_texts(splits: Mapping[str, Split]) -> Iterator[tuple[str, str]]:
    """Texts that are in two splits."""
    digests = {name: Digests(digest_of(folded(text)) for text in split.texts).numbers for name, split in splits.items()}
    for one, other in (("train", "test"), ("valid", "test"), ("train", "valid")):
        shared = among(digests[other], digests[one])
        if shared.any():
            count, row, total = int(shared.sum()), int(shared.argmax()), len(shared)
            amount = f"all {total:,}" if count == total else f"{count:,} of {total:,}"
            yield (
                f"{amount} {other} texts that are in {one} as well, such as {_shown(splits[other].texts[row])}",
                _SHARED,
            )


def _mistakes_of_report(report: Any, classes: Sequence[str], splits: Mapping[str, Split]) -> Iterator[tuple[str, str]]:
    if not isinstance(report, DataReport):
        yield f"a report of type {type(report).__name__}, not DataReport", ""
        return
    for name, split in splits.items():
        if report.rows and report.sizes.get(name, 0) != len(split):
            yield f"a report of {report.sizes.get(name, 0):,} {name} rows, and there are {len(split):,}", ""
        counted = Counter(split.each_label())
        reported = report.counts.get(name, {})
        for index, label in enumerate(classes):
            if reported.get(label, 0) != counted[index]:
                shown = f"{reported.get(label, 0)} {name} rows of {_shown(label)}"
                yield f"a report that counts {shown}, and there are {counted[index]:,}", ""
        if unknown := [label for label, count in reported.items() if count and label not in classes]:
            yield f"a report that counts {name} rows of {_listed(unknown)}, which is no class", ""
    kept, dropped = sum(map(len, splits.values())), sum(report.dropped.values())
    if report.rows_read != kept + dropped:
        yield (
            (
                f"a report of {report.rows_read:,} rows that were read, and {kept:,} in the splits with "
                f"{dropped:,} dropped make {kept + dropped:,}"
            ),
            "",
        )
    if not isinstance(report.fingerprint, str) or not report.fingerprint:
        yield "a report without a fingerprint", "ftkit.data.splits.fingerprint makes it."


def _first(values: Sequence[Any], fits: Callable[[type], bool]) -> str:
    """The number and value of the first row whose type does not fit; empty if all fit."""
    wrong = {kind for kind in set(map(type, values)) if not fits(kind)}
    return next((f"{row:,}: {_shown(value)}" for row, value in enumerate(values) if type(value) in wrong), "")


def _is_json(values: Sequence[Any]) -> bool:
    if not {type(value) for value in values} - set(_PLAIN):
        return True
    try:
        json.dumps(list(values))
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _source(data: Any) -> str:
    source = data.report.source if isinstance(data.report, DataReport) else ""
    return source if isinstance(source, str) else ""


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(map(_shown, values[:3])) + (f" and {len(values) - 3:,} more" if len(values) > 3 else "")


def _shown(value: Any) -> str:
    return beginning(repr(value), 60)
