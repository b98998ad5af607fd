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
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from ftkit.contracts import SPLITS, Data, DataReport, Split
from ftkit.data.cleaning import CONTRADICTORY, DUPLICATE, EMPTY, Cleaned, clean, folded
from ftkit.data.rows import DAMAGED, MAX_NAMED_LINES, Rows, name_lines
from ftkit.data.rules import SHARES, NearCopies, Rules
from ftkit.data.split_assignment import NearCopyGroups, assign, find_near_copies
from ftkit.errors import DataError

__all__ = [
    "CONTRADICTORY",
    "DUPLICATE",
    "EMPTY",
    "RARE",
    "SAMPLED",
    "SHARES",
    "NearCopies",
    "Rules",
    "fingerprint",
    "folded",
    "join",
    "split",
]

RARE = "class with too few rows"
SAMPLED = "not in the sample"


def split(rows: Rows, classes: Sequence[str], rules: Rules, notes: Sequence[str] = ()) -> Data:
    """Clean rows and split them, each class in the same shares of train, valid and test.

    `notes` are added to the data report.

    Raises: DataError when there are no rows, only one class, labels that are not among the classes, or a class too
    small for three splits.
    """
    return _assemble({"": rows}, {"": SPLITS}, classes, rules, notes)


def join(parts: Mapping[str, Rows], classes: Sequence[str], rules: Rules, notes: Sequence[str] = ()) -> Data:
    """Clean rows that are already split into train, valid and test; without valid, a share of train takes its place.

    A text of the test rows is dropped from valid and train, a text of valid from train: no text is both trained and
    measured on.
    Raises: DataError as `split` does, and when a class is missing in one of the parts.
    """
    into: dict[str, Sequence[str]] = {name: (name,) for name in SPLITS if name in parts}
    if "valid" not in parts:
        into["train"] = ("train", "valid")
        notes = (*notes, "The validation rows were split off from the training rows.")
    return _assemble(parts, into, classes, rules, notes)


def fingerprint(classes: Sequence[str], splits: Iterable[Split]) -> str:
    """SHA-256 over the classes and, split by split in order, every label and text, each preceded by its length."""
    digest = hashlib.sha256()
    for name in classes:
        encoded = name.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    for part in splits:
        digest.update(b"split" + len(part).to_bytes(8, "big"))
        for text, label in zip(part.texts, part.labels, strict=True):
            encoded = text.encode("utf-8", "surrogatepass")
            digest.update(int(label).to_bytes(4, "big") + len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()


def _assemble(
    parts: Mapping[str, Rows],
    into: Mapping[str, Sequence[str]],
    classes: Sequence[str],
    rules: Rules,
    notes: Sequence[str],
) -> Data:
    """Clean every part and divide its rows among the splits that `into` names for it."""
    dropped: Counter[str] = sum((rows.dropped for rows in parts.values()), Counter())
    seen: dict[bytes, str] = {}
    cleaned: dict[str, Cleaned] = {}
    for name in reversed([*into]):
        cleaned[name] = clean(parts[name], seen, dropped)
        if len(into) > 1:
            seen = dict.fromkeys(cleaned[name].digests, name) | seen
    groups = {name: cleaned[name].by_class(classes) for name in into}
    sizes = {label: sum(len(group[label]) for group in groups.values()) for label in classes}
    _check_classes(sizes, parts, dropped)
    rare = [label for label in classes if sizes[label] < rules.min_rows]
    if rare:
        dropped[RARE] += sum(sizes.pop(label) for label in rare)
        notes = (*notes, f"Classes left out, because they have fewer than {rules.min_rows} rows: {', '.join(rare)}.")
    _check_sizes(sizes, groups, into, parts)

    classes, total = tuple(sizes), sum(sizes.values())
    portion = 1.0 if rules.rows is None else min(1.0, rules.rows / total)
    assigned: dict[str, tuple[Cleaned, list[int]]] = {}
    for name, names in into.items():
        part, sample = cleaned[name], {label: groups[name][label] for label in classes}
        shares = [rules.shares[SPLITS.index(split_name)] for split_name in names]
        for label, group in sample.items():
            if (size := max(len(names), int(len(group) * portion))) < len(group):
                dropped[SAMPLED] += len(group) - size
                sample[label] = part.shuffled(group, f"sample {rules.seed}")[:size]
        near_copies = NearCopyGroups()
        if len(names) > 1 and rules.near_copies == "together":
            near_copies = find_near_copies(part, sorted(row for group in sample.values() for row in group))
        rows_by_split, assignment_notes = assign(part, sample, names, shares, rules.seed, near_copies)
        notes = (*notes, *assignment_notes)
        assigned |= {split_name: (part, rows) for split_name, rows in rows_by_split.items()}
    if len(parts) > 1:
        notes = (*notes, *(_damage_note(rows) for rows in parts.values() if rows.damaged))
    return _data(parts, assigned, classes, dropped, notes)


def _check_classes(sizes: Mapping[str, int], parts: Mapping[str, Rows], dropped: Mapping[str, int]) -> None:
    """Raises: DataError when nothing is left to train on, or only one class."""
    where = ", ".join(dict.fromkeys(rows.source for rows in parts.values()))
    present = [label for label, size in sizes.items() if size]
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in dropped.items() if count)
    if not present:
        what = f"no rows are left: {left_out}" if left_out else "there are no rows"
        raise DataError(what, where=where, hint="Check that this is the right file, and that its texts have labels.")
    if len(present) == 1:
        raise DataError(
            f"there is only one class: all {sizes[present[0]]:,} rows are {present[0]!r}"
            + (f" (dropped: {left_out})" if left_out else ""),
            where=where,
            hint="A classifier needs at least two classes: check which column or field the labels are read from.",
        )


def _check_sizes(
    sizes: Mapping[str, int],
    groups: Mapping[str, Mapping[str, Sequence[int]]],
    into: Mapping[str, Sequence[str]],
    parts: Mapping[str, Rows],
) -> None:
    """Raises: DataError when a class has too few rows to be in every split."""
    if len(sizes) < 2:
        raise DataError(
            f"min_rows leaves {len(sizes)} class{'es' * (not sizes)}",
            where=next(iter(parts.values())).source,
            hint="Lower min_rows: a classifier needs at least two classes.",
        )
    for name, names in into.items():
        small = {label: len(groups[name][label]) for label in sizes if len(groups[name][label]) < len(names)}
        if small:
            listed = ", ".join(f"{label!r} has {size}" for label, size in small.items())
            raise DataError(
                f"too few rows to have every class in {' and '.join(names)}: {listed}",
                where=parts[name].source,
                hint="Add rows, or leave rare classes out: by min_rows, or by the option that maps labels to classes."
                if len(into) == 1
                else "Add rows, leave the class out, or give one file with all rows, so that ftkit splits them.",
            )


def _data(
    parts: Mapping[str, Rows],
    assigned: Mapping[str, tuple[Cleaned, list[int]]],
    classes: tuple[str, ...],
    dropped: Mapping[str, int],
    notes: Sequence[str],
) -> Data:
    number = {label: index for index, label in enumerate(classes)}
    splits: dict[str, Split] = {}
    words: list[int] = []
    for name in SPLITS:
        part, indices = assigned[name]
        rows = part.rows
        words += [part.words[index] for index in indices]
        splits[name] = Split(
            tuple(rows.texts[index] for index in indices),
            tuple(number[rows.labels[index]] for index in indices),
            {column: tuple(values[index] for index in indices) for column, values in rows.columns.items()},
        )
    words.sort()
    report = DataReport(
        source=", ".join(dict.fromkeys(rows.source for rows in parts.values())),
        rows_read=sum(rows.read for rows in parts.values()),
        dropped={reason: count for reason, count in dropped.items() if count},
        counts={name: _count_by_class(splits[name], classes) for name in SPLITS},
        lengths={
            quantile: words[math.ceil(share * len(words)) - 1]
            for quantile, share in (("p5", 0.05), ("p50", 0.5), ("p95", 0.95), ("max", 1.0))
        },
        fingerprint=fingerprint(classes, splits.values()),
        damaged_lines=tuple(number for rows in parts.values() for number in rows.damaged)[:MAX_NAMED_LINES],
        notes=(*(note for rows in parts.values() for note in rows.notes), *notes),
        warnings=tuple(dict.fromkeys(warning for rows in parts.values() for warning in rows.warnings)),
        files={rows.source: dict(rows.form) for rows in parts.values() if rows.form},
    )
    return Data(classes, splits["train"], splits["valid"], splits["test"], report)


def _count_by_class(rows: Split, classes: Sequence[str]) -> dict[str, int]:
    counts = Counter(rows.labels)
    return {label: counts[index] for index, label in enumerate(classes)}


def _damage_note(rows: Rows) -> str:
    return f"Damaged in {rows.source}: {name_lines(rows.damaged, rows.dropped[DAMAGED])}."
