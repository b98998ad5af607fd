"""Texts for tests of backbones: three classes that any classifier can learn, and texts that trip careless code."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest

from ftkit import pairs
from ftkit.contracts import Data, DataReport, Split, Task

CLASSES = ("at sea", "Küche", "music & sound")

WORDS = (
    ("ship", "wave", "harbour", "sail", "captain", "storm", "island", "anchor"),
    ("bread", "oven", "butter", "sugar", "plate", "cheese", "dinner", "spoon"),
    ("guitar", "song", "piano", "concert", "singer", "drum", "album", "melody"),
)
"""For each class, words that only its texts hold."""

COMMON = ("the", "a", "and", "with", "was", "very", "old", "new", "it", "they", "all", "one")
"""Words that texts of every class hold."""

PAIR = ("premise", "hypothesis")
"""The names of the texts of the pairs."""

ODD_TEXTS = (
    "", " ", "\n\t", "\ud83d", "half \udc00 a pair", "\x00\x01\x02", "🎸🎹", "ø" * 50, "word " * 3000, "x" * 20_000,
    "[CLS] [SEP] [PAD] [MASK]", "<s></s>", "\u202eright to left", "é\u0301",
)  # fmt: skip


def separable(rows: int, seed: int, task: Task = "single-label", classes: int = len(CLASSES)) -> Split:
    """Texts in which a few words decide the class, with as many of each class; of several labels, as many of each set."""
    generator = random.Random(seed)
    texts, labels = [], list[Any]()
    for index in range(rows):
        several = task == "multi-label"
        own = tuple(each for each in range(classes) if index >> each & 1) if several else (index % classes,)
        words = [word for label in own for word in generator.choices(WORDS[label], k=4)]
        words += generator.choices(COMMON, k=generator.randint(2, 8))
        generator.shuffle(words)
        texts.append(" ".join(words))
        labels.append(own if several else own[0])
    return Split(tuple(texts), tuple(labels))


class ClosedSplit(Sequence[Any]):
    """Texts or labels of the test split in training, where it is empty: reading them fails the test."""

    def __len__(self) -> int:
        return 0

    def __getitem__(self, index: Any) -> NoReturn:
        pytest.fail("training read the test split")

    def __iter__(self) -> Iterator[Any]:
        pytest.fail("training read the test split")


def separable_data(
    rows: int = 96, cache: Path | None = None, task: Task = "single-label", classes: int = len(CLASSES)
) -> Data:
    """A data set that any classifier can learn; reading its test split fails the test."""
    report = DataReport("made up", rows, {}, {}, {}, "separable")
    train, valid = separable(rows, 1, task, classes), separable(24, 2, task, classes)
    return Data(CLASSES[:classes], train, valid, Split(ClosedSplit(), ClosedSplit()), report, cache, task)


def paired(rows: int, seed: int) -> Split:
    """Pairs of two classes in which the same words stand, and only which side they stand on decides."""
    generator = random.Random(seed)

    def side(group: int) -> str:
        words = [*generator.choices(COMMON, k=generator.randint(1, 6)), generator.choice(WORDS[group])]
        generator.shuffle(words)
        return " ".join(words)

    labels = tuple(index % 2 for index in range(rows))
    return Split(tuple(pairs.join(side(label), side(1 - label)) for label in labels), labels)


def paired_data(rows: int = 200, cache: Path | None = None) -> Data:
    """The same for pairs; what does not know which side a word stands on learns nothing."""
    report = DataReport("made up", rows, {}, {}, {}, "paired")
    closed = Split(ClosedSplit(), ClosedSplit())
    return Data(CLASSES[:2], paired(rows, 1), paired(64, 2), closed, report, cache, fields=PAIR)
