"""Contenders whose answers a test decides on, and texts to ask them about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ftkit.contracts import Contender, Data, DataReport, Split

REPORT = DataReport("made up", 0, {}, {}, {}, "ab" * 32)


@dataclass
class Rule:
    """A classifier that is a function of the text."""

    classes: tuple[str, ...]
    answer: Callable[[str], Sequence[float]]

    def probabilities(self, texts: Sequence[str]) -> Any:
        return np.array([self.answer(text) for text in texts], dtype=float).reshape(len(texts), len(self.classes))

    def save(self, folder: Path) -> None:
        """Nothing to write: the rule is the test's own."""


class Bench:
    """Makes contenders for one test."""

    classes: tuple[str, ...] = ("negative", "positive")

    def data(self, texts: Sequence[str], labels: Sequence[int], train: Sequence[str] = (), **columns: Any) -> Data:
        """A data set whose test split is these rows."""
        seen = Split(list(train), [0] * len(train))
        return Data(self.classes, seen, Split((), ()), Split(list(texts), list(labels), columns), REPORT)

    def scored(self, probabilities: Any, labels: Sequence[int], metric: str = "accuracy", **more: Any) -> Contender:
        """A contender with given test probabilities; for two classes, those of the second are enough."""
        found = np.asarray(probabilities, dtype=float)
        if found.ndim == 1:
            found = np.stack([1 - found, found], axis=1)
        texts = more.pop("texts", [f"row {number}" for number in range(len(labels))])
        data = self.data(texts, labels, more.pop("train", ()), **more.pop("columns", {}))
        answers = dict(zip(texts, found, strict=True))
        rule = Rule(self.classes, lambda text: answers[text])
        return Contender(more.pop("title", "the candidate"), Path(), rule, found, data, metric, more.pop("seed", 7))

    def ruled(
        self, answer: Callable[[str], float], texts: Sequence[str], labels: Sequence[int] | None = None
    ) -> Contender:
        """A contender that gives the second class this probability, whatever it is asked."""
        rule = Rule(self.classes, lambda text: (1 - answer(text), answer(text)))
        found = rule.probabilities(texts)
        data = self.data(texts, labels if labels is not None else found.argmax(axis=1).tolist())
        return Contender("the candidate", Path(), rule, found, data, "accuracy", 7)


@pytest.fixture
def bench() -> Bench:
    return Bench()


ODD_TEXTS = [
    "",
    "   ",
    "half \ud800 a pair",
    "\udc80",
    "😀" * 50,
    "line\nbreak\x00\x1b[31m",
    "<svg> & $x_1$ “quoted”",
    "x" * 5000,
]


@pytest.fixture
def odd_texts() -> list[str]:
    """What real data holds sooner or later."""
    return list(ODD_TEXTS)
