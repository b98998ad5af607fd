"""Which rows are kept: one of each text, none without text, and none of a text whose labels contradict each other."""

from __future__ import annotations

import difflib
import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ftkit.data.rows import Rows
from ftkit.errors import DataError

EMPTY = "empty text"
DUPLICATE = "duplicate"
CONTRADICTORY = "same text, different labels"
ALSO_IN = "text is also in {}"


def folded(text: str) -> str:
    """The form in which texts are compared: Unicode NFC, case folded, every run of white space one space."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return " ".join(text.casefold().split())


@dataclass(frozen=True)
class Cleaned:
    """Rows after cleaning. Rows are named by their index."""

    rows: Rows
    kept: list[int]
    digests: list[bytes]
    """Of each row, a hash of its folded text."""
    words: list[int]
    """Of each row, its number of words."""

    def by_class(self, classes: Sequence[str]) -> dict[str, list[int]]:
        """Kept rows of each class. Raises: DataError for a label that is not among the classes."""
        groups: dict[str, list[int]] = {name: [] for name in classes}
        unknown: Counter[str] = Counter()
        for index in self.kept:
            label = self.rows.labels[index]
            if label in groups:
                groups[label].append(index)
            else:
                unknown[label] += 1
        if unknown:
            names = ", ".join(f"{name!r} ({count:,})" for name, count in unknown.most_common(5))
            near = difflib.get_close_matches(next(iter(unknown)), classes, 1)
            raise DataError(
                f"{unknown.total():,} rows have a label that is none of the classes: {names}"
                + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""),
                where=self.rows.source,
                hint=(f"Did you mean {near[0]!r}? " if near else "") + f"The classes are {', '.join(classes)}.",
            )
        return groups

    def shuffled(self, indices: Iterable[int], salt: str) -> list[int]:
        """Rows in an order that depends only on their texts and the salt."""
        salted = hashlib.blake2b(salt.encode(), digest_size=16)

        def sort_key(index: int) -> bytes:
            digest = salted.copy()
            digest.update(self.digests[index])
            return digest.digest()

        return sorted(indices, key=sort_key)


def clean(rows: Rows, seen: Mapping[bytes, str], dropped: Counter[str]) -> Cleaned:
    """Keep the first row of every text that is not empty, not in `seen`, and has one label only.

    `seen` maps digests of texts to the split that has them; rows left out are added to `dropped`, by reason.
    """
    digests: list[bytes] = []
    words: list[int] = []
    first: dict[bytes, int] = {}
    repeats: list[int] = []
    contradictory: set[bytes] = set()
    for index, text in enumerate(rows.texts):
        key = folded(text)
        digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        digests.append(digest)
        words.append(key.count(" ") + 1)
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
