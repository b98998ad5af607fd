"""From rows to `Data`: what every data set does about empty texts, duplicates, classes and splits.

Texts are the same when `folded` says so. Of rows with the same text one is kept; when their labels contradict each
other none is, because nothing tells which label is right. Only then are rows split, so no text is in two splits.

A hash of the text and the seed decides which split a row goes to: the same on every platform and with every version of
every library, whatever the order of the rows, and nearly the same once the data has grown.
"""

from __future__ import annotations

import difflib
import hashlib
import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ftkit.contracts import SPLITS, Data, DataReport, Split
from ftkit.errors import DataError
from ftkit.rows import DAMAGED, NAMED, Rows, named

SHARES = (0.8, 0.1, 0.1)
"""Shares of train, valid and test, where nothing else is asked for."""

EMPTY = "empty text"
DUPLICATE = "duplicate"
CONTRADICTORY = "same text, different labels"
RARE = "class with too few rows"
SAMPLED = "not in the sample"
ALSO_IN = "text is also in {}"


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


def folded(text: str) -> str:
    """What texts are compared by: composed (Unicode NFC), case folded, every run of white space one space."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return " ".join(text.casefold().split())


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
    cleaned: dict[str, _Part] = {}
    for name in reversed([*into]):
        cleaned[name] = _clean(parts[name], seen, dropped)
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
    chosen: dict[str, tuple[_Part, list[int]]] = {}
    for name, places in into.items():
        part, taken = cleaned[name], {place: list[int]() for place in places}
        shares = [rules.shares[SPLITS.index(place)] for place in places]
        for label in classes:
            group = groups[name][label]
            if (size := max(len(places), int(len(group) * portion))) < len(group):
                dropped[SAMPLED] += len(group) - size
                group = part.shuffled(group, f"sample {rules.seed}")[:size]
            group = part.shuffled(group, f"split {rules.seed}")
            for place, count in reversed([*zip(places, _counts(len(group), shares), strict=True)]):
                taken[place] += group[:count]
                group = group[count:]
        chosen |= {place: (part, sorted(taken[place])) for place in places}
    if len(parts) > 1:
        notes = (*notes, *(_damage(rows) for rows in parts.values() if rows.damaged))
    return _data(parts, chosen, classes, dropped, notes)


@dataclass(frozen=True)
class _Part:
    """Rows after cleaning: which are kept, and each row's digest of its folded text and number of words."""

    rows: Rows
    kept: list[int]
    digests: list[bytes]
    words: list[int]

    def by_class(self, classes: Sequence[str]) -> dict[str, list[int]]:
        """Kept rows of each class. Raises: DataError for a label that is no class."""
        groups: dict[str, list[int]] = {name: [] for name in classes}
        unknown: Counter[str] = Counter()
        for index in self.kept:
            label = self.rows.labels[index]
            if label in groups:
                groups[label].append(index)
            else:
                unknown[label] += 1
        if unknown:
            names = ", ".join(f"{name!r} ({count:,})" for name, count in unknown.most_common(5))
            near = difflib.get_close_matches(next(iter(unknown)), classes, 1)
            raise DataError(
                f"{unknown.total():,} rows have a label that is none of the classes: {names}"
                + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""),
                where=self.rows.source,
                mend=(f"Did you mean {near[0]!r}? " if near else "") + f"The classes are {', '.join(classes)}.",
            )
        return groups

    def shuffled(self, indices: Iterable[int], salt: str) -> list[int]:
        """Rows in an order that depends on their texts and the salt alone."""
        keyed = hashlib.blake2b(salt.encode(), digest_size=16)

        def place(index: int) -> bytes:
            digest = keyed.copy()
            digest.update(self.digests[index])
            return digest.digest()

        return sorted(indices, key=place)


def _clean(rows: Rows, seen: Mapping[bytes, str], dropped: Counter[str]) -> _Part:
    """Keep the first row of every text that is not empty, not seen in a later split, and labelled in one way only."""
    digests: list[bytes] = []
    words: list[int] = []
    first: dict[bytes, int] = {}
    again: list[int] = []
    contradictory: set[bytes] = set()
    for index, text in enumerate(rows.texts):
        key = folded(text)
        digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        digests.append(digest)
        words.append(key.count(" ") + 1)
        if not key:
            dropped[EMPTY] += 1
        elif digest in seen:
            dropped[ALSO_IN.format(seen[digest])] += 1
        elif (other := first.setdefault(digest, index)) != index:
            again.append(index)
            if rows.labels[other] != rows.labels[index]:
                contradictory.add(digest)
    unclear = sum(digests[index] in contradictory for index in again)
    dropped[DUPLICATE] += len(again) - unclear
    dropped[CONTRADICTORY] += unclear + len(contradictory)
    return _Part(rows, [index for digest, index in first.items() if digest not in contradictory], digests, words)


def _check_classes(sizes: Mapping[str, int], parts: Mapping[str, Rows], dropped: Mapping[str, int]) -> None:
    """Raises: DataError when nothing is left to train on, or only one class."""
    where = ", ".join(dict.fromkeys(rows.source for rows in parts.values()))
    present = [label for label, size in sizes.items() if size]
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in dropped.items() if count)
    if not present:
        what = f"no rows are left: {left_out}" if left_out else "there are no rows"
        raise DataError(what, where=where, mend="Check that this is the right file, and that its texts have labels.")
    if len(present) == 1:
        raise DataError(
            f"there is only one class: all {sizes[present[0]]:,} rows are {present[0]!r}"
            + (f" (dropped: {left_out})" if left_out else ""),
            where=where,
            mend="A classifier needs rows of at least two classes: check where the labels come from.",
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
            mend="Lower min_rows: a classifier needs at least two classes.",
        )
    for name, places in into.items():
        small = {label: len(groups[name][label]) for label in sizes if len(groups[name][label]) < len(places)}
        if small:
            told = ", ".join(f"{label!r} has {size}" for label, size in small.items())
            raise DataError(
                f"too few rows to have every class in {' and '.join(places)}: {told}",
                where=parts[name].source,
                mend="Add rows, or leave rare classes out: by min_rows, or by the option that maps labels to classes."
                if len(into) == 1
                else "Add rows, leave the class out, or give all rows as one file, which ftkit then splits.",
            )


def _counts(total: int, shares: Sequence[float]) -> list[int]:
    """Whole numbers nearest to the shares of a total, none of them 0 (largest remainders)."""
    exact = [total * share / sum(shares) for share in shares]
    counts = [max(1, int(each)) for each in exact]
    while sum(counts) != total:
        step = 1 if sum(counts) < total else -1
        movable = [index for index, count in enumerate(counts) if count + step > 0]
        counts[max(movable, key=lambda index: step * (exact[index] - counts[index]))] += step
    return counts


def _data(
    parts: Mapping[str, Rows],
    chosen: Mapping[str, tuple[_Part, list[int]]],
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
