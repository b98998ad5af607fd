"""Which texts share so many shingles with others that they may be similar to one of them: most texts share few, and are left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ftkit.data.shingles import BITS, blocks

if TYPE_CHECKING:
    import numpy as np

ROWS = 2**24
"""Largest number of texts: a shingle and the number of its text must fit into 64 bits."""
STRETCH = 2**20
"""Shingles to count at a time, so that working memory does not grow with the data."""


def sharing(texts: Sequence[str], threshold: float, shingle: int, border: int | None = None) -> np.ndarray:
    """Indices of texts that share enough shingles with the others together to be similar to one of them.

    With a border, only shingles that a text before it shares with a text at or behind it count.
    Raises: ValueError for too many texts.
    """
    import numpy as np

    if not texts:
        return np.zeros(0, dtype=np.int64)
    if len(texts) > ROWS:
        raise ValueError(f"at most {ROWS:,} texts can be compared")
    # Shingle and text in one number: in sorted order, all texts with the same shingle are next to each other.
    low = np.uint64(ROWS.bit_length() - 1)
    packed, counts_of_blocks, begin = [], [], 0
    for values, sizes in blocks(texts, shingle):
        numbers = np.arange(begin, begin + len(sizes), dtype=np.uint64)
        packed.append(values >> np.uint64(BITS + ROWS.bit_length() - 65) << low | np.repeat(numbers, sizes))
        counts_of_blocks.append(sizes)
        begin += len(sizes)
    entries, sizes = np.concatenate(packed), np.concatenate(counts_of_blocks)
    del packed
    entries.sort()
    while True:
        shared_counts = np.zeros(len(texts), dtype=np.int64)
        for part in _stretches(entries, low):
            rows = (part & np.uint64(ROWS - 1)).astype(np.int64)
            begins = np.flatnonzero(np.append(True, part[1:] >> low != part[:-1] >> low))
            counts = np.diff(np.append(begins, len(part)))
            first, last = rows[begins], rows[begins + counts - 1]
            shared = first != last if border is None else (first < border) & (last >= border)
            shared_counts += np.bincount(rows[np.repeat(shared, counts)], minlength=len(texts))
        alive = (shared_counts >= threshold * sizes - 1e-9) & (shared_counts > 0)
        remaining = entries[alive[(entries & np.uint64(ROWS - 1)).astype(np.uint32)]]
        if len(remaining) >= 0.9 * len(entries):
            return np.flatnonzero(alive)
        entries = remaining  # shingles shared with texts that were left out no longer count


def _stretches(entries: np.ndarray, low: np.uint64) -> Iterator[np.ndarray]:
    """Sorted numbers in parts of bounded length that keep equal shingles together."""
    import numpy as np

    begin = 0
    while begin < len(entries):
        end = min(begin + STRETCH, len(entries))
        if end < len(entries):
            end = int(np.searchsorted(entries, entries[end] >> low << low))
            if end <= begin:  # a shingle of more texts than a stretch has room for
                end = int(np.searchsorted(entries, entries[begin] | np.uint64(ROWS - 1), "right"))
        yield entries[begin:end]
        begin = end
