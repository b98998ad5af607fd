"""Values that stay on the disk and are read when they are asked for: sequences that equal a tuple, and files without a name."""

from __future__ import annotations

import itertools
import tempfile
from abc import abstractmethod
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, Generic, TypeVar, cast, overload

from ftkit import files
from ftkit.errors import DataError

V = TypeVar("V")


class ReadWhenAsked(Sequence[V], Generic[V]):
    """A sequence of which only the length is in memory; a slice is a tuple of its values."""

    @abstractmethod
    def at(self, rows: Iterable[int]) -> Iterator[V]:
        """The values of these rows, in this order."""

    @overload
    def __getitem__(self, row: int) -> V: ...

    @overload
    def __getitem__(self, row: slice) -> tuple[V, ...]: ...

    def __getitem__(self, row: int | slice) -> V | tuple[V, ...]:
        rows = range(len(self))
        if isinstance(row, slice):
            return tuple(self.at(rows[row]))
        return next(self.at((rows[row],)))

    def __iter__(self) -> Iterator[V]:
        return self.at(range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str | bytes):
            return NotImplemented
        return len(self) == len(other) and all(one == two for one, two in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # equal to a tuple, and not hashed like one

    def __repr__(self) -> str:
        return f"<{len(self):,} values on the disk>"

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (list(self),)  # another machine does not have the file


class Chosen(ReadWhenAsked[V], Generic[V]):
    """Some of the values of a sequence, by their rows there."""

    def __init__(self, values: ReadWhenAsked[V], rows: Iterable[int]) -> None:
        self._values, self._rows = values, array("q", rows)

    def __len__(self) -> int:
        return len(self._rows)

    def at(self, rows: Iterable[int]) -> Iterator[V]:
        """The values of these rows, in this order."""
        return self._values.at(map(self._rows.__getitem__, rows))


class _Joined(ReadWhenAsked[V], Generic[V]):
    """Several sequences one behind the other."""

    def __init__(self, parts: Sequence[Sequence[V]]) -> None:
        self._parts = parts
        self._ends = [*itertools.accumulate(map(len, parts))]

    def __len__(self) -> int:
        return self._ends[-1]

    def __iter__(self) -> Iterator[V]:
        return itertools.chain.from_iterable(self._parts)

    def at(self, rows: Iterable[int]) -> Iterator[V]:
        """The values of these rows, in this order."""
        for row in rows:
            part = bisect_right(self._ends, row)
            yield self._parts[part][row - self._ends[part]]  # counted from the end of the part


def joined(*parts: Sequence[V]) -> Sequence[V]:
    """Sequences one behind the other, in memory if all of them are."""
    if any(isinstance(part, ReadWhenAsked) for part in parts):
        return _Joined(parts)
    return tuple(itertools.chain.from_iterable(parts))


@contextmanager
def room_needed(what: str) -> Iterator[None]:
    """Raises: DataError in place of an OSError of the block, such as that of a full disk; `what` needs the room."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{what} cannot be written to the disk: {error.strerror or error}",
            where=str(files.home()),
            hint="Make room, or set FTKIT_HOME to a larger disk.",
        ) from error


def unnamed_file() -> BinaryIO:
    """A file on the disk of FTKIT_HOME that is gone when it is closed, however the process ends. Raises: OSError."""
    folder = files.home()
    folder.mkdir(parents=True, exist_ok=True)
    return cast(BinaryIO, tempfile.TemporaryFile(dir=folder, buffering=0))
