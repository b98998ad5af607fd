"""Which row goes to which split: every class in the same shares, and near copies of one text together.

A hash of the text and the seed puts the rows of each class in an order, and the first of them are the test rows. Texts that share
most of their wording count as one: a model that has learnt the one by heart would know the other's answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ftkit.data import near_duplicates
from ftkit.data.cleaning import Cleaned
from ftkit.formatting import count, listed

LIMIT = 1_000_000_000
"""Characters of all texts up to which near copies are looked for: about a minute's work, and some 4 GB of memory."""


@dataclass(frozen=True)
class Copies:
    """Near copies among the rows to be split: for each row that has any, all rows it stays together with."""

    of: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What a reader of the data report should know."""


def copies(part: Cleaned, rows: Sequence[int]) -> Copies:
    """Find the near copies among these rows."""
    texts = [part.rows.texts[row] for row in rows]
    characters = sum(map(len, texts))
    if characters > LIMIT or len(texts) > near_duplicates.ROWS:
        said = f"near copies were not looked for among {len(rows):,} texts of {characters:,} characters"
        return Copies(notes=(f"So that splitting ends soon, {said}: some may be in several splits.",))
    found = [tuple(rows[place] for place in cluster) for cluster in near_duplicates.clusters(texts)]
    return Copies({row: cluster for cluster in found for row in cluster})


def allot(
    part: Cleaned,
    groups: Mapping[str, Sequence[int]],
    places: Sequence[str],
    shares: Sequence[float],
    seed: int,
    near: Copies,
) -> tuple[dict[str, list[int]], tuple[str, ...]]:
    """Rows of each place, and what is to be told of it; the first place has what the others leave.

    `groups` are the rows by class. Near copies that would take more than a class may have in a place are left to the places
    before it. They are parted only where that leaves a class with less than half of its rows.
    """
    waiting = {label: part.shuffled(rows, f"split {seed}") for label, rows in groups.items()}
    wanted = {label: dict(zip(places, counts(len(rows), shares), strict=True)) for label, rows in groups.items()}
    together = dict(near.of)
    taken: dict[str, list[int]] = {}
    parted: set[tuple[int, ...]] = set()
    torn: dict[str, None] = {}
    for place in reversed(places[1:]):
        room = {label: wanted[label][place] for label in groups}
        gone: set[int] = set()
        for label, rows in waiting.items():
            for row in rows:
                if not room[label]:
                    break
                unit = together.get(row)
                if unit is None:
                    room[label] -= 1
                    gone.add(row)
                elif row not in gone and _fits(part, unit, room):
                    for each in unit:
                        room[part.rows.labels[each]] -= 1
                    gone.update(unit)
        for label, rows in waiting.items():
            if 2 * room[label] <= wanted[label][place]:
                continue
            torn[label] = None
            for row in [row for row in rows if row not in gone][: room[label]]:
                gone.add(row)
                if row in together:
                    parted.add(together[row])
                    for each in together[row]:
                        together.pop(each)
        taken[place] = sorted(gone)
        waiting = {label: [row for row in rows if row not in gone] for label, rows in waiting.items()}
    taken[places[0]] = sorted(row for rows in waiting.values() for row in rows)
    return taken, (*near.notes, *_told(set(together.values()), parted, list(torn)))


def _fits(part: Cleaned, unit: Sequence[int], room: Mapping[str, int]) -> bool:
    labels = [part.rows.labels[row] for row in unit]
    return all(labels.count(label) <= room[label] for label in set(labels))


def _told(kept: set[tuple[int, ...]], parted: set[tuple[int, ...]], labels: Sequence[str]) -> tuple[str, ...]:
    notes = []
    if kept:
        rows, groups = count(sum(map(len, kept)), "row"), count(len(kept), "group")
        notes.append(f"{rows} in {groups} of near copies were kept together, each group in one split.")
    if parted:
        rows, groups = count(sum(map(len, parted)), "row"), count(len(parted), "group")
        said = f"{rows} in {groups} of near copies were parted over several splits"
        notes.append(f"{said}: without them there would be too few rows of {listed(labels)} in one of them.")
    return tuple(notes)


def counts(total: int, shares: Sequence[float]) -> list[int]:
    """Whole numbers nearest to the shares of a total, none of them 0 (largest remainders)."""
    exact = [total * share / sum(shares) for share in shares]
    counts = [max(1, int(each)) for each in exact]
    while sum(counts) != total:
        step = 1 if sum(counts) < total else -1
        movable = [index for index, count in enumerate(counts) if count + step > 0]
        counts[max(movable, key=lambda index: step * (exact[index] - counts[index]))] += step
    return counts
