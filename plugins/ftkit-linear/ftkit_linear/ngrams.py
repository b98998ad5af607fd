"""Texts as weighted n-grams of words and of characters: rows of a sparse matrix."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from ftkit import pairs

if TYPE_CHECKING:
    import numpy as np

Kind = Literal["words", "characters"]

REMEMBERED = 65_536
"""Chunks of text whose n-grams are remembered: most chunks of a text are words that stood in earlier ones."""

_WORDS = re.compile(r"\w+|[^\w\s]")
_CHUNKS = re.compile(r"\S{1,64}")
"""Words with their punctuation; a text without spaces is cut, so that no chunk is endless."""
_SHORTEST = 2
"""Characters of the shortest n-gram."""


@dataclass(frozen=True)
class Ngrams:
    """The n-grams of one kind that a model knows, and the weight of each."""

    kind: Kind
    longest: int
    """Words or characters of the longest n-gram."""
    terms: tuple[str, ...]
    """The n-grams, in the order of the columns."""
    weights: np.ndarray
    """Inverse document frequency of each, (terms,), fp32."""

    def reader(self) -> Callable[[Sequence[str]], Any]:
        """What makes a sparse matrix of texts, (texts, terms), fp32: rows of unit length, empty where nothing is known."""
        import numpy as np

        numbers = {term: number for number, term in enumerate(self.terms)}
        numbered = _numbered(self.kind, self.longest, numbers.get)

        def read(texts: Sequence[str]) -> Any:
            counts = _counts(map(numbered, texts), len(self.terms))
            weighted = (1 + np.log(counts.data)) * self.weights[counts.indices]
            rows = np.repeat(np.arange(len(texts)), np.diff(counts.indptr))
            lengths = np.sqrt(np.bincount(rows, weights=weighted**2, minlength=len(texts)))  # (texts,)
            counts.data = (weighted / lengths[rows]).astype(np.float32)
            return counts

        return read


def learned(kind: Kind, longest: int, texts: Iterable[str], least: int, most: int) -> Ngrams:
    """The n-grams that stand in at least `least` of the texts, the `most` that stand in the most texts.

    Source: Spärck Jones 1972, "A statistical interpretation of term specificity", for the weight, smoothed as in scikit-learn.
    """
    import numpy as np

    numbers: dict[str, int] = {}
    numbered = _numbered(kind, longest, lambda term: numbers.setdefault(term, len(numbers)))
    frequencies, rows = np.zeros(1024, dtype=np.int64), 0
    for row in map(numbered, texts):
        if len(numbers) > len(frequencies):
            frequencies = np.concatenate([frequencies, np.zeros(max(len(numbers), len(frequencies)), dtype=np.int64)])
        frequencies[np.unique(row)] += 1
        rows += 1
    kept = [(-int(frequencies[number]), term) for term, number in numbers.items() if frequencies[number] >= least]
    kept = sorted(kept)[:most]
    frequency = np.array([-count for count, _ in kept], dtype=np.float64)
    weights = (np.log((1 + rows) / (1 + frequency)) + 1).astype(np.float32)
    return Ngrams(kind, longest, tuple(term for _, term in kept), weights)


def _counts(rows: Iterable[np.ndarray], columns: int) -> Any:
    """How often each number stands in each row, as a sparse matrix, (rows, columns), fp32."""
    import numpy as np
    from scipy import sparse

    indices, counts, ends = [np.zeros(0, dtype=np.int32)], [np.zeros(0, dtype=np.float32)], [0]
    for row in rows:
        numbers, times = np.unique(row, return_counts=True)
        indices.append(numbers.astype(np.int32))
        counts.append(times.astype(np.float32))
        ends.append(ends[-1] + len(numbers))
    return sparse.csr_matrix((np.concatenate(counts), np.concatenate(indices), ends), shape=(len(ends) - 1, columns))


def _numbered(kind: Kind, longest: int, number: Callable[[str], int | None]) -> Callable[[str], np.ndarray]:
    """What gives the numbers of the n-grams of a text, each as often as it stands there; n-grams without a number are left out.

    Those of the second side of a pair are others than those of the first: they begin with the mark of that side.
    """
    import numpy as np

    def numbers_of(terms: Iterable[str]) -> np.ndarray:
        known = [found for term in terms if (found := number(term)) is not None]
        return np.array(known, dtype=np.int32)

    def of_words(text: str, mark: str) -> np.ndarray:
        return numbers_of(mark + term for term in _word_ngrams(text, longest))

    @lru_cache(REMEMBERED)
    def of_chunk(chunk: str, mark: str) -> np.ndarray:
        return numbers_of(mark + term for term in _character_ngrams(chunk, longest))

    def of_characters(text: str, mark: str) -> np.ndarray:
        chunks = [of_chunk(chunk, mark) for chunk in _CHUNKS.findall(_normal(text))]
        return np.concatenate(chunks) if chunks else np.zeros(0, dtype=np.int32)

    of_side = of_words if kind == "words" else of_characters

    def of_text(text: str) -> np.ndarray:
        if not pairs.is_pair(text):
            return of_side(text, "")
        first, second = pairs.sides(text)
        return np.concatenate([of_side(first, ""), of_side(second, pairs.SEPARATOR)])

    return of_text


def _word_ngrams(text: str, longest: int) -> Iterator[str]:
    """Sequences of up to `longest` words; a mark of punctuation is a word."""
    words = _WORDS.findall(_normal(text))
    for length in range(1, longest + 1):
        for start in range(len(words) - length + 1):
            yield " ".join(words[start : start + length])


def _character_ngrams(chunk: str, longest: int) -> Iterator[str]:
    """Sequences of characters of a chunk, with a space at its ends."""
    padded = f" {chunk} "
    for length in range(_SHORTEST, min(longest, len(padded)) + 1):
        for start in range(len(padded) - length + 1):
            yield padded[start : start + length]


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", text).lower()
