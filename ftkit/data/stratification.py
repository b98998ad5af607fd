"""Splits of rows with several labels: each label in about the same shares of every split, and rows that belong together in one.

Source: Sechidis, Tsoumakas and Vlahavas 2011, "On the Stratification of Multi-Label Data" (iterative stratification).
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from ftkit.data.cleaning import Cleaned
from ftkit.data.grouping import Assigned, linked
from ftkit.data.split_assignment import NearCopyGroups, whole_shares
from ftkit.errors import DataError
from ftkit.formatting import count

L = TypeVar("L", bound=Hashable)


def assign(
    part: Cleaned,
    rows: Sequence[int],
    splits: Sequence[str],
    shares: Sequence[float],
    seed: int,
    near_copies: NearCopyGroups,
    group: str = "",
) -> Assigned:
    """The rows of each split, and notes for the data report. Near copies, and rows of one value in the column `group`, stay together.

    Raises: DataError where a split is left empty.
    """
    units = linked(part, rows, near_copies, f"split {seed}", group)
    labels = [Counter(name for row in unit for name in part.classes_of(row)) for unit in units]
    places = stratified(labels, [*map(len, units)], shares)
    assigned: dict[str, list[int]] = {split: [] for split in splits}
    for unit, place in zip(units, places, strict=True):
        assigned[splits[place]] += unit
    if empty := [split for split in splits if not assigned[split]]:
        raise DataError(
            f"the {count(len(units), 'group')} of rows that stay together are too few or too large for a {empty[0]} split",
            where=part.rows.source,
            hint="Give more rows, or leave group out." if group else "Give more rows.",
        )
    notes = list(near_copies.notes)
    if group:
        notes.append(
            f"The rows of {count(len(units), 'group')} by {group!r} were kept together, each group in one split."
        )
    elif near_copies.by_row:
        groups = [unit for unit in units if len(unit) > 1]
        copies, number = count(sum(map(len, groups)), "row"), count(len(groups), "group")
        notes.append(f"{copies} in {number} of near copies were kept together, each group in one split.")
    return {split: sorted(each) for split, each in assigned.items()}, tuple(notes)


def sample(part: Cleaned, rows: Sequence[int], size: int, seed: int, least: int) -> list[int]:
    """About this many of the rows, each label in about the same share, and with `least` rows if it has as many."""
    rows = part.shuffled(rows, f"sample {seed}")
    labels = [Counter(part.classes_of(row)) for row in rows]
    places = stratified(labels, [1] * len(rows), (size, len(rows) - size), least)
    return sorted(row for row, place in zip(rows, places, strict=True) if place == 0)


def stratified(
    units: Sequence[Mapping[L, int]], sizes: Sequence[int], shares: Sequence[float], least: int = 1
) -> list[int]:
    """The split of each unit of rows, by their number for each label: the rarest label is dealt first, to the splits that lack it most.

    `sizes` are the rows of each unit; `least` rows of each label are wanted in the first split, whatever its share. The last unit
    that has a label comes to the first split if no other has: every label is there.
    """
    left: Counter[L] = Counter()
    units_of: dict[L, list[int]] = {}
    for unit, labels in enumerate(units):
        left.update(labels)
        for label in labels:
            units_of.setdefault(label, []).append(unit)
    lacking = {label: _targets(number, shares, least) for label, number in left.items()}
    room = _targets(sum(sizes), shares)
    waiting = {label: len(each) for label, each in units_of.items()}
    in_first: set[L] = set()
    places = [-1] * len(units)

    def put(unit: int, place: int) -> None:
        if place and any(waiting[label] == 1 and label not in in_first for label in units[unit]):
            place = 0
        places[unit] = place
        room[place] -= sizes[unit]
        for label, number in units[unit].items():
            lacking[label][place] -= number
            left[label] -= number
            waiting[label] -= 1
        if not place:
            in_first.update(units[unit])

    order = range(len(shares))
    by_rows = [(number, str(label), label) for label, number in left.items()]
    heapq.heapify(by_rows)
    while waiting:
        number, _, rarest = heapq.heappop(by_rows)
        if left[rarest] != number or rarest not in waiting:
            continue  # it has fewer rows left by now, and a later entry that says so
        touched: set[L] = set()
        for unit in sorted((unit for unit in units_of[rarest] if places[unit] < 0), key=lambda unit: -sizes[unit]):
            lack = lacking[rarest]
            put(unit, max(order, key=lambda place: (lack[place], room[place])))
            touched.update(units[unit])
        del waiting[rarest]
        for label in touched & waiting.keys():
            heapq.heappush(by_rows, (left[label], str(label), label))
    for unit in sorted((unit for unit, place in enumerate(places) if place < 0), key=lambda unit: -sizes[unit]):
        put(unit, max(order, key=room.__getitem__))
    return places


def _targets(total: int, shares: Sequence[float], least: int = 1) -> list[int]:
    """Rows for each split; where there are fewer rows than splits, for the first ones."""
    if total < len(shares):
        return [int(place < total) for place in range(len(shares))]
    parts = whole_shares(total, [max(share, 1e-9) for share in shares])
    for place in reversed(range(1, len(parts))):
        moved = min(max(0, min(least, total) - parts[0]), parts[place])
        parts[0] += moved
        parts[place] -= moved
    return parts
