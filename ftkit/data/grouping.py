"""Splits by what a column says: all rows of a group in one split, or the newest rows in the test split."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from ftkit.data import moments
from ftkit.data.cleaning import Cleaned
from ftkit.data.split_assignment import NearCopyGroups, whole_shares
from ftkit.errors import DataError
from ftkit.formatting import count

V = TypeVar("V")

Assigned = tuple[dict[str, list[int]], tuple[str, ...]]
"""The rows of each split, and notes for the data report."""


def by_group(
    part: Cleaned,
    rows_by_class: Mapping[str, Sequence[int]],
    splits: Sequence[str],
    shares: Sequence[float],
    seed: int,
    column: str,
    near_copies: NearCopyGroups,
) -> Assigned:
    """Keep the rows of a group in one split, together with their near copies; classes have their shares as far as groups allow.

    Splits are filled from the last to the second, by groups in an order that a hash of their rows and the seed decides; a group
    that does not fit is left for the splits before it. Where a class would get less than half of its rows in a split, groups
    that exceed the shares the least are taken as well. Raises: DataError where a split or the training of a class is left empty.
    """
    rows = [row for each in rows_by_class.values() for row in each]
    groups = linked(part, rows, near_copies, f"group {seed}", column)
    left = Counter({label: len(rows) for label, rows in rows_by_class.items()})
    wanted = {label: dict(zip(splits, whole_shares(size, shares), strict=True)) for label, size in left.items()}
    waiting = [(rows, Counter(part.rows.labels[row] for row in rows)) for rows in groups]
    assigned: dict[str, list[int]] = {}
    for split in reversed(splits[1:]):
        room = Counter({label: wanted[label][split] for label in wanted})
        chosen: set[int] = set()
        for index, (_, sizes) in enumerate(waiting):
            if all(size <= room[label] and size < left[label] for label, size in sizes.items()):
                chosen.add(index)
                room.subtract(sizes)
                left.subtract(sizes)
        for label in wanted:
            while 2 * room[label] > wanted[label][split]:
                usable = [
                    (sum(max(0, size - max(room[each], 0)) for each, size in sizes.items()), index)
                    for index, (_, sizes) in enumerate(waiting)
                    if index not in chosen and sizes[label] and all(size < left[each] for each, size in sizes.items())
                ]
                if not usable:
                    break
                _, index = min(usable)
                chosen.add(index)
                room.subtract(waiting[index][1])
                left.subtract(waiting[index][1])
        assigned[split] = sorted(row for index in chosen for row in waiting[index][0])
        waiting = [each for index, each in enumerate(waiting) if index not in chosen]
    assigned[splits[0]] = sorted(row for rows, _ in waiting for row in rows)
    if empty := [split for split in splits if not assigned[split]]:
        raise DataError(
            f"the {count(len(groups), 'group')} of the column {column!r} are too few or too large for a {empty[0]} split",
            where=part.rows.source,
            hint="Group by a column with more values, or leave group out.",
        )
    note = f"The rows of {count(len(groups), 'group')} by {column!r} were kept together, each group in one split."
    return assigned, (*near_copies.notes, note)


def by_time(
    part: Cleaned,
    rows: Sequence[int],
    classes: Iterable[str],
    splits: Sequence[str],
    shares: Sequence[float],
    column: str,
) -> Assigned:
    """The newest rows go to the last split, the oldest to the first. Raises: DataError for a class without training rows."""
    at = _values(part, part.rows.others.moments, column)
    rows = _by_time(rows, at, part)
    assigned: dict[str, list[int]] = {}
    begin = 0
    for split, size in zip(splits, whole_shares(len(rows), shares), strict=True):
        assigned[split] = rows[begin : begin + size]
        begin += size
    train = {label for row in assigned[splits[0]] for label in part.classes_of(row)}
    dated = column not in part.rows.others.numbers
    if late := [label for label in classes if label not in train]:
        first = moments.shown(min(at[row] for row in rows if late[0] in part.classes_of(row)), dated=dated)
        raise DataError(
            f"the class {late[0]!r} has no training rows, because its rows are among the newest: the first is of {first}",
            where=part.rows.source,
            hint="Add rows, leave the class out, or leave time out, so that every class is in every split.",
        )
    spans = (
        f"{split} {moments.shown(at[indices[0]], dated=dated)} to {moments.shown(at[indices[-1]], dated=dated)}"
        for split, indices in assigned.items()
    )
    notes = f"Split by {column!r}, the newest rows last: {', '.join(spans)}."
    return {split: sorted(indices) for split, indices in assigned.items()}, (notes,)


def _by_time(rows: Sequence[int], at: Sequence[float], part: Cleaned) -> list[int]:
    """Rows from the oldest to the newest, those of one time in the order of their texts' digests."""
    import numpy as np

    chosen = np.array(rows)
    digests = part.digests.numbers[chosen]
    order: list[int] = chosen[np.lexsort((digests[:, 1], digests[:, 0], np.asarray(at)[chosen]))].tolist()
    return order


def absent_classes(
    part: Cleaned, assigned: Mapping[str, Sequence[int]], classes: Iterable[str], option: str
) -> list[str]:
    """Warnings for classes that a split lacks, because the recipe's `option` decides about the rows."""
    warnings = []
    for split, rows in assigned.items():
        present = {label for row in rows for label in part.classes_of(row)}
        if lacking := [label for label in classes if label not in present]:
            names = ", ".join(f"{label!r:.40}" for label in lacking[:5])
            more = f" and {len(lacking) - 5:,} more" if len(lacking) > 5 else ""
            warnings.append(
                f"The {split} split has no rows of {names}{more}, because {option} decides which rows are in it."
            )
    return warnings


def _values(part: Cleaned, columns: Mapping[str, V], column: str) -> V:
    if column not in columns:
        raise DataError(
            f"the data set has not read the column {column!r}",
            where=part.rows.source,
            hint="Its author adds it to `Rows.others`.",
        )
    return columns[column]


def linked(
    part: Cleaned, rows: Sequence[int], near_copies: NearCopyGroups, salt: str, column: str = ""
) -> list[list[int]]:
    """Rows linked by the same value of a column or by near copies, in the order of the first row by a hash.

    A missing value links nothing. Raises: DataError for a column that was not read, or that has one value only.
    """
    values = _values(part, part.rows.others.groups, column) if column else None
    rows = part.shuffled(rows, salt)
    root = array("q", range(len(part.digests)))

    def top(row: int) -> int:
        while root[row] != row:
            root[row] = row = root[root[row]]
        return row

    if values is not None:
        first_of: dict[int, int] = {}
        for row in rows:
            if values[row]:
                root[top(row)] = top(first_of.setdefault(values[row], row))
        if len(first_of) < 2:
            raise DataError(
                f"the column {column!r} has {'one value' if first_of else 'no value'} in all rows: there are no groups to keep together",
                where=part.rows.source,
                hint="Group by a column with more values, or leave group out.",
            )
    for group in set(near_copies.by_row.values()):
        for row in group[1:]:
            root[top(row)] = top(group[0])
    groups: dict[int, list[int]] = {}
    for row in rows:
        groups.setdefault(top(row), []).append(row)
    return list(groups.values())
