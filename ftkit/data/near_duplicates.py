"""Find texts that share most of their wording, without comparing every text with every other.

A text is treated as the set of its shingles, runs of a few words; the similarity of two texts is the Jaccard similarity
of their sets. A text that shares too few shingles with all others is left out first. Among the rest, two sets have the
same minimum hash with a probability equal to their similarity (MinHash): texts that agree in a band of such hashes are
candidates, and the similarity of every candidate pair is computed exactly.

Source: Broder 1997, "On the resemblance and containment of documents"; Leskovec, Rajaraman and Ullman 2020, "Mining of
Massive Datasets", section 3.4, on bands.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftkit.data.shared_shingles import Seen, sharing
from ftkit.data.shingle_sets import HASHES, Sets, sets_of
from ftkit.data.shingles import normal, steps
from ftkit.data.texts import chosen

if TYPE_CHECKING:
    import numpy as np

THRESHOLD = 0.7
"""Similarity from which two texts count as near copies."""
SHINGLE = 3
"""Words of a shingle."""

MISSED = 0.001
"""Probability of missing a pair whose similarity equals the threshold; it decides the length of the bands."""
CROWD = 200
"""Candidates in one band for a text of the other list; where there are more, only the first are measured."""
NEIGHBOURS = 8
"""Texts of one list that agree in a band are each compared with this many of the next ones; chains link the others."""


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
    both, count = itertools.chain(texts, others), len(texts) + len(others)
    candidates = sharing(both, count, threshold, shingle, len(texts))[0].tolist()
    rows = [row for row in candidates if row < len(texts)]
    candidate_texts = [(row, normal(text)) for row, text in zip(rows, chosen(texts, rows), strict=True)]
    other_rows = [row - len(texts) for row in candidates[len(rows) :]]
    first_other: dict[str, int] = {}
    for row, text in zip(other_rows, chosen(others, other_rows), strict=True):
        first_other.setdefault(normal(text), row)
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


def clusters(
    texts: Sequence[str], threshold: float = THRESHOLD, shingle: int = SHINGLE, seen: Seen = lambda number: None
) -> list[list[int]]:
    """Groups of texts linked by near copies, as indices; a text without near copies is in no group.

    `seen` is called with the number of texts that were looked at. Raises: DataError on a full disk.
    """
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    candidates, shingles = sharing(texts, len(texts), threshold, shingle, seen=seen)
    if not len(candidates):
        return []
    sets = sets_of(chosen(texts, candidates.tolist()), shingles, shingle)
    cluster = np.arange(len(candidates))
    joined = np.zeros((0, 2), dtype=np.int64)
    for key in sets.keys(_band(threshold)):
        pairs = _neighbours(key, cluster)
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


def _near(
    texts: Sequence[str], others: Sequence[str], threshold: float, shingle: int, seed: int
) -> Iterator[tuple[int, int, float]]:
    """Indices of each text and of the first of its most similar others, where similar enough, with the similarity."""
    import numpy as np

    sets = Sets([*texts, *others], shingle)
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


def _neighbours(key: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """Pairs of texts of one list that agree in a band, are near each other in it and in no cluster together, (pairs, 2)."""
    import numpy as np

    order = np.argsort(key, kind="stable")
    ranked = key[order]
    pairs = []
    for step in range(1, min(NEIGHBOURS, len(key) - 1) + 1):
        same = np.flatnonzero(ranked[step:] == ranked[:-step])
        one, other = order[same], order[same + step]
        apart = cluster[one] != cluster[other]
        pairs.append(np.stack([one[apart], other[apart]], axis=1))
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
