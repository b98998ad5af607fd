"""Texts that a data set reads: in memory while they are few, in a file without a name beyond that."""

from __future__ import annotations

import itertools
import operator
import os
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

from ftkit.data.on_disk import Chosen, ReadWhenAsked, room_needed, unnamed_file

IN_MEMORY = 2**29
"""Characters up to which texts are kept in memory, those of 1.5 million texts of 60 words: to read them again takes a quarter longer."""
PART = 2**20
"""Characters that are written, and bytes that are read at a time."""
SPARSE = 4
"""Rows are read one by one where the bytes around them are more than this many times their own."""


class Texts(ReadWhenAsked[str]):
    """A list of texts that only grows."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._recent: list[str] = []
        """The last texts, those that are not in the file."""
        self._waiting = 0
        """Their characters."""
        self._file: BinaryIO | None = None
        self._ends = array("q", [0])
        """Where each text of the file ends, in bytes, behind the beginning of the first."""
        self.extend(texts)

    @property
    def on_disk(self) -> bool:
        """Whether there are so many that they are in a file."""
        return self._file is not None

    def append(self, text: str) -> None:
        """Add a text. Raises: DataError on a full disk."""
        self._recent.append(text)
        self._waiting += len(text)
        if self._waiting >= (IN_MEMORY if self._file is None else PART):
            self._write()

    def extend(self, texts: Iterable[str]) -> None:
        """Add texts."""
        for text in texts:
            self.append(text)

    def __len__(self) -> int:
        return len(self._ends) - 1 + len(self._recent)

    def __iter__(self) -> Iterator[str]:
        return iter(self._recent) if self._file is None else super().__iter__()

    def at(self, rows: Iterable[int]) -> Iterator[str]:
        """The texts of these rows, in this order; ascending ones are read many at a time."""
        written = len(self._ends) - 1
        if not written:
            yield from map(self._recent.__getitem__, rows)
            return
        for some in _some(rows):
            if some[-1] >= written or not all(map(operator.lt, some, some[1:])):
                yield from map(self._one, some)
            else:
                yield from self._ascending(some)

    def _one(self, row: int) -> str:
        written = len(self._ends) - 1
        if row >= written:
            return self._recent[row - written]
        return str(self._read(self._ends[row], self._ends[row + 1]), "utf-8", "surrogatepass")

    def _ascending(self, rows: Sequence[int]) -> Iterator[str]:
        begins, ends, place = [self._ends[row] for row in rows], [self._ends[row + 1] for row in rows], 0
        while place < len(rows):
            first = begins[place]
            after = max(place + 1, bisect_right(ends, first + PART, place))
            wanted = sum(ends[place:after]) - sum(begins[place:after])
            if ends[after - 1] - first > SPARSE * max(wanted, 1):
                yield from map(self._one, rows[place:after])
            else:
                content = memoryview(self._read(first, ends[after - 1]))
                for begin, end in zip(begins[place:after], ends[place:after], strict=True):
                    yield str(content[begin - first : end - first], "utf-8", "surrogatepass")
            place = after

    def _read(self, begin: int, end: int) -> bytes:
        assert self._file is not None
        parts = []
        while begin < end and (part := os.pread(self._file.fileno(), end - begin, begin)):
            parts.append(part)
            begin += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _write(self) -> None:
        with room_needed("the texts"):
            if self._file is None:
                self._file = unnamed_file()
            end, place = self._ends[-1], 0
            for some in _parts(self._recent):
                content = memoryview(b"".join(some))
                while place < len(content):
                    place += os.pwrite(self._file.fileno(), content[place:], end + place)
                for text in some:
                    end += len(text)
                    self._ends.append(end)
                place = 0
        self._recent.clear()
        self._waiting = 0


def chosen(texts: Sequence[str], rows: Sequence[int]) -> Sequence[str]:
    """The texts of these rows: in memory if all of the texts are, otherwise to be read where those are."""
    if not isinstance(texts, ReadWhenAsked):
        return tuple(map(texts.__getitem__, rows))
    return tuple(texts.at(rows)) if isinstance(texts, Texts) and not texts.on_disk else Chosen(texts, rows)


def _some(rows: Iterable[int]) -> Iterator[Sequence[int]]:
    """The rows, many at a time: a range stays one."""
    if isinstance(rows, range) and rows.step == 1:
        yield from (rows[begin : begin + 2**16] for begin in range(0, len(rows), 2**16))
        return
    left = iter(rows)
    while some := [*itertools.islice(left, 2**12)]:
        yield some


def _parts(texts: Sequence[str]) -> Iterator[list[bytes]]:
    """The texts in UTF-8, of about `PART` characters at a time."""
    part: list[bytes] = []
    size = 0
    for text in texts:
        part.append(text.encode("utf-8", "surrogatepass"))
        size += len(text)
        if size >= PART:
            yield part
            part, size = [], 0
    if part:
        yield part
