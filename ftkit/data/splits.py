"""From rows to `Data`: how every data set treats empty texts, duplicates, classes and splits.

Two texts are the same when their `folded` forms are equal. Of rows with the same text one is kept; when their labels
contradict each other none is kept, because it is unknown which label is right. Rows are split after that, so no text is
in two splits; near copies of a text are in one split.

A hash of the text and the seed decides which split a row goes to. The result is the same on every platform, with every
version of every library and for any order of the rows, and nearly the same when the data has grown.
"""

from __future__ import annotations

import hashlib
import math
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ftkit.contracts import SPLITS, Data, DataReport, Emit, Split, Task
from ftkit.data import grouping, stratification
from ftkit.data.characters import invisible
from ftkit.data.class_checks import check_classes, check_sizes
from ftkit.data.cleaning import CONTRADICTORY, DUPLICATE, EMPTY, ONE_SIDE, Cleaned, clean, folded
from ftkit.data.label_doubts import doubts
from ftkit.data.labels import NO_LABEL, SEVERAL, UNLISTED, WITHOUT, Named
from ftkit.data.leaks import look
from ftkit.data.rows import MAX_NAMED_LINES, Rows, damage_note
from ftkit.data.rules import AUTO, SHARES, NearCopies, Rules, Unlisted
from ftkit.data.split_assignment import NearCopyGroups, assign, find_near_copies
from ftkit.data.task_checks import labels_a_row, named_for
from ftkit.data.texts import chosen
from ftkit.formatting import listing

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "AUTO",
    "CONTRADICTORY",
    "DUPLICATE",
    "EMPTY",
    "NO_DATE",
    "NO_LABEL",
    "ONE_SIDE",
    "RARE",
    "SAMPLED",
    "SEVERAL",
    "SHARES",
    "UNLISTED",
    "WITHOUT",
    "NearCopies",
    "Rules",
    "Unlisted",
    "fingerprint",
    "folded",
    "join",
    "split",
]

NO_DATE = "no date to order by"
RARE = "class with too few rows"
SAMPLED = "not in the sample"


def split(
    rows: Rows, classes: Sequence[str], rules: Rules, notes: Sequence[str] = (), emit: Emit | None = None
) -> Data:
    """Name the classes of rows, clean the rows and split them, each class in the same shares of train, valid and test.

    Without `classes` the labels make the classes, in their natural order, or in that of `Rules.order`. `notes` are added to the data report; `emit` gets events
    of progress.

    Raises: DataError when there are no rows, only one class, labels that are not those of the task or not among the classes, or a
    class too small for three splits.
    """
    return _assemble({"": rows}, {"": SPLITS}, classes, rules, notes, emit)


def join(
    parts: Mapping[str, Rows],
    classes: Sequence[str],
    rules: Rules,
    notes: Sequence[str] = (),
    emit: Emit | None = None,
) -> Data:
    """The same for rows that are split into train, valid and test; without valid, a share of train takes its place.

    A text of the test rows is dropped from valid and train, a text of valid from train: no text is both trained and
    measured on. A class that valid or test lacks is a warning.
    Raises: DataError as `split` does, and when a class has no training rows, or a part has only one class.
    """
    into: dict[str, Sequence[str]] = {name: (name,) for name in SPLITS if name in parts}
    if "valid" not in parts:
        into["train"] = ("train", "valid")
        notes = (*notes, "The validation rows were split off from the training rows.")
    return _assemble(parts, into, classes, rules, notes, emit)


def fingerprint(classes: Sequence[str], splits: Iterable[Split]) -> str:
    """SHA-256 over the classes and, split by split in order, every label and text, each preceded by its length.

    Several labels of a row are preceded by their number.
    """
    digest = hashlib.sha256()
    for name in classes:
        encoded = name.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    for part in splits:
        digest.update(b"split" + len(part).to_bytes(8, "big"))
        for text, label in zip(part.texts, part.labels, strict=True):
            encoded = text.encode("utf-8", "surrogatepass")
            if isinstance(label, tuple):
                numbers = b"".join(each.to_bytes(4, "big") for each in (len(label), *map(int, label)))
            else:
                numbers = int(label).to_bytes(4, "big")
            digest.update(numbers + len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()


def _assemble(
    parts: Mapping[str, Rows],
    into: Mapping[str, Sequence[str]],
    classes: Sequence[str],
    rules: Rules,
    notes: Sequence[str],
    emit: Emit | None,
) -> Data:
    """Name the classes of all parts, clean each, and divide its rows among the splits that `into` names for it."""
    several = rules.task == "multi-label"
    if len(rules.fields) > 1:
        notes = (f"Each row is a pair of texts: {' and '.join(rules.fields)}.", *notes)
    dropped: Counter[str] = sum((rows.dropped for rows in parts.values()), Counter())
    named = _dated(named_for(parts, classes, rules, dropped), rules, dropped)
    seen: list[tuple[str, np.ndarray]] = []
    cleaned: dict[str, Cleaned] = {}
    for name in reversed([*into]):
        cleaned[name] = clean(named.parts[name], seen, dropped, emit, paired=len(rules.fields) > 1)
        if len(into) > 1:
            seen.append((name, cleaned[name].labelled()))
    groups = {name: cleaned[name].by_class(named.classes) for name in into}
    by_part = {name: {label: len(group) for label, group in groups[name].items()} for name in into}
    check_classes(named, by_part, dropped)
    sizes = {label: sum(size[label] for size in by_part.values()) for label in named.classes}
    rare = [label for label in sizes if sizes[label] < rules.min_rows]
    if rare:
        if several:
            cleaned = {name: part.without_classes(rare, RARE, dropped) for name, part in cleaned.items()}
            for label in rare:
                sizes.pop(label)
        else:
            dropped[RARE] += sum(sizes.pop(label) for label in rare)
        left_out = f"{len(rare):,} class{'es' * (len(rare) != 1)}"
        notes = (*notes, f"Left out {left_out} with fewer than {rules.min_rows} rows: {listing(rare, 10)}.")
    notes = (*named.notes, *notes)
    warnings = [*named.warnings, *check_sizes(named, tuple(sizes), by_part, into), *doubts(named, several=several)]

    classes, total = tuple(sizes), sum(len(part.kept) for part in cleaned.values()) if several else sum(sizes.values())
    portion = 1.0 if rules.rows is None else min(1.0, rules.rows / total)
    assigned: dict[str, tuple[Cleaned, list[int]]] = {}
    for name, names in into.items():
        part, sample = cleaned[name], {label: group for label in classes if (group := groups[name][label])}
        shares = [rules.shares[SPLITS.index(split_name)] for split_name in names]
        if several:
            rows = part.kept
            if (size := max(len(names), int(len(rows) * portion))) < len(rows):
                rows = stratification.sample(part, rows, size, rules.seed, len(names))
                dropped[SAMPLED] += len(part.kept) - len(rows)
        else:
            for label, group in sample.items():
                if (size := max(len(names), int(len(group) * portion))) < len(group):
                    dropped[SAMPLED] += len(group) - size
                    sample[label] = part.shuffled(group, f"sample {rules.seed}")[:size]
            rows = [row for group in sample.values() for row in group]
        near_copies = NearCopyGroups()
        if len(names) > 1 and rules.near_copies == "together" and not rules.time:
            near_copies = find_near_copies(part, sorted(rows), emit)
        if len(names) > 1 and rules.time:
            rows_by_split, assignment_notes = grouping.by_time(part, rows, sample, names, shares, rules.time)
        elif several:
            rows_by_split, assignment_notes = stratification.assign(
                part, rows, names, shares, rules.seed, near_copies, rules.group if len(names) > 1 else ""
            )
        elif len(names) > 1 and rules.group:
            rows_by_split, assignment_notes = grouping.by_group(
                part, sample, names, shares, rules.seed, rules.group, near_copies
            )
        else:
            rows_by_split, assignment_notes = assign(part, sample, names, shares, rules.seed, near_copies)
        if len(names) > 1 and (option := rules.time or rules.group or ("its other labels" if several else "")):
            warnings += grouping.absent_classes(part, rows_by_split, sample, option)
        notes = (*notes, *assignment_notes)
        assigned |= {split_name: (part, rows) for split_name, rows in rows_by_split.items()}
    if len(parts) > 1:
        notes = (*notes, *(damage_note(rows) for rows in parts.values() if rows.damaged))
    leaks = look(assigned, rules, given=len(parts) > 1)
    if hidden := invisible(text for part, rows in assigned.values() for text in chosen(part.rows.texts, rows)):
        (leaks.warnings if hidden.many else leaks.notes).append(str(hidden))
    data = _data(parts, assigned, classes, dropped, (*notes, *leaks.notes), [*warnings, *leaks.warnings], rules.task)
    return replace(data, fields=tuple(rules.fields), report=replace(data.report, shared=leaks.shared))


def _dated(named: Named, rules: Rules, dropped: Counter[str]) -> Named:
    """The rows that have a date, where the recipe orders by one; looks at the columns that it names. Raises: DataError."""
    for rows in named.parts.values():
        rows.others.watch(rows.columns, rules.group, rules.time, partial(_place, rows))
        moments = rows.others.moments.get(rules.time, ())
        for row, moment in enumerate(moments):
            if math.isnan(moment) and rows.labels[row] is not None:
                rows.labels[row] = None
                dropped[NO_DATE] += 1
    return named


def _place(rows: Rows, row: int) -> str:
    source, line = rows.place(row)
    return f"{source}:{line}" if line else f"{source}, row {row + 1:,}"


def _data(
    parts: Mapping[str, Rows],
    assigned: Mapping[str, tuple[Cleaned, list[int]]],
    classes: tuple[str, ...],
    dropped: Mapping[str, int],
    notes: Sequence[str],
    warnings: Sequence[str],
    task: Task,
) -> Data:
    number = {label: index for index, label in enumerate(classes)}
    splits: dict[str, Split] = {}
    words = array("I")
    for name in SPLITS:
        part, indices = assigned[name]
        rows = part.rows
        words.extend(map(part.words.__getitem__, indices))
        splits[name] = Split(
            chosen(rows.texts, indices),
            tuple(_class_indices(rows.labels[index], number) for index in indices),
            {column: tuple(values[index] for index in indices) for column, values in rows.columns.items()},
        )
    sizes = sorted(words)
    several = task == "multi-label"
    if several:
        notes = (labels_a_row(label for split in splits.values() for label in split.labels), *notes)
    report = DataReport(
        source=", ".join(dict.fromkeys(rows.source for rows in parts.values())),
        rows_read=sum(rows.read for rows in parts.values()),
        dropped={reason: count for reason, count in dropped.items() if count},
        counts={name: _count_by_class(splits[name], classes) for name in SPLITS},
        lengths={
            quantile: sizes[math.ceil(share * len(sizes)) - 1]
            for quantile, share in (("p5", 0.05), ("p50", 0.5), ("p95", 0.95), ("max", 1.0))
        },
        fingerprint=fingerprint(classes, splits.values()),
        damaged_lines=tuple(number for rows in parts.values() for number in rows.damaged)[:MAX_NAMED_LINES],
        notes=(*(note for rows in parts.values() for note in rows.notes), *notes),
        warnings=(*dict.fromkeys(warning for rows in parts.values() for warning in rows.warnings), *warnings),
        files={source: form for rows in parts.values() for source, form in rows.forms.items()},
        rows={name: len(splits[name]) for name in SPLITS} if several else {},
    )
    return Data(classes, splits["train"], splits["valid"], splits["test"], report, task=task)


def _class_indices(label: Any, number: Mapping[str, int]) -> Any:
    """The index of a class, or a rising tuple of those of several."""
    if isinstance(label, tuple):
        return tuple(sorted(number[name] for name in label))
    return number[label]


def _count_by_class(rows: Split, classes: Sequence[str]) -> dict[str, int]:
    counts = Counter(rows.each_label())
    return {label: counts[index] for index, label in enumerate(classes)}
