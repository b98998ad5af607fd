"""Pairs of texts that share most of their wording, found without comparing all with all.

A text is the set of its shingles, runs of a few words. The least hash of two sets is the same with a probability that is
their Jaccard similarity; bands of such hashes bring similar texts together, and every pair found is then measured exactly.

Source: Broder 1997, "On the resemblance and containment of documents"; Leskovec, Rajaraman and Ullman 2020, "Mining of
Massive Datasets", section 3.4, on bands.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

HASHES = 128
MISSED = 0.001
"""Probability of missing a pair that is exactly as similar as asked for, which decides how long the bands are."""
CROWD = 200
"""Texts that may be similar in a band to one of the other side before only the first are measured."""

_ODD = 0x9E3779B97F4A7C15
"""2**64 over the golden ratio: multiplying by it spreads neighbouring numbers."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Twin:
    """A text of one list and the most similar one of another."""

    row: int
    other: int
    similarity: float
    """1 for the same words in the same order."""


def normal(text: str) -> str:
    """A text without what a copy may differ in: case, punctuation, white space."""
    return " ".join(_WORD.findall(text.casefold())) or " ".join(text.split())


def twins(texts: Sequence[str], others: Sequence[str], threshold: float, shingle: int, seed: int) -> list[Twin]:
    """For each of the texts that has one: the most similar of the others, at least as similar as the threshold."""
    mine, theirs = [normal(text) for text in texts], [normal(text) for text in others]
    first: dict[str, int] = {}
    for place, text in enumerate(theirs):
        first.setdefault(text, place)
    found = {row: Twin(row, first[text], 1.0) for row, text in enumerate(mine) if text in first}
    # Only texts that are not there word for word are left to look for, each once.
    left: dict[str, list[int]] = {}
    for row, text in enumerate(mine):
        if row not in found:
            left.setdefault(text, []).append(row)
    unseen, known = list(left), list(first)
    for one, other, similarity in _near(unseen, known, threshold, shingle, seed) if left and first else ():
        found |= {row: Twin(row, first[known[other]], similarity) for row in left[unseen[one]]}
    return [found[row] for row in sorted(found)]


def _near(
    texts: Sequence[str], others: Sequence[str], threshold: float, shingle: int, seed: int
) -> Iterator[tuple[int, int, float]]:
    """Places of each text and its most similar other, where similar enough."""
    import numpy as np

    values, starts = _shingles([*texts, *others], shingle)
    signatures = _signatures(values, starts, seed)
    pairs = _candidates(signatures[: len(texts)], signatures[len(texts) :], _band(threshold))
    ends = np.append(starts[1:], len(values))
    best: dict[int, tuple[float, int]] = {}
    for one, other in pairs.tolist():
        sets = (values[starts[place] : ends[place]] for place in (one, len(texts) + other))
        similarity = jaccard(*sets)
        if similarity >= threshold - 1e-12 and similarity > best.get(one, (0.0, 0))[0]:
            best[one] = similarity, other
    for one, (similarity, other) in sorted(best.items()):
        yield one, other, similarity


def jaccard(one: np.ndarray, other: np.ndarray) -> float:
    """Shared values over all values of two sets, given without repetition."""
    import numpy as np

    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared / (len(one) + len(other) - shared)


def _shingles(texts: Sequence[str], length: int) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of the shingles of all texts, one text after the other, and where each text begins; none is empty."""
    import numpy as np

    known: dict[str, int] = {}
    found, starts, total = [], [], 0
    powers = np.array([pow(_ODD, place, 2**64) for place in range(length)], dtype=np.uint64)
    for text in texts:
        words = text.split(" ")
        for word in words:
            if word not in known:
                known[word] = zlib.crc32(word.encode("utf-8", "surrogatepass")) * _ODD % 2**64
        hashes = np.array([known[word] for word in words], dtype=np.uint64)
        runs = np.lib.stride_tricks.sliding_window_view(hashes, min(length, len(hashes)))
        values = np.unique((runs * powers[: runs.shape[1]]).sum(axis=1, dtype=np.uint64))
        found.append(values)
        starts.append(total)
        total += len(values)
    return np.concatenate(found), np.array(starts)


def _signatures(values: np.ndarray, starts: np.ndarray, seed: int) -> np.ndarray:
    """The least hash of each text under each of many hash functions, (texts, hashes)."""
    import numpy as np

    random = np.random.default_rng(seed)
    factors = random.integers(0, 2**63, HASHES, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    shifts = random.integers(0, 2**63, HASHES, dtype=np.uint64)
    mixed = values ^ (values >> np.uint64(29))
    found = np.empty((len(starts), HASHES), dtype=np.uint64)
    for place in range(HASHES):
        hashed = mixed * factors[place] + shifts[place]
        hashed ^= hashed >> np.uint64(32)  # the low bits of a product know nothing of the high ones of its factors
        found[:, place] = np.minimum.reduceat(hashed * np.uint64(_ODD), starts)
    return found


def _band(threshold: float) -> int:
    """The longest band that misses hardly any pair as similar as the threshold."""
    return max(
        (length for length in range(1, 33) if (1 - threshold**length) ** (HASHES // length) <= MISSED), default=1
    )


def _candidates(mine: np.ndarray, theirs: np.ndarray, length: int) -> np.ndarray:
    """Pairs that agree in at least one band, (pairs, 2), in order and each once."""
    import numpy as np

    found = []
    for start in range(0, HASHES - length + 1, length):
        one, other = (_key(side[:, start : start + length]) for side in (mine, theirs))
        order = np.argsort(other, kind="stable")
        ranked = other[order]
        low, high = np.searchsorted(ranked, one, "left"), np.searchsorted(ranked, one, "right")
        counts = np.minimum(high - low, CROWD)
        rows = np.repeat(np.arange(len(one)), counts)
        steps = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        found.append(np.stack([rows, order[np.repeat(low, counts) + steps]], axis=1))
    return np.unique(np.concatenate(found), axis=0)


def _key(band: np.ndarray) -> np.ndarray:
    """One number for the hashes of a band."""
    import numpy as np

    key = np.zeros(len(band), dtype=np.uint64)
    for column in band.T:
        key = (key ^ column) * np.uint64(_ODD)
    return key
