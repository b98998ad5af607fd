"""Made-up rows and models for tests of promotion tests: what each model answers is known before."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ftkit.contracts import SPLITS, Contender, Data, DataReport, Split, Task

CLASSES = ("bad", "fair", "good")


class Fixed:
    """A classifier with fixed answers, also for texts that a promotion test has changed."""

    def __init__(
        self,
        classes: tuple[str, ...],
        certainty: float,
        task: Task = "single-label",
        known: Mapping[str, tuple[int, Any]] | None = None,
    ) -> None:
        self.classes = classes
        self.certainty = certainty
        self.task = task
        self.known = known or {}
        """Row number and label by text."""

    def probabilities(self, texts: Sequence[str]) -> Any:
        """The right class gets `certainty`; in every fifth row the next class does. Of several labels, the right ones, and in every
        fifth row the first one besides."""
        import numpy as np

        scores = np.full((len(texts), len(self.classes)), (1 - self.certainty) / max(len(self.classes) - 1, 1))
        if self.task == "multi-label":
            scores[:] = 1 - self.certainty
        for row, (number, label) in enumerate(map(self._row, texts)):
            if self.task == "multi-label":
                scores[row, [*label, *([0] if number % 5 == 0 else [])]] = self.certainty
            else:
                scores[row, (label + (number % 5 == 0)) % len(self.classes)] = self.certainty
        return scores

    def _row(self, text: str) -> tuple[int, Any]:
        """Number and label of a text: of one that is not known, what its first two words say, else by its letters."""
        if text in self.known:
            return self.known[text]
        numbers = re.match(r"(\d+) (\d+)\b", text)
        number, name = (
            (int(numbers[1]), int(numbers[2])) if numbers else (zlib.crc32(text.encode("utf-8", "replace")),) * 2
        )
        if self.task == "multi-label":
            return number, bits(name, len(self.classes))
        return number, name % len(self.classes)

    def save(self, folder: Path) -> None:
        """Nothing to write: the answers are fixed."""


def make_data(rows: int = 60, classes: tuple[str, ...] = CLASSES, task: Task = "single-label") -> Data:
    """Rows whose text names their number and class; the first class is the most frequent."""
    several = task == "multi-label"

    def part(start: int) -> Split:
        labels = [0 if number % 2 else number // 2 % len(classes) for number in range(rows)]
        named = [number % 2 ** len(classes) for number in range(rows)] if several else labels
        texts = [f"{start + number} {name} words" for number, name in enumerate(named)]
        sets = [bits(name, len(classes)) for name in named]
        return Split(texts, sets if several else labels, {"stars": [label + 1 for label in labels]})

    report = DataReport("made up", 3 * rows, {}, {}, {"p5": 3, "p50": 3, "p95": 3, "max": 3}, "cd" * 32)
    return counted(Data(classes, part(0), part(1000), part(2000), report, task=task))


def make_contender(
    data: Data, title: str = "the candidate", certainty: float = 0.8, metric: str = "macro_f1", bundle: Path = Path()
) -> Contender:
    """A contender that is right about four rows of five."""
    known = {
        text: (number, label)
        for name in SPLITS
        for number, (text, label) in enumerate(zip(*_texts_and_labels(getattr(data, name)), strict=True))
    }
    classifier = Fixed(data.classes, certainty, data.task, known)
    scores = classifier.probabilities(data.test.texts)
    return Contender(title, bundle, classifier, scores, data, metric, seed=7)


def with_two_classes(data: Data) -> Data:
    """The same rows with two classes: the first one, and one class of all others."""

    def merged(label: Any) -> Any:
        if isinstance(label, tuple):
            return tuple(sorted({min(each, 1) for each in label}))
        return min(int(label), 1)

    return _relabelled(replace(data, classes=(data.classes[0], data.classes[-1])), lambda _, label: merged(label))


def with_task(data: Data, task: Task) -> Data:
    """The same rows with labels of another task."""
    if data.task == task:
        return data

    def labelled(number: int, label: Any) -> Any:
        if task == "multi-label":
            return bits(number, len(data.classes))
        return next(iter(label), 0) if isinstance(label, tuple) else label

    return _relabelled(replace(data, task=task), labelled)


def with_one_label(data: Data) -> Data:
    """The same rows, of the test split only those with its most frequent label."""
    labels = list(data.test.labels)
    most = max(labels, key=labels.count)
    rows = [row for row, label in enumerate(labels) if label == most]
    columns = {key: [values[row] for row in rows] for key, values in data.test.columns.items()}
    return counted(replace(data, test=Split([data.test.texts[row] for row in rows], [most for _ in rows], columns)))


def counted(data: Data) -> Data:
    """The same data with a report that counts its rows."""
    counts = {}
    for name in SPLITS:
        labels = list(getattr(data, name).each_label())
        counts[name] = {each: labels.count(index) for index, each in enumerate(data.classes)}
    rows = {name: len(getattr(data, name)) for name in SPLITS} if data.task == "multi-label" else {}
    return replace(data, report=replace(data.report, counts=counts, rows=rows))


def bits(number: int, labels: int) -> tuple[int, ...]:
    """The labels that stand for the bits of a number."""
    return tuple(index for index in range(labels) if number >> index & 1)


def _relabelled(data: Data, label: Any) -> Data:
    parts = {
        name: replace(split, labels=[label(number, each) for number, each in enumerate(split.labels)])
        for name, split in ((name, getattr(data, name)) for name in SPLITS)
    }
    return counted(replace(data, **parts))


def _texts_and_labels(split: Split) -> Iterator[Sequence[Any]]:
    yield from (split.texts, split.labels)
