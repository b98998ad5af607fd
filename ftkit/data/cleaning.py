"""Which rows are kept: one of each text, none without text, and none of a text whose labels contradict each other."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ftkit.data.rows import Rows
from ftkit.data.words import count_words

EMPTY = "empty text"
DUPLICATE = "duplicate"
CONTRADICTORY = "same text, different labels"
ALSO_IN = "text is also in {}"


def folded(text: str) -> str:
    """The form in which texts are compared: Unicode NFC, case folded, every run of white space one space."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return " ".join(text.casefold().split())


def digest_of(key: str) -> bytes:
    """A digest of a folded text, by which equal texts are recognised, within a split and across splits."""
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()


@dataclass(frozen=True)
class Cleaned:
    """Rows after cleaning, with class names as labels. Rows are named by their index."""

    rows: Rows
    kept: list[int]
    digests: list[bytes]
    """Of each row, a hash of its folded text."""
    words: list[int]
    """Of each row, its number of words."""

    def by_class(self, classes: Sequence[str]) -> dict[str, list[int]]:
        """Kept rows of each class."""
        groups: dict[str, list[int]] = {name: [] for name in classes}
        for index in self.kept:
            groups[self.rows.labels[index]].append(index)
        return groups

    def labelled(self) -> Iterator[bytes]:
        """The digests of the rows that have a class."""
        return (digest for digest, label in zip(self.digests, self.rows.labels, strict=True) if label is not None)

    def shuffled(self, indices: Iterable[int], salt: str) -> list[int]:
        """Rows in an order that depends only on their texts and the salt."""
        salted = hashlib.blake2b(salt.encode(), digest_size=16)

        def sort_key(index: int) -> bytes:
            digest = salted.copy()
            digest.update(self.digests[index])
            return digest.digest()

        return sorted(indices, key=sort_key)


def clean(rows: Rows, seen: Mapping[bytes, str], dropped: Counter[str]) -> Cleaned:
    """Keep the first row of every text that is not empty, not in `seen`, and has one class only.

    The labels of `rows` are class names, or None for rows that were left out.
    `seen` maps digests of texts to the split that has them; rows left out are added to `dropped`, by reason.
    """
    digests: list[bytes] = []
    words: list[int] = []
    first: dict[bytes, int] = {}
    repeats: list[int] = []
    contradictory: set[bytes] = set()
    for index, text in enumerate(rows.texts):
        key = folded(text)
        digest = digest_of(key)
        digests.append(digest)
        words.append(count_words(key))
        if rows.labels[index] is None:
            continue  # counted where the classes were named
        if not key:
            dropped[EMPTY] += 1
        elif digest in seen:
            dropped[ALSO_IN.format(seen[digest])] += 1
        elif (other := first.setdefault(digest, index)) != index:
            repeats.append(index)
            if rows.labels[other] != rows.labels[index]:
                contradictory.add(digest)
    contradicting = sum(digests[index] in contradictory for index in repeats)
    dropped[DUPLICATE] += len(repeats) - contradicting
    dropped[CONTRADICTORY] += contradicting + len(contradictory)
    return Cleaned(rows, [index for digest, index in first.items() if digest not in contradictory], digests, words)
