"""Texts that share most of their wording, found without comparing all with all.

A text is the set of its shingles, runs of a few words; how alike two texts are is the Jaccard similarity of their sets. A text that
shares too few of its shingles with any other is out at once. Among the rest, the least hash of two sets is the same with a
probability that is their similarity: bands of such hashes bring similar texts together, and every pair so found is measured exactly.

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
MISSED = 0.001
"""Probability of missing a pair that is exactly as similar as asked for, which decides how long the bands are."""
CROWD = 200
"""Texts that may be similar in a band to one of the other side before only the first are measured."""
NEIGHBOURS = 8
"""Texts of one list that agree in a band are measured with so many of those next to them; chains make up for the rest."""
BLOCK = 2**16
"""Shingles to hash or compare in one go: what fits a processor's cache is done several times as fast."""
ROWS = 2**24
"""Texts that can be told apart beside their shingles."""
STRETCH = 2**20
"""Shingles to count in one go, so that working memory does not grow with the data."""


@dataclass(frozen=True)
class Twin:
    """A text of one list and the most similar one of another."""

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
    """For each of the texts that has one: the most similar of the others, at least as similar as the threshold."""
    if not texts or not others:
        return []
    kept = _sharing([*texts, *others], threshold, shingle, len(texts)).tolist()
    mine = [(row, normal(texts[row])) for row in kept if row < len(texts)]
    first: dict[str, int] = {}
    for row in kept:
        if row >= len(texts):
            first.setdefault(normal(others[row - len(texts)]), row - len(texts))
    found = {row: Twin(row, first[text], 1.0) for row, text in mine if text in first}
    # Only texts that are not there word for word are left to look for, each once.
    left: dict[str, list[int]] = {}
    for row, text in mine:
        if row not in found:
            left.setdefault(text, []).append(row)
    unseen, known = list(left), list(first)
    for one, other, similarity in _near(unseen, known, threshold, shingle, seed) if left and first else ():
        found |= {row: Twin(row, first[known[other]], similarity) for row in left[unseen[one]]}
    return [found[row] for row in sorted(found)]


def clusters(texts: Sequence[str], threshold: float = THRESHOLD, shingle: int = SHINGLE) -> list[list[int]]:
    """Places of texts that are near copies of each other, be it by way of others; texts without any are in no cluster."""
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    kept = _sharing(texts, threshold, shingle)
    if not len(kept):
        return []
    sets = _Sets([texts[row] for row in kept.tolist()], shingle)
    cluster = np.arange(len(kept))
    joined = np.zeros((0, 2), dtype=np.int64)
    for key in sets.keys(_band(threshold), seed=0):
        pairs = _neighbours(key)
        pairs = pairs[cluster[pairs[:, 0]] != cluster[pairs[:, 1]]]
        pairs = pairs[sets.similarity(pairs, threshold) >= threshold - 1e-12]
        if len(pairs):
            joined = np.concatenate([joined, pairs])
            links = coo_array((np.ones(len(joined), bool), (joined[:, 0], joined[:, 1])), (len(kept), len(kept)))
            cluster = connected_components(links, directed=False)[1]
    order = np.argsort(cluster, kind="stable")
    ends = np.flatnonzero(np.append(cluster[order][1:] != cluster[order][:-1], True)) + 1
    parts = np.split(kept[order], ends[:-1])
    return sorted(part.tolist() for part in parts if len(part) > 1)


def _sharing(texts: Sequence[str], threshold: float, shingle: int, border: int | None = None) -> np.ndarray:
    """Places of texts that share enough shingles with all others together to be similar to one of them.

    With a border, only what texts before it share with texts behind it counts. Raises: ValueError for too many texts.
    """
    import numpy as np

    if not texts:
        return np.zeros(0, dtype=np.int64)
    if len(texts) > ROWS:
        raise ValueError(f"at most {ROWS:,} texts can be compared")
    # Shingle and text in one number: once these are sorted, all texts with a shingle stand together.
    low = np.uint64(ROWS.bit_length() - 1)
    packed, found, begin = [], [], 0
    for values, sizes in blocks(texts, shingle):
        numbers = np.arange(begin, begin + len(sizes), dtype=np.uint64)
        packed.append(values >> np.uint64(BITS + ROWS.bit_length() - 65) << low | np.repeat(numbers, sizes))
        found.append(sizes)
        begin += len(sizes)
    places, sizes = np.concatenate(packed), np.concatenate(found)
    del packed
    places.sort()
    while True:
        having = np.zeros(len(texts), dtype=np.int64)
        for part in _stretches(places, low):
            rows = (part & np.uint64(ROWS - 1)).astype(np.int64)
            begins = np.flatnonzero(np.append(True, part[1:] >> low != part[:-1] >> low))
            counts = np.diff(np.append(begins, len(part)))
            first, last = rows[begins], rows[begins + counts - 1]
            shared = first != last if border is None else (first < border) & (last >= border)
            having += np.bincount(rows[np.repeat(shared, counts)], minlength=len(texts))
        alive = (having >= threshold * sizes - 1e-9) & (having > 0)
        left = places[alive[(places & np.uint64(ROWS - 1)).astype(np.uint32)]]
        if len(left) >= 0.9 * len(places):
            return np.flatnonzero(alive)
        places = left  # what is shared with texts that are out counts no more


def _stretches(places: np.ndarray, low: np.uint64) -> Iterator[np.ndarray]:
    """Sorted numbers in parts of bounded length that keep equal shingles together."""
    import numpy as np

    begin = 0
    while begin < len(places):
        end = min(begin + STRETCH, len(places))
        if end < len(places):
            end = int(np.searchsorted(places, places[end] >> low << low))
            if end <= begin:  # a shingle of more texts than a stretch has room for
                end = int(np.searchsorted(places, places[begin] | np.uint64(ROWS - 1), "right"))
        yield places[begin:end]
        begin = end


class _Sets:
    """The shingles of some texts, for hashing and for measuring pairs of them."""

    def __init__(self, texts: Sequence[str], shingle: int) -> None:
        import numpy as np

        self.values, self.sizes = shingles(texts, shingle)
        self.starts = np.cumsum(self.sizes) - self.sizes

    def keys(self, length: int, seed: int) -> np.ndarray:
        """Band by band, one number for each text: the same for texts whose least hashes of this band are the same."""
        import numpy as np

        random = np.random.default_rng(seed)
        factors = random.integers(0, 2**63, HASHES, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
        keys = np.zeros((HASHES // length, len(self.sizes)), dtype=np.uint64)
        for some in np.array_split(np.arange(len(self.sizes)), -(-len(self.values) // BLOCK)):
            if not len(some):
                continue
            begin = self.starts[some[0]]
            values = self.values[begin : self.starts[some[-1]] + self.sizes[some[-1]]]
            starts, found = self.starts[some] - begin, keys[:, some[0] : some[-1] + 1]
            for place, factor in enumerate(factors[: len(keys) * length]):
                hashed = values * factor
                hashed ^= hashed >> np.uint64(
                    32
                )  # the low bits of a product know nothing of the high ones of its factors
                hashed *= factor
                found[place // length] ^= np.minimum.reduceat(hashed, starts)
                found[place // length] *= np.uint64(0x9E3779B97F4A7C15)
        return keys

    def similarity(self, pairs: np.ndarray, threshold: float) -> np.ndarray:
        """Jaccard similarity of each pair: shared shingles over all; 0 for sizes too different to be similar enough."""
        import numpy as np

        sizes = self.sizes[pairs]
        found = np.zeros(len(pairs))
        fitting = np.flatnonzero(sizes.min(axis=1) >= threshold * sizes.max(axis=1) - 1e-9)
        parts = np.cumsum(sizes[fitting].sum(axis=1)) // BLOCK
        for part in np.unique(parts):
            chosen = fitting[parts == part]
            for some in np.array_split(chosen, -(-len(chosen) // 2 ** (64 - BITS))):
                found[some] = self._measured(pairs[some])
        return found

    def _measured(self, pairs: np.ndarray) -> np.ndarray:
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
    """Places of each text and its most similar other, where similar enough; the first of several alike."""
    import numpy as np

    sets = _Sets([*texts, *others], shingle)
    found = [_across(key, len(texts)) for key in sets.keys(_band(threshold), seed)]
    pairs = np.unique(np.concatenate(found), axis=0)
    similarity = sets.similarity(pairs, threshold)
    order = np.lexsort((pairs[:, 1], -similarity, pairs[:, 0]))
    rows = pairs[order, 0]
    for place in order[np.append(True, rows[1:] != rows[:-1])[: len(rows)]].tolist():
        if similarity[place] >= threshold - 1e-12:
            yield int(pairs[place, 0]), int(pairs[place, 1]) - len(texts), float(similarity[place])


def _band(threshold: float) -> int:
    """The longest band that misses hardly any pair as similar as the threshold."""
    return max(
        (length for length in range(1, 33) if (1 - threshold**length) ** (HASHES // length) <= MISSED), default=1
    )


def _neighbours(key: np.ndarray) -> np.ndarray:
    """Pairs of one list that agree in a band and stand near each other, (pairs, 2)."""
    import numpy as np

    order = np.argsort(key, kind="stable")
    ranked = key[order]
    found = []
    for step in range(1, min(NEIGHBOURS, len(key) - 1) + 1):
        same = np.flatnonzero(ranked[step:] == ranked[:-step])
        found.append(np.stack([order[same], order[same + step]], axis=1))
    return np.concatenate(found) if found else np.zeros((0, 2), dtype=np.int64)


def _across(key: np.ndarray, border: int) -> np.ndarray:
    """Pairs of a text before the border and one behind it that agree in a band, (pairs, 2)."""
    import numpy as np

    one, other = key[:border], key[border:]
    order = np.argsort(other, kind="stable")
    ranked = other[order]
    low, high = np.searchsorted(ranked, one, "left"), np.searchsorted(ranked, one, "right")
    counts = np.minimum(high - low, CROWD)
    rows = np.repeat(np.arange(len(one)), counts)
    return np.stack([rows, border + order[np.repeat(low, counts) + steps(counts)]], axis=1)
