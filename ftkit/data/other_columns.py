"""What the other columns of a file say about splits: which rows belong together, and when they were written.

    rows.others = OtherColumns.choose(first_rows, skip=("text", "label"))
    rows.others.add([row[name] for name in rows.others.names])  # once for each row that is added to rows

Of each value a number of eight bytes is kept, so that a million rows of ten columns take 80 MB.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from ftkit.data.moments import NAME, Reader, is_number, missing, reader
from ftkit.errors import DataError

MOST = 10
"""Columns that are watched."""
LONGEST = 100
"""Mean characters of a column beyond which it holds texts, which name no group."""
LOOK = 20_000
"""Rows after which a column is left alone if more than `UNIQUE` of its values differ."""
UNIQUE = 0.95

Place = Callable[[int], str]
"""Where a row is, for an error, by its index."""


@dataclass
class OtherColumns:
    """Further columns of the rows of one file; each list has an entry for each row that was added."""

    names: tuple[str, ...] = ()
    """The columns to read, in the order of the values of `add`."""
    numbers: set[str] = field(default_factory=set)
    """The columns of `moments` that have numbers in place of dates."""
    group: str = ""
    """The column by which the recipe groups rows, if it does."""
    time: str = ""
    """The column by which it orders them, if it does."""
    _groups: dict[str, array[int]] = field(default_factory=dict)
    _moments: dict[str, array[float]] = field(default_factory=dict)
    _readers: dict[str, Reader] = field(default_factory=dict)
    _waiting: list[Sequence[Any]] = field(default_factory=list)
    """The values of the last rows: many rows at a time are several times as fast."""
    _looked: bool = False

    @property
    def groups(self) -> Mapping[str, array[int]]:
        """Columns whose values may repeat: a hash of each value, 0 where it is missing. Each process has hashes of its own."""
        self._flush()
        return self._groups

    @property
    def moments(self) -> Mapping[str, array[float]]:
        """Columns of dates and times as numbers, NaN where there is none."""
        self._flush()
        return self._moments

    @classmethod
    def choose(
        cls,
        first_rows: Sequence[Mapping[str, Any]],
        skip: Collection[str],
        group: str = "",
        time: str = "",
        only: Sequence[str] | None = None,
    ) -> OtherColumns:
        """The columns of a file to watch, by its first rows: `group` and `time`, which the recipe names, and others.

        `only` are the columns that are read, if that is decided. Raises: DataError where `time` has no dates.
        """
        watch = cls(group=group, time=time)
        names = dict.fromkeys(name for row in first_rows for name in row if name and name not in skip)
        chosen = [name for name in (group, time) if name]
        for name in only if only is not None else [*chosen, *(name for name in names if name not in chosen)]:
            values = [row[name] for row in first_rows if name in row and not missing(row[name])]
            if name == time:
                watch._watch_moments(name, _reader(name, values))
            elif name == group:
                watch._groups[name] = array("q")
            elif len(watch.names) >= MOST or not values or not all(map(_plain, values)):
                continue
            elif read := reader(values, numbers=NAME.search(name.lower()) is not None):
                if not is_number(read) or all(1e8 < float(value) < 4.2e12 for value in values):
                    watch._watch_moments(name, read)
                else:
                    continue
            elif any(isinstance(value, float) for value in values) or sum(map(_length, values)) > LONGEST * len(values):
                continue
            else:
                watch._groups[name] = array("q")
            watch.names = (*watch.names, name)
        watch.names = watch.names if only is None else tuple(only)
        return watch

    def _watch_moments(self, name: str, read: Reader) -> None:
        self._moments[name], self._readers[name] = array("d"), read
        if is_number(read):
            self.numbers.add(name)

    def add(self, values: Sequence[Any]) -> None:
        """Keep the values of a row, in the order of `names`."""
        self._waiting.append(values)
        if len(self._waiting) == LOOK:
            self._flush()
            if not self._looked:
                self._leave_alone()

    def watch(self, columns: Mapping[str, Sequence[Any]], group: str, time: str, place: Place) -> None:
        """Look at the columns of all rows that a recipe names, if they are among these and are not looked at yet.

        `place` says where a row is. Raises: DataError for a column without dates or numbers, and for a value that is no date.
        """
        if group in columns and group not in self.groups:
            self._groups[group] = array("q", map(_hash, columns[group]))
        if time in columns and time not in self.moments:
            values = columns[time]
            self._watch_moments(time, _reader(time, [value for value in values if not missing(value)]))
            for row, value in enumerate(values):
                moment = self.moment(time, value)
                if math.isnan(moment) and not missing(value):
                    raise DataError(
                        f"{str(value)!r:.60} in {time!r} is no date in the form of the first ones",
                        where=place(row),
                        hint="Write dates as 2024-12-31 or 2024-12-31T23:59:00, and all in one form.",
                    )
                self._moments[time].append(moment)

    def extend(self, other: OtherColumns, source: str) -> None:
        """Add the rows of another file, `source`; a column that one of the two lacks, or reads otherwise, is left alone.

        Raises: DataError where that is the column to order by.
        """
        for name in [*self.moments]:
            if name in other.moments and (name in self.numbers) == (name in other.numbers):
                self._moments[name].extend(other.moments[name])
            elif name == self.time:
                kinds = ["numbers" if name in each.numbers else "dates" for each in (other, self)]
                raise DataError(
                    f"the column {name!r} has {kinds[0]} here and {kinds[1]} in another file",
                    where=source,
                    hint="Write the column in the same form in all files.",
                )
            else:
                del self._moments[name]
        for name in [*self.groups]:
            if name in other.groups:
                self._groups[name].extend(other.groups[name])
            else:
                del self._groups[name]

    def _flush(self) -> None:
        for name, column in zip(self.names, zip(*self._waiting, strict=True), strict=False):
            if name in self._groups:
                self._groups[name].extend(map(_hash, column))
            elif name in self._moments:
                known: dict[Any, float] = {}
                for value in column:
                    key = (type(value), value if isinstance(value, str | int | float | date) else str(value))
                    if (moment := known.get(key)) is None:
                        moment = known[key] = self.moment(name, value)
                    self._moments[name].append(moment)
        self._waiting.clear()

    def moment(self, name: str, value: Any) -> float:
        """A value of a column of dates as a number; NaN where it is missing or cannot be read."""
        try:
            return math.nan if missing(value) else self._readers[name](value)
        except (ValueError, TypeError, OverflowError):
            return math.nan

    def _leave_alone(self) -> None:
        """Drop columns of which hardly a value repeats among the first rows."""
        self._looked = True
        for name, values in [*self._groups.items()]:
            if len(set(values)) > UNIQUE * len(values) and name != self.group:
                del self._groups[name]


def _reader(name: str, values: Sequence[Any]) -> Reader:
    """What reads the column that a recipe orders by. Raises: DataError."""
    if read := reader(values, numbers=True):
        return read
    shown = f": {str(values[0])!r:.60}" if values else ""
    raise DataError(
        f"the column {name!r} has no dates or numbers that can be read without guessing{shown}",
        where=f"time = {name!r}",
        hint="Write dates as 2024-12-31 or 2024-12-31T23:59:00.",
    )


def _plain(value: Any) -> bool:
    return isinstance(value, str | int | float | date)


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str) else 8


def _hash(value: Any) -> int:
    """The same number for the same value, also where one file has it as a number and the other as text."""
    if type(value) is str:
        return hash(value.strip()) or 1 if value and not value.isspace() else 0
    if missing(value):
        return 0
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return hash(str(value).strip()) or 1
