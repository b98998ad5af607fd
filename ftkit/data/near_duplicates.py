"""Find texts that share most of their wording, without comparing every text with every other.

A text is treated as the set of its shingles, runs of a few words; the similarity of two texts is the Jaccard similarity
of their sets. A text that shares too few shingles with all others is left out first. Among the rest, two sets have the
same minimum hash with a probability equal to their similarity (MinHash): texts that agree in a band of such hashes are
candidates, and the similarity of every candidate pair is computed exactly.

Source: Broder 1997, "On the resemblance and containment of documents"; Leskovec, Rajaraman and Ullman 2020, "Mining of
Massive Datasets", section 3.4, on bands.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftkit.data.shingles import BITS, blocks, normal, shingles, steps

if TYPE_CHECKING:
    import numpy as np

THRESHOLD = 0.7
"""Similarity from which two texts count as near copies."""
SHINGLE = 3
"""Words of a shingle."""

HASHES = 128
"""Hashes of a text, in bands."""
MISSED = 0.001
"""Probability of missing a pair whose similarity equals the threshold; it decides the length of the bands."""
CROWD = 200
"""Candidates in one band for a text of the other list; where there are more, only the first are measured."""
NEIGHBOURS = 8
"""Texts of one list that agree in a band are each compared with this many of the next ones; chains link the others."""
BLOCK = 2**16
"""Shingles to hash or compare at a time: work that fits a processor's cache is several times as fast."""
ROWS = 2**24
"""Largest number of texts: a shingle and the number of its text must fit into 64 bits."""
STRETCH = 2**20
"""Shingles to count at a time, so that working memory does not grow with the data."""


@dataclass(frozen=True)
class Twin:
    """A text of one list and the most similar text of another."""

    row: int
    other: int
    similarity: float
    """1 for the same words in the same order."""


def twins(
    texts: Sequence[str],
    others: Sequence[str],
    threshold: float = THRESHOLD,
    shingle: int = SHINGLE,
    seed: int = 0,
) -> list[Twin]:
    """For each text with a near copy among `others`: the most similar of them, at least as similar as `threshold`."""
    if not texts or not others:
        return []
    candidates = _sharing([*texts, *others], threshold, shingle, len(texts)).tolist()
    candidate_texts = [(row, normal(texts[row])) for row in candidates if row < len(texts)]
    first_other: dict[str, int] = {}
    for row in candidates:
        if row >= len(texts):
            first_other.setdefault(normal(others[row - len(texts)]), row - len(texts))
    twin_of = {row: Twin(row, first_other[text], 1.0) for row, text in candidate_texts if text in first_other}
    # The texts without a copy word for word are compared further, each different one once.
    rows_of: dict[str, list[int]] = {}
    for row, text in candidate_texts:
        if row not in twin_of:
            rows_of.setdefault(text, []).append(row)
    distinct, distinct_others = list(rows_of), list(first_other)
    if distinct and distinct_others:
        for one, other, similarity in _near(distinct, distinct_others, threshold, shingle, seed):
            nearest = first_other[distinct_others[other]]
            twin_of |= {row: Twin(row, nearest, similarity) for row in rows_of[distinct[one]]}
    return [twin_of[row] for row in sorted(twin_of)]


def clusters(texts: Sequence[str], threshold: float = THRESHOLD, shingle: int = SHINGLE) -> list[list[int]]:
    """Groups of texts linked by near copies, as indices; a text without near copies is in no group."""
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    candidates = _sharing(texts, threshold, shingle)
    if not len(candidates):
        return []
    sets = _Sets([texts[row] for row in candidates.tolist()], shingle)
    cluster = np.arange(len(candidates))
    joined = np.zeros((0, 2), dtype=np.int64)
    for key in sets.keys(_band(threshold), seed=0):
        pairs = _neighbours(key)
        pairs = pairs[cluster[pairs[:, 0]] != cluster[pairs[:, 1]]]
        pairs = pairs[sets.similarity(pairs, threshold) >= threshold - 1e-12]
        if len(pairs):
            joined = np.concatenate([joined, pairs])
            links = coo_array(
                (np.ones(len(joined), bool), (joined[:, 0], joined[:, 1])), (len(candidates), len(candidates))
            )
            cluster = connected_components(links, directed=False)[1]
    order = np.argsort(cluster, kind="stable")
    ends = np.flatnonzero(np.append(cluster[order][1:] != cluster[order][:-1], True)) + 1
    parts = np.split(candidates[order], ends[:-1])
    return sorted(part.tolist() for part in parts if len(part) > 1)


def _sharing(texts: Sequence[str], threshold: float, shingle: int, border: int | None = None) -> np.ndarray:
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


class _Sets:
    """The shingle sets of some texts, for hashing and for the similarity of pairs."""

    def __init__(self, texts: Sequence[str], shingle: int) -> None:
        import numpy as np

        self.values, self.sizes = shingles(texts, shingle)
        self.starts = np.cumsum(self.sizes) - self.sizes

    def keys(self, length: int, seed: int) -> np.ndarray:
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


def _near(
    texts: Sequence[str], others: Sequence[str], threshold: float, shingle: int, seed: int
) -> Iterator[tuple[int, int, float]]:
    """Indices of each text and of the first of its most similar others, where similar enough, with the similarity."""
    import numpy as np

    sets = _Sets([*texts, *others], shingle)
    candidates = [_across(key, len(texts)) for key in sets.keys(_band(threshold), seed)]
    pairs = np.unique(np.concatenate(candidates), axis=0)
    similarity = sets.similarity(pairs, threshold)
    order = np.lexsort((pairs[:, 1], -similarity, pairs[:, 0]))
    rows = pairs[order, 0]
    for best in order[np.append(True, rows[1:] != rows[:-1])[: len(rows)]].tolist():
        if similarity[best] >= threshold - 1e-12:
            yield int(pairs[best, 0]), int(pairs[best, 1]) - len(texts), float(similarity[best])


def _band(threshold: float) -> int:
    """The longest band that misses a pair as similar as the threshold with a probability of at most MISSED."""
    return max(
        (length for length in range(1, 33) if (1 - threshold**length) ** (HASHES // length) <= MISSED), default=1
    )


def _neighbours(key: np.ndarray) -> np.ndarray:
    """Pairs of texts of one list that agree in a band and are near each other in it, (pairs, 2)."""
    import numpy as np

    order = np.argsort(key, kind="stable")
    ranked = key[order]
    pairs = []
    for step in range(1, min(NEIGHBOURS, len(key) - 1) + 1):
        same = np.flatnonzero(ranked[step:] == ranked[:-step])
        pairs.append(np.stack([order[same], order[same + step]], axis=1))
    return np.concatenate(pairs) if pairs else np.zeros((0, 2), dtype=np.int64)


def _across(key: np.ndarray, border: int) -> np.ndarray:
    """Pairs of a text before the border and one at or behind it that agree in a band, (pairs, 2)."""
    import numpy as np

    one, other = key[:border], key[border:]
    order = np.argsort(other, kind="stable")
    ranked = other[order]
    low, high = np.searchsorted(ranked, one, "left"), np.searchsorted(ranked, one, "right")
    counts = np.minimum(high - low, CROWD)
    rows = np.repeat(np.arange(len(one)), counts)
    return np.stack([rows, border + order[np.repeat(low, counts) + steps(counts)]], axis=1)
