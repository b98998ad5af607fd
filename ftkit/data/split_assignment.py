"""Which row goes to which split: every class in the same shares, and near copies of one text together.

A hash of the text and the seed puts the rows of each class in an order, and the first of them are the test rows. Texts
that share most of their wording count as one text: a model that has learnt one of them by heart would know the answer
to the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ftkit.contracts import Emit
from ftkit.contracts.events import Progressed
from ftkit.data import near_duplicates, shared_shingles
from ftkit.data.cleaning import STEP, Cleaned
from ftkit.data.texts import chosen
from ftkit.formatting import count, listing


@dataclass(frozen=True)
class NearCopyGroups:
    """Near copies among the rows to be split."""

    by_row: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    """For each row that has near copies: the whole group, itself included."""
    notes: tuple[str, ...] = ()
    """What a reader of the data report should know."""


def find_near_copies(part: Cleaned, rows: Sequence[int], emit: Emit | None = None) -> NearCopyGroups:
    """Group the near copies among these rows. Raises: DataError on a full disk."""
    if len(rows) > shared_shingles.ROWS:
        skipped = f"Near copies were not searched for: at most {shared_shingles.ROWS:,} texts can be compared"
        return NearCopyGroups(notes=(f"{skipped}, and these are {len(rows):,}. Some may be in several splits.",))
    reported = 0

    def seen(number: int) -> None:
        nonlocal reported
        if emit is not None and number - reported >= STEP:
            reported = number
            emit(Progressed(f"looking for near copies in {part.rows.source}", number, len(rows)))

    clusters = near_duplicates.clusters(chosen(part.rows.texts, rows), seen=seen)
    groups = [tuple(rows[index] for index in cluster) for cluster in clusters]
    return NearCopyGroups({row: group for group in groups for row in group})


def assign(
    part: Cleaned,
    rows_by_class: Mapping[str, Sequence[int]],
    splits: Sequence[str],
    shares: Sequence[float],
    seed: int,
    near_copies: NearCopyGroups,
) -> tuple[dict[str, list[int]], tuple[str, ...]]:
    """The rows of each split, and notes for the data report.

    Splits are filled from the last to the second; the first gets the remaining rows. A group of near copies that does
    not fit into a split is left for the splits before it. Groups are divided only where a class would otherwise get
    less than half of its rows in a split.
    """
    waiting = {label: part.shuffled(rows, f"split {seed}") for label, rows in rows_by_class.items()}
    wanted = {
        label: dict(zip(splits, whole_shares(len(rows), shares), strict=True)) for label, rows in rows_by_class.items()
    }
    group_of = dict(near_copies.by_row)
    assigned: dict[str, list[int]] = {}
    divided: set[tuple[int, ...]] = set()
    short_classes: dict[str, None] = {}
    for split in reversed(splits[1:]):
        room = {label: wanted[label][split] for label in rows_by_class}
        chosen: set[int] = set()
        for label, rows in waiting.items():
            for row in rows:
                if not room[label]:
                    break
                group = group_of.get(row)
                if group is None:
                    room[label] -= 1
                    chosen.add(row)
                elif row not in chosen and _fits(part, group, room):
                    for copy in group:
                        room[part.rows.labels[copy]] -= 1
                    chosen.update(group)
        for label, rows in waiting.items():
            if 2 * room[label] <= wanted[label][split]:
                continue
            short_classes[label] = None
            for row in [row for row in rows if row not in chosen][: room[label]]:
                chosen.add(row)
                if row in group_of:
                    divided.add(group_of[row])
                    for copy in group_of[row]:
                        group_of.pop(copy)
        assigned[split] = sorted(chosen)
        waiting = {label: [row for row in rows if row not in chosen] for label, rows in waiting.items()}
    assigned[splits[0]] = sorted(row for rows in waiting.values() for row in rows)
    return assigned, (*near_copies.notes, *_notes(set(group_of.values()), divided, list(short_classes)))


def _fits(part: Cleaned, group: Sequence[int], room: Mapping[str, int]) -> bool:
    labels = [part.rows.labels[row] for row in group]
    return all(labels.count(label) <= room[label] for label in set(labels))


def _notes(
    together: set[tuple[int, ...]], divided: set[tuple[int, ...]], short_classes: Sequence[str]
) -> tuple[str, ...]:
    notes = []
    if together:
        rows, groups = count(sum(map(len, together)), "row"), count(len(together), "group")
        notes.append(f"{rows} in {groups} of near copies were kept together, each group in one split.")
    if divided:
        rows, groups = count(sum(map(len, divided)), "row"), count(len(divided), "group")
        notes.append(
            f"{rows} in {groups} of near copies were divided among several splits: otherwise one of the splits would "
            f"have too few rows of {listing(short_classes)}."
        )
    return tuple(notes)


def whole_shares(total: int, shares: Sequence[float]) -> list[int]:
    """Whole numbers nearest to the shares of a total, none of them 0 (largest remainders)."""
    exact = [total * share / sum(shares) for share in shares]
    parts = [max(1, int(size)) for size in exact]
    while sum(parts) != total:
        step = 1 if sum(parts) < total else -1
        movable = [index for index, size in enumerate(parts) if size + step > 0]
        parts[max(movable, key=lambda index: step * (exact[index] - parts[index]))] += step
    return parts
