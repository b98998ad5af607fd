"""Which rows are kept: none without a text, one of each text, and none of a text whose labels contradict each other."""

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
    """What texts are compared by: composed (Unicode NFC), case folded, every run of white space one space."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return " ".join(text.casefold().split())


@dataclass(frozen=True)
class Cleaned:
    """Rows after cleaning: which are kept, and each row's digest of its folded text and number of words."""

    rows: Rows
    kept: list[int]
    digests: list[bytes]
    words: list[int]

    def by_class(self, classes: Sequence[str]) -> dict[str, list[int]]:
        """Kept rows of each class. Raises: DataError for a label that is no class."""
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
        """Rows in an order that depends on their texts and the salt alone."""
        keyed = hashlib.blake2b(salt.encode(), digest_size=16)

        def place(index: int) -> bytes:
            digest = keyed.copy()
            digest.update(self.digests[index])
            return digest.digest()

        return sorted(indices, key=place)


def clean(rows: Rows, seen: Mapping[bytes, str], dropped: Counter[str]) -> Cleaned:
    """Keep the first row of every text that is not empty, not seen in a later split, and labelled in one way only."""
    digests: list[bytes] = []
    words: list[int] = []
    first: dict[bytes, int] = {}
    again: list[int] = []
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
            again.append(index)
            if rows.labels[other] != rows.labels[index]:
                contradictory.add(digest)
    unclear = sum(digests[index] in contradictory for index in again)
    dropped[DUPLICATE] += len(again) - unclear
    dropped[CONTRADICTORY] += unclear + len(contradictory)
    return Cleaned(rows, [index for digest, index in first.items() if digest not in contradictory], digests, words)
