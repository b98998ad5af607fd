"""Texts as sets of numbers, one for each run of a few words, so that what two texts share can be counted.

In scripts without spaces between words, every character is a word, together with its combining marks.

Whole blocks of texts are processed at once, because a data set may have a million texts.

Source: Broder 1997, "On the resemblance and containment of documents".
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from ftkit.data.words import UNSPACED, marks, ranges

if TYPE_CHECKING:
    import numpy as np

BITS = 48
"""Bits of a shingle's number: among a hundred million different shingles some twenty pairs share a number."""
BLOCK = 2**17
"""Characters to process at a time: work that fits a processor's cache is ten times as fast."""

_ODD = 0x9E3779B97F4A7C15
"""2**64 over the golden ratio: multiplying by it spreads neighbouring numbers."""
_LETTER, _ALONE, _MARK = 1, 2, 3
"""Kinds of characters: part of a word, a word of its own as in scripts without spaces, a mark in such a script."""


def normal(text: str) -> str:
    """A text without the differences that a copy may have: case, punctuation, white space."""
    folded = text.casefold()
    return " ".join(_word().findall(folded)) or " ".join(folded.split())


def shingles(texts: Sequence[str], length: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the shingles of all texts, text by text and sorted within a text, and how many each text has.

    No number repeats within a text. Every text has at least one: a text shorter than `length` words is one shingle.
    """
    import numpy as np

    shingled = [*blocks(texts, length)]
    if not shingled:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    return np.concatenate([values for values, _ in shingled]), np.concatenate([sizes for _, sizes in shingled])


def blocks(texts: Iterable[str], length: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """What `shingles` returns, block by block, each block for some of the texts, in order."""
    return (_shingled(block, length) for block in _blocks(texts))


def _blocks(texts: Iterable[str]) -> Iterator[list[str]]:
    """Texts in blocks of bounded length, so that working memory does not grow with the data."""
    block: list[str] = []
    total = 0
    for text in texts:
        block.append(text)
        total += len(text)
        if total >= BLOCK or len(block) == 2 ** (64 - BITS):
            yield block
            block, total = [], 0
    if block:
        yield block


def _shingled(texts: Sequence[str], length: int) -> tuple[np.ndarray, np.ndarray]:
    import numpy as np

    words, first = _words(texts)
    counts = np.diff(first)
    runs = _runs(words, length)
    whole = np.maximum(counts - length + 1, 0)
    owners = [np.repeat(np.arange(len(texts)), whole)]
    values = [runs[np.repeat(first[:-1], whole) + steps(whole)]]
    for short in range(length):  # a text of fewer words is one shingle
        rows = np.flatnonzero(counts == short)
        owners.append(rows)
        values.append(_runs(words, short)[first[rows]] if short else np.zeros(len(rows), np.uint64))
    keys = np.concatenate(owners).astype(np.uint64) << np.uint64(BITS)
    keys |= _spread(np.concatenate(values)) >> np.uint64(64 - BITS)
    keys.sort()
    keys = keys[np.append(True, keys[1:] != keys[:-1])]
    sizes = np.bincount((keys >> np.uint64(BITS)).astype(np.int64), minlength=len(texts))
    return keys & np.uint64(2**BITS - 1), sizes


def _words(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """A number for each word of all texts, and the index of each text's first word, with the end behind the last."""
    import numpy as np

    folded = [text.casefold() for text in texts]
    codes = np.frombuffer(f" {' '.join(folded)} ".encode("utf-32-le", "surrogatepass"), np.uint32)
    starts = np.append(1, 1 + np.cumsum([len(text) + 1 for text in folded]))
    kinds, space = _characters(1 << int(codes.max()).bit_length())
    kind = kinds[codes]
    inside = kind > 0
    # A text without any word is compared by its other characters, such as emoji.
    bare = np.flatnonzero(np.diff(np.append(0, np.cumsum(inside))[np.append(starts[:-1], len(codes))]) == 0)
    for row in bare:
        part = slice(starts[row], starts[row + 1] - 1)
        inside[part] = ~space[codes[part]]
    if kind.max(initial=0) <= _LETTER:
        edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1
        begins, ends = edges[::2], edges[1::2]
    else:
        before, after = kind[:-1], kind[1:]
        starting = ~inside[:-1] | (after == _ALONE) | ((after == _LETTER) & (before > _LETTER))
        begins = np.flatnonzero(inside[1:] & starting) + 1
        ends = np.flatnonzero(inside[:-1] & (starting | ~inside[1:])) + 1
    powers, inverses = _powers(1 << (len(codes) - 1).bit_length())
    sums = np.cumsum((codes + np.uint64(1)) * powers[: len(codes)], dtype=np.uint64)
    hashed = (sums[ends - 1] - sums[begins - 1]) * inverses[begins]
    return _spread(hashed), np.searchsorted(begins, starts)


def _runs(words: np.ndarray, length: int) -> np.ndarray:
    """A number for the run of words that begins at each word; the last ones reach over the end and are not used."""
    import numpy as np

    runs = words.copy()
    for step in range(1, length):
        runs[: max(0, len(words) - step)] += words[step:] * np.uint64(pow(_ODD, step, 2**64))
    return runs


def steps(counts: np.ndarray) -> np.ndarray:
    """0, 1, …, count - 1 for each count, one after the other."""
    import numpy as np

    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)


def _spread(values: np.ndarray) -> np.ndarray:
    """Mix numbers so that every bit depends on all bits of the value. Source: Stafford, MurmurHash3 variant 13."""
    import numpy as np

    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


@functools.cache
def _word() -> re.Pattern[str]:
    """Matches the words that `_words` finds."""
    alone, mark = f"[{ranges()}]", f"[{marks()}]"
    return re.compile(rf"(?:(?!{alone})\w)+{mark}*|(?={alone})\w{mark}*|{mark}+")


@functools.cache
def _characters(below: int) -> tuple[np.ndarray, np.ndarray]:
    """For every code point below this one, its kind, 0 outside words, and whether it is white space; words are those of `\\w`.

    All of them would take a quarter of a second, and most texts have none beyond the first 16,384.
    """
    import numpy as np

    letters = [chr(code) for code in range(min(below, sys.maxunicode + 1))]
    kind = np.fromiter((letter.isalnum() or letter == "_" for letter in letters), np.int8, len(letters))
    for first, last in UNSPACED:
        kind[first : last + 1] *= _ALONE
    kind[[code for code in map(ord, marks()) if code < below]] = _MARK
    return kind, np.fromiter(map(str.isspace, letters), bool, len(letters))


@functools.cache
def _powers(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Powers of a number modulo 2**64, and their inverses: with them a word's hash is a difference of prefix sums."""
    import numpy as np

    tables = []
    for base in (_ODD, pow(_ODD, -1, 2**64)):
        powers = np.full(count, base, np.uint64)
        powers[0] = 1
        tables.append(np.cumprod(powers, dtype=np.uint64))
    return tables[0], tables[1]
