"""From rows to `Data`: what every data set does about empty texts, duplicates, classes and splits.

Texts are the same when `folded` says so. Of rows with the same text one is kept; when their labels contradict each
other none is, because nothing tells which label is right. Only then are rows split, so no text is in two splits, and texts
that are nearly the same are in one.

A hash of the text and the seed decides which split a row goes to: the same on every platform and with every version of
every library, whatever the order of the rows, and nearly the same once the data has grown.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ftkit.contracts import SPLITS, Data, DataReport, Split
from ftkit.data.cleaning import CONTRADICTORY, DUPLICATE, EMPTY, Cleaned, clean, folded
from ftkit.data.rows import DAMAGED, NAMED, Rows, named
from ftkit.data.split_assignment import Copies, allot, copies
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

NearCopies = Literal["together", "ignored"]
"""What becomes of texts that share most of their wording: each group of them in one split, or wherever chance puts them."""

SHARES = (0.8, 0.1, 0.1)
"""Shares of train, valid and test, where nothing else is asked for."""

RARE = "class with too few rows"
SAMPLED = "not in the sample"


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How to split: what the data sets' options of the same names say."""

    seed: int
    shares: Sequence[float] = SHARES
    """Shares of train, valid and test."""
    rows: int | None = None
    """Keep a sample of about this many rows, each class in proportion."""
    min_rows: int = 0
    """Leave out classes with fewer rows."""
    near_copies: NearCopies = "together"
    """Whether texts that share most of their wording stay in one split."""

    def __post_init__(self) -> None:
        if len(self.shares) != len(SPLITS) or not all(share > 0 for share in self.shares):
            raise ValueError(
                f"shares must be three numbers above 0, for train, valid and test, not {list(self.shares)}"
            )
        if not math.isclose(sum(self.shares), 1, abs_tol=1e-6):
            raise ValueError(f"shares must add up to 1, not {sum(self.shares):g}")
        if self.rows is not None and self.rows < 2 * len(SPLITS):
            raise ValueError(f"rows must be at least {2 * len(SPLITS)}: two classes in three splits")
        if self.min_rows < 0:
            raise ValueError("min_rows must not be negative")


def split(rows: Rows, classes: Sequence[str], rules: Rules, notes: Sequence[str] = ()) -> Data:
    """Clean rows and split them, each class in the same shares of train, valid and test.

    Raises: DataError when there are no rows, only one class, labels that are no class, or a class too small for three
    splits.
    """
    return _assemble({"": rows}, {"": SPLITS}, classes, rules, notes)


def join(parts: Mapping[str, Rows], classes: Sequence[str], rules: Rules, notes: Sequence[str] = ()) -> Data:
    """Clean rows that come split: `train`, `test`, and `valid`, or else a share of train takes its place.

    A text of the test rows is dropped from valid and train, one of valid from train: measured on, never trained on.
    Raises: DataError as `split` does, and when a class is missing in one of the parts.
    """
    into: dict[str, Sequence[str]] = {name: (name,) for name in SPLITS if name in parts}
    if "valid" not in parts:
        into["train"] = ("train", "valid")
        notes = (*notes, "The validation rows were split off from the training rows.")
    return _assemble(parts, into, classes, rules, notes)


def fingerprint(classes: Sequence[str], splits: Iterable[Split]) -> str:
    """SHA-256 over the classes and, split by split in order, every label and text, each led by its length."""
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
    """Clean every part and place its rows in the splits that `into` names for it."""
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
        notes = (*notes, f"Left out with fewer than {rules.min_rows} rows: {', '.join(rare)}.")
    _check_sizes(sizes, groups, into, parts)

    classes, total = tuple(sizes), sum(sizes.values())
    portion = 1.0 if rules.rows is None else min(1.0, rules.rows / total)
    chosen: dict[str, tuple[Cleaned, list[int]]] = {}
    for name, places in into.items():
        part, left = cleaned[name], {label: groups[name][label] for label in classes}
        shares = [rules.shares[SPLITS.index(place)] for place in places]
        for label, group in left.items():
            if (size := max(len(places), int(len(group) * portion))) < len(group):
                dropped[SAMPLED] += len(group) - size
                left[label] = part.shuffled(group, f"sample {rules.seed}")[:size]
        near = Copies()
        if len(places) > 1 and rules.near_copies == "together":
            near = copies(part, sorted(row for group in left.values() for row in group))
        taken, told = allot(part, left, places, shares, rules.seed, near)
        notes = (*notes, *told)
        chosen |= {place: (part, rows) for place, rows in taken.items()}
    if len(parts) > 1:
        notes = (*notes, *(_damage(rows) for rows in parts.values() if rows.damaged))
    return _data(parts, chosen, classes, dropped, notes)


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
            hint="A classifier needs rows of at least two classes: check where the labels come from.",
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
    for name, places in into.items():
        small = {label: len(groups[name][label]) for label in sizes if len(groups[name][label]) < len(places)}
        if small:
            told = ", ".join(f"{label!r} has {size}" for label, size in small.items())
            raise DataError(
                f"too few rows to have every class in {' and '.join(places)}: {told}",
                where=parts[name].source,
                hint="Add rows, or leave rare classes out: by min_rows, or by the option that maps labels to classes."
                if len(into) == 1
                else "Add rows, leave the class out, or give all rows as one file, which ftkit then splits.",
            )


def _data(
    parts: Mapping[str, Rows],
    chosen: Mapping[str, tuple[Cleaned, list[int]]],
    classes: tuple[str, ...],
    dropped: Mapping[str, int],
    notes: Sequence[str],
) -> Data:
    number = {label: index for index, label in enumerate(classes)}
    splits: dict[str, Split] = {}
    words: list[int] = []
    for place in SPLITS:
        part, indices = chosen[place]
        rows = part.rows
        words += [part.words[index] for index in indices]
        splits[place] = Split(
            tuple(rows.texts[index] for index in indices),
            tuple(number[rows.labels[index]] for index in indices),
            {name: tuple(values[index] for index in indices) for name, values in rows.columns.items()},
        )
    words.sort()
    report = DataReport(
        source=", ".join(dict.fromkeys(rows.source for rows in parts.values())),
        rows_read=sum(rows.read for rows in parts.values()),
        dropped={reason: count for reason, count in dropped.items() if count},
        counts={place: _tally(splits[place], classes) for place in SPLITS},
        lengths={
            name: words[math.ceil(share * len(words)) - 1]
            for name, share in (("p5", 0.05), ("p50", 0.5), ("p95", 0.95), ("max", 1.0))
        },
        fingerprint=fingerprint(classes, splits.values()),
        damaged_lines=tuple(number for rows in parts.values() for number in rows.damaged)[:NAMED],
        notes=tuple(notes),
    )
    return Data(classes, splits["train"], splits["valid"], splits["test"], report)


def _tally(rows: Split, classes: Sequence[str]) -> dict[str, int]:
    counts = Counter(rows.labels)
    return {label: counts[index] for index, label in enumerate(classes)}


def _damage(rows: Rows) -> str:
    return f"Damaged in {rows.source}: {named(rows.damaged, rows.dropped[DAMAGED])}."
