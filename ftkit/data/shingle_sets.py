"""Texts as sets of shingles: their minimum hashes, and how similar two of them are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ftkit.data.on_disk import room_needed, unnamed_file
from ftkit.data.shingles import BITS, shingles, steps
from ftkit.data.texts import chosen

if TYPE_CHECKING:
    import numpy as np

HASHES = 128
"""Hashes of a text, in bands."""
BLOCK = 2**16
"""Shingles to hash or compare at a time: work that fits a processor's cache is several times as fast."""
IN_MEMORY = 2**25
"""Shingles of texts up to which their sets are kept in memory."""
TEXTS = 2**14
"""Texts, or pairs of texts, whose sets are in memory at a time where not all of them are."""


class Sets:
    """The shingle sets of some texts, for hashing and for the similarity of pairs."""

    def __init__(self, texts: Sequence[str], shingle: int) -> None:
        import numpy as np

        self.values, self.sizes = shingles(texts, shingle)
        self.starts = np.cumsum(self.sizes) - self.sizes

    def keys(self, length: int, seed: int = 0) -> np.ndarray:
        """For each band, a number per text, equal where all minimum hashes of the band are equal; (bands, texts)."""
        import numpy as np

        random = np.random.default_rng(seed)
        factors = random.integers(0, 2**63, HASHES, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
        keys = np.zeros((HASHES // length, len(self.sizes)), dtype=np.uint64)
        for block in np.array_split(np.arange(len(self.sizes)), -(-len(self.values) // BLOCK)):
            if not len(block):
                continue
            begin = self.starts[block[0]]
            values = self.values[begin : self.starts[block[-1]] + self.sizes[block[-1]]]
            starts, block_keys = self.starts[block] - begin, keys[:, block[0] : block[-1] + 1]
            for index, factor in enumerate(factors[: len(keys) * length]):
                hashed = values * factor
                # The low bits of a product do not depend on the high bits of its factors.
                hashed ^= hashed >> np.uint64(32)
                hashed *= factor
                block_keys[index // length] ^= np.minimum.reduceat(hashed, starts)
                block_keys[index // length] *= np.uint64(0x9E3779B97F4A7C15)
        return keys

    def similarity(self, pairs: np.ndarray, threshold: float) -> np.ndarray:
        """Jaccard similarity of each pair, shared shingles over all; 0 where the sizes alone rule the threshold out."""
        import numpy as np

        sizes = self.sizes[pairs]
        similarity = np.zeros(len(pairs))
        fitting = np.flatnonzero(sizes.min(axis=1) >= threshold * sizes.max(axis=1) - 1e-9)
        parts = np.cumsum(sizes[fitting].sum(axis=1)) // BLOCK
        for part in np.unique(parts):
            chosen = fitting[parts == part]
            for block in np.array_split(chosen, -(-len(chosen) // 2 ** (64 - BITS))):
                similarity[block] = self._jaccard(pairs[block])
        return similarity

    def _jaccard(self, pairs: np.ndarray) -> np.ndarray:
        import numpy as np

        sides = pairs.T.reshape(-1)
        sizes = self.sizes[sides]
        values = self.values[np.repeat(self.starts[sides], sizes) + steps(sizes)]
        owner = np.repeat(np.tile(np.arange(len(pairs), dtype=np.uint64), 2), sizes)
        values = np.sort(owner << np.uint64(BITS) | values)
        twice = values[1:][values[1:] == values[:-1]] >> np.uint64(BITS)
        shared = np.bincount(twice.astype(np.int64), minlength=len(pairs))
        return shared / (self.sizes[pairs].sum(axis=1) - shared)


class SetsOnDisk:
    """The same for more texts than there is memory for: keys are in a file, and texts are read again for their similarity."""

    def __init__(self, texts: Sequence[str], shingle: int) -> None:
        self._texts, self._shingle = texts, shingle

    def keys(self, length: int, seed: int = 0) -> np.ndarray:
        """The keys of each band, mapped into memory; (bands, texts). Raises: DataError on a full disk."""
        import numpy as np

        with room_needed("the comparison of texts"):
            shape = (HASHES // length, len(self._texts))
            keys = np.memmap(unnamed_file(), np.uint64, "w+", shape=shape)
            for begin in range(0, len(self._texts), TEXTS):
                part = Sets(self._texts[begin : begin + TEXTS], self._shingle).keys(length, seed)
                keys[:, begin : begin + part.shape[1]] = part
        return keys

    def similarity(self, pairs: np.ndarray, threshold: float) -> np.ndarray:
        """Jaccard similarity of each pair."""
        import numpy as np

        similarity = np.zeros(len(pairs))
        for begin in range(0, len(pairs), TEXTS):
            part = pairs[begin : begin + TEXTS]
            rows, place = np.unique(part, return_inverse=True)
            sets = Sets([*chosen(self._texts, rows.tolist())], self._shingle)
            similarity[begin : begin + TEXTS] = sets.similarity(place.reshape(part.shape), threshold)
        return similarity


def sets_of(texts: Sequence[str], shingles: int, shingle: int) -> Sets | SetsOnDisk:
    """The sets of texts that have this many shingles together."""
    return Sets([*texts], shingle) if shingles <= IN_MEMORY else SetsOnDisk(texts, shingle)
