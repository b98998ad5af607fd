"""Which texts share so many shingles with others that they may be similar to one of them: most texts share few, and are left out.

A shingle and its text are one number, an entry: in sorted order, all texts with the same shingle are next to each other. Many
entries lie in files, each with the shingles that begin with the same bits, so that one file at a time is sorted and counted.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from ftkit.data.on_disk import room_needed, unnamed_file
from ftkit.data.shingles import BITS, blocks

if TYPE_CHECKING:
    import numpy as np

ROWS = 2**24
"""Largest number of texts: a shingle and the number of its text must fit into 64 bits."""
STRETCH = 2**20
"""Entries to count at a time, so that working memory does not grow with the data."""
IN_MEMORY = 2**26
"""Entries up to which they are kept in memory, those of a million texts of 60 words: files take an eighth longer."""
WRITTEN = 2**22
"""Entries that are written at a time."""
FILES = 64
"""Files that entries are divided among, a power of two."""

Seen = Callable[[int], None]
"""Called now and then with the number of texts that were looked at."""


def sharing(
    texts: Iterable[str],
    count: int,
    threshold: float,
    shingle: int,
    border: int | None = None,
    seen: Seen = lambda number: None,
) -> tuple[np.ndarray, int]:
    """Indices of texts that share enough shingles with the others together to be similar to one of them, and how many they have.

    With a border, only shingles that a text before it shares with a text at or behind it count.
    Raises: ValueError for too many texts; DataError on a full disk.
    """
    import numpy as np

    if not count:
        return np.zeros(0, dtype=np.int64), 0
    if count > ROWS:
        raise ValueError(f"at most {ROWS:,} texts can be compared")
    entries, sizes = _entries(texts, shingle, seen)
    number, low = int(sizes.sum()), _low()
    while True:
        shared_counts = np.zeros(count, dtype=np.int64)
        for part in entries.stretches(max(STRETCH, count // 4)):
            rows = (part & np.uint64(ROWS - 1)).astype(np.int64)
            begins = np.flatnonzero(np.append(True, part[1:] >> low != part[:-1] >> low))
            counts = np.diff(np.append(begins, len(part)))
            first, last = rows[begins], rows[begins + counts - 1]
            shared = first != last if border is None else (first < border) & (last >= border)
            shared_counts += np.bincount(rows[np.repeat(shared, counts)], minlength=count)
        alive = (shared_counts >= threshold * sizes - 1e-9) & (shared_counts > 0)
        remaining = int(sizes[alive].sum())
        if remaining >= 0.9 * number:
            return np.flatnonzero(alive), remaining
        entries.keep(alive)  # shingles shared with texts that were left out no longer count
        number = remaining


def _entries(texts: Iterable[str], shingle: int, seen: Seen) -> tuple[_InMemory | _OnDisk, np.ndarray]:
    """The entries of all texts, and how many each text has."""
    import numpy as np

    waiting: list[np.ndarray] = []
    sizes_of_blocks: list[np.ndarray] = []
    disk: _OnDisk | None = None
    begin = number = 0
    for values, sizes in blocks(texts, shingle):
        rows = np.arange(begin, begin + len(sizes), dtype=np.uint64)
        waiting.append(values >> np.uint64(BITS + ROWS.bit_length() - 65) << _low() | np.repeat(rows, sizes))
        sizes_of_blocks.append(sizes)
        begin, number = begin + len(sizes), number + len(values)
        if number >= (IN_MEMORY if disk is None else WRITTEN):
            disk = disk or _OnDisk()
            disk.add(waiting)
            number = 0
        seen(begin)
    if disk is None:
        return _InMemory(waiting), np.concatenate(sizes_of_blocks)
    disk.add(waiting)
    return disk, np.concatenate(sizes_of_blocks)


def _low() -> np.uint64:
    """How many bits of an entry are the number of its text."""
    import numpy as np

    return np.uint64(ROWS.bit_length() - 1)


class _InMemory:
    """Entries in memory."""

    def __init__(self, parts: list[np.ndarray]) -> None:
        import numpy as np

        self._entries = np.concatenate(parts)
        parts.clear()
        self._entries.sort()

    def stretches(self, length: int) -> Iterator[np.ndarray]:
        """All of them, sorted, in parts of about this length that keep equal shingles together."""
        return _stretches(self._entries, length)

    def keep(self, alive: np.ndarray) -> None:
        """Drop those of texts that are not alive."""
        self._entries = _kept(self._entries, alive)


class _OnDisk:
    """Entries in files."""

    def __init__(self) -> None:
        with room_needed("the comparison of texts"):
            self._files: list[BinaryIO] = [unnamed_file() for _ in range(FILES)]
        self._alive: np.ndarray | None = None

    def add(self, parts: list[np.ndarray]) -> None:
        """Write entries, and clear the list. Raises: DataError."""
        import numpy as np

        while parts:
            some = [parts.pop()]
            while parts and sum(map(len, some)) < WRITTEN:
                some.append(parts.pop())
            entries = np.sort(np.concatenate(some))
            bits = np.uint64(64 - (FILES.bit_length() - 1))
            ends = np.searchsorted(entries, np.arange(1, FILES, dtype=np.uint64) << bits)
            for file, part in zip(self._files, np.split(entries, ends), strict=True):
                _append(file, part)

    def stretches(self, length: int) -> Iterator[np.ndarray]:
        """All of them, sorted, in parts of about this length that keep equal shingles together."""
        import numpy as np

        for file in self._files:
            entries = np.frombuffer(os.pread(file.fileno(), _size(file), 0), np.uint64)
            if self._alive is not None:
                entries = _kept(entries, self._alive)
                file.truncate(0)
                _append(file, entries)
            yield from _stretches(np.sort(entries), length)
        self._alive = None

    def keep(self, alive: np.ndarray) -> None:
        """Drop those of texts that are not alive, when they are read the next time."""
        self._alive = alive


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _append(file: BinaryIO, entries: np.ndarray) -> None:
    if not len(entries):
        return
    content, begin, place = entries.data.cast("B"), _size(file), 0
    with room_needed("the comparison of texts"):
        while place < len(content):
            place += os.pwrite(file.fileno(), content[place:], begin + place)


def _kept(entries: np.ndarray, alive: np.ndarray) -> np.ndarray:
    """The entries of texts that are alive."""
    import numpy as np

    return entries[alive[(entries & np.uint64(ROWS - 1)).astype(np.uint32)]]


def _stretches(entries: np.ndarray, length: int) -> Iterator[np.ndarray]:
    """Sorted entries in parts of bounded length that keep equal shingles together."""
    import numpy as np

    begin, low = 0, _low()
    while begin < len(entries):
        end = min(begin + length, len(entries))
        if end < len(entries):
            end = int(np.searchsorted(entries, entries[end] >> low << low))
            if end <= begin:  # a shingle of more texts than a stretch has room for
                end = int(np.searchsorted(entries, entries[begin] | np.uint64(ROWS - 1), "right"))
        yield entries[begin:end]
        begin = end
