"""Which rows are kept: one of each text, none without text, and none of a text whose labels contradict each other."""

from __future__ import annotations

import hashlib
import unicodedata
from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ftkit import pairs
from ftkit.contracts import Emit
from ftkit.contracts.events import Progressed
from ftkit.data.digests import BYTES, Digests, among, digest_of, groups, sorted_by
from ftkit.data.rows import Rows
from ftkit.data.words import count_words

if TYPE_CHECKING:
    import numpy as np

EMPTY = "empty text"
ONE_SIDE = "pair with one empty side"
DUPLICATE = "duplicate"
CONTRADICTORY = "same text, different labels"
ALSO_IN = "text is also in {}"

STEP = 20_000
"""Rows between two progress events."""


def folded(text: str) -> str:
    """The form in which texts are compared: Unicode NFC, case folded, every run of white space one space."""
    if pairs.is_pair(text):
        return pairs.changed(text, folded)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return " ".join(text.casefold().split())


@dataclass(frozen=True)
class Cleaned:
    """Rows after cleaning, with class names as labels. Rows are named by their index."""

    rows: Rows
    kept: list[int]
    digests: Digests
    """Of each row, a hash of its folded text."""
    words: array[int]
    """Of each row, its number of words."""

    def by_class(self, classes: Sequence[str]) -> dict[str, list[int]]:
        """Kept rows of each class."""
        groups: dict[str, list[int]] = {name: [] for name in classes}
        for index in self.kept:
            for label in self.classes_of(index):
                groups[label].append(index)
        return groups

    def classes_of(self, index: int) -> tuple[str, ...]:
        """The classes of a row: one, or any number of them where a text can have several."""
        label = self.rows.labels[index]
        return label if isinstance(label, tuple) else (label,)

    def without_classes(self, names: Collection[str], reason: str, dropped: Counter[str]) -> Cleaned:
        """The same without these classes; a row that has no other is left out and counted in `dropped`, by reason."""
        labels, kept = [*self.rows.labels], []
        for index in self.kept:
            left = tuple(name for name in self.classes_of(index) if name not in names)
            if left or not self.classes_of(index):
                labels[index] = left
                kept.append(index)
        dropped[reason] += len(self.kept) - len(kept)
        return replace(self, rows=replace(self.rows, labels=labels), kept=kept)

    def labelled(self) -> np.ndarray:
        """The digests of the rows that have a class, as numbers."""
        return self.digests.numbers[_labelled(self.rows)]

    def shuffled(self, indices: Iterable[int], salt: str) -> list[int]:
        """Rows in an order that depends only on their texts and the salt."""
        indices = [*indices]
        salted, content = hashlib.blake2b(salt.encode(), digest_size=BYTES), self.digests.content

        def key(index: int) -> bytes:
            digest = salted.copy()
            digest.update(content[index * BYTES : (index + 1) * BYTES])
            return digest.digest()

        return [indices[place] for place in sorted_by(map(key, indices))]


def clean(
    rows: Rows,
    seen: Sequence[tuple[str, np.ndarray]],
    dropped: Counter[str],
    emit: Emit | None = None,
    *,
    paired: bool = False,
) -> Cleaned:
    """Keep the first row of every text that is not empty, not in `seen`, and has one class only; of pairs those with both sides.

    The labels of `rows` are class names, tuples of them, or None for rows that were left out.
    `seen` are splits and the digests of their texts, as numbers; rows left out are added to `dropped`, by reason.
    """
    import numpy as np

    digests, words, empty, one_side = Digests(), array("I"), array("q"), array("q")
    for index, text in enumerate(rows.texts):
        key = folded(text)
        digests.append(digest_of(key))
        words.append(count_words(key))
        if paired and (without := pairs.sides(key).count("")):
            (one_side if without == 1 else empty).append(index)
        elif not key:
            empty.append(index)
        if emit is not None and index % STEP == STEP - 1:
            emit(Progressed(f"cleaning {rows.source}", index + 1, len(rows.texts)))
    alive, numbers = _labelled(rows), digests.numbers
    _drop(alive, np.isin(np.arange(len(alive)), empty), EMPTY, dropped)
    _drop(alive, np.isin(np.arange(len(alive)), one_side), ONE_SIDE, dropped)
    for split, others in seen:
        _drop(alive, among(numbers, others), ALSO_IN.format(split), dropped)
    candidates = np.flatnonzero(alive)
    if not len(candidates):
        return Cleaned(rows, [], digests, words)
    names: dict[str | None, int] = {}
    classes = np.fromiter((names.setdefault(label, len(names)) for label in rows.labels), np.int64, len(rows.labels))
    ranked, begins = groups(numbers[candidates])
    of_group = classes[candidates[ranked]]
    contradictory = np.minimum.reduceat(of_group, begins) != np.maximum.reduceat(of_group, begins)
    repeats = np.diff(np.append(begins, len(ranked))) - 1
    contradicting = int(repeats[contradictory].sum())
    dropped[DUPLICATE] += int(repeats.sum()) - contradicting
    dropped[CONTRADICTORY] += contradicting + int(contradictory.sum())
    kept = np.sort(candidates[ranked[begins[~contradictory]]])
    return Cleaned(rows, kept.tolist(), digests, words)


def _labelled(rows: Rows) -> np.ndarray:
    """Of each row, whether it has a class."""
    import numpy as np

    return np.fromiter((label is not None for label in rows.labels), bool, len(rows.labels))


def _drop(alive: np.ndarray, wrong: np.ndarray, reason: str, dropped: Counter[str]) -> None:
    """Leave out the rows that are wrong, and count those that were not left out before."""
    if count := int((alive & wrong).sum()):
        dropped[reason] += count
        alive &= ~wrong
