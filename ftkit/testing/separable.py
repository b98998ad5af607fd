"""Texts for tests of backbones: three classes that any classifier can learn, and texts that trip careless code."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest

from ftkit.contracts import Data, DataReport, Split

CLASSES = ("at sea", "Küche", "music & sound")

WORDS = (
    ("ship", "wave", "harbour", "sail", "captain", "storm", "island", "anchor"),
    ("bread", "oven", "butter", "sugar", "plate", "cheese", "dinner", "spoon"),
    ("guitar", "song", "piano", "concert", "singer", "drum", "album", "melody"),
)
"""For each class, words that only its texts hold."""

COMMON = ("the", "a", "and", "with", "was", "very", "old", "new", "it", "they", "all", "one")
"""Words that texts of every class hold."""

ODD_TEXTS = (
    "", " ", "\n\t", "\ud83d", "half \udc00 a pair", "\x00\x01\x02", "🎸🎹", "ø" * 50, "word " * 3000, "x" * 20_000,
    "[CLS] [SEP] [PAD] [MASK]", "<s></s>", "\u202eright to left", "é\u0301",
)  # fmt: skip


def separable(rows: int, seed: int) -> Split:
    """Texts in which a few words decide the class, with as many of each class."""
    generator = random.Random(seed)
    texts, labels = [], []
    for index in range(rows):
        label = index % len(CLASSES)
        words = generator.choices(WORDS[label], k=4) + generator.choices(COMMON, k=generator.randint(2, 8))
        generator.shuffle(words)
        texts.append(" ".join(words))
        labels.append(label)
    return Split(tuple(texts), tuple(labels))


class ClosedSplit(Sequence[Any]):
    """Texts or labels of the test split in training: reading them fails the test."""

    def __len__(self) -> NoReturn:
        pytest.fail("training read the test split")

    def __getitem__(self, index: Any) -> NoReturn:
        pytest.fail("training read the test split")

    def __iter__(self) -> Iterator[Any]:
        pytest.fail("training read the test split")


def separable_data(rows: int = 96, cache: Path | None = None) -> Data:
    """A data set that any classifier can learn; reading its test split fails the test."""
    report = DataReport("made up", rows, {}, {}, {}, "separable")
    return Data(CLASSES, separable(rows, 1), separable(24, 2), Split(ClosedSplit(), ClosedSplit()), report, cache)
