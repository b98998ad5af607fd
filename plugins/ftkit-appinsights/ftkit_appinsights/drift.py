"""Measures how far a deployment's latest predictions have moved from the model's predictions on the test split.

The population stability index of a distribution a from a distribution e over the same bins is the sum of
(a - e) * ln(a / e): 0 for equal distributions, and symmetric in a and e.
Source: Siddiqi, Credit Risk Scorecards, 2006, chapter 10, which calls values below 0.1 no change and above 0.25 a large one.

Without any change the index of n rows against m reference rows over B bins is distributed as (1/n + 1/m) times chi-squared
with B - 1 degrees of freedom. Small windows therefore drift by chance alone, so every measurement has a limit for chance.
Source: Yurdakul and Naranjo, Statistical properties of the population stability index, Journal of Risk Model Validation, 2020.
"""

from __future__ import annotations

import bisect
import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from ftkit.contracts.monitoring import Profile

SMOOTHING = 0.5
"""Added to every count, so that an empty bin makes the index large, not infinite.

Source: Krichevsky and Trofimov, The performance of universal encoding, 1981: the estimate under Jeffreys' prior.
"""
CHANCE = 0.01
"""Share of windows in which chance alone exceeds a measurement's limit."""


@dataclass(frozen=True)
class Measurement:
    """The drift of one signal over the rows of a window."""

    signal: Literal["class", "confidence"]
    psi: float
    limit: float
    """The index that chance alone exceeds in one window of a hundred."""
    rows: int
    """Rows of the window."""
    reference: int
    """Rows of the test split."""
    counts: dict[str, int]
    """Rows of the window by bin."""


class Window:
    """The latest rows that a deployment predicted, and their drift from the reference."""

    def __init__(self, profile: Profile, rows: int) -> None:
        self._profile = profile
        self._classes = {name: index for index, name in enumerate(profile.classes)}
        self._rows: deque[tuple[list[int], int]] = deque(maxlen=rows)
        self._by_class = [0] * len(profile.classes)
        self._by_confidence = [0] * len(profile.confidence)
        self._rows_since_measurement = 0
        self._interval = max(1, rows // 10)
        self._least = max(1, rows // 5)

    def add(self, labels: Sequence[str | tuple[str, ...]], confidences: Sequence[float]) -> list[Measurement]:
        """Add rows, each with its label or all of its labels; returns a measurement of each signal when one is due, else an empty list.

        A measurement is due for each tenth of a window, as soon as a fifth of it is full.
        """
        for label, confidence in zip(labels, confidences, strict=True):
            if len(self._rows) == self._rows.maxlen:
                self._count(*self._rows[0], -1)
            row = (
                [self._classes[each] for each in labels_of(label)],
                bisect.bisect_right(self._profile.edges, confidence),
            )
            self._rows.append(row)
            self._count(*row, 1)
        self._rows_since_measurement += len(labels)
        if self._rows_since_measurement < self._interval or len(self._rows) < self._least:
            return []
        self._rows_since_measurement = 0
        return self.measure()

    def _count(self, classes: Sequence[int], confidence_bin: int, change: int) -> None:
        for index in classes:
            self._by_class[index] += change
        self._by_confidence[confidence_bin] += change

    def measure(self) -> list[Measurement]:
        """Measure both signals over the rows in the window."""
        edges = [f"{each:.4f}" for each in self._profile.edges]
        bins = [f"{low} to {high}" for low, high in zip(["0", *edges], [*edges, "1"], strict=True)]
        return [
            self._measurement("class", list(self._profile.classes.values()), self._by_class, self._classes),
            self._measurement("confidence", self._profile.confidence, self._by_confidence, bins),
        ]

    def _measurement(
        self,
        signal: Literal["class", "confidence"],
        expected: Sequence[int],
        actual: Sequence[int],
        bins: Iterable[str],
    ) -> Measurement:
        rows, reference = sum(actual), sum(expected)
        return Measurement(
            signal,
            psi(expected, actual),
            limit(len(actual), max(rows, 1), max(reference, 1)),  # a multi-label model may answer no label at all
            rows,
            reference,
            dict(zip(bins, actual, strict=True)),
        )


def labels_of(row: str | tuple[str, ...]) -> tuple[str, ...]:
    """The labels of a row that was predicted: one, or any number of them by a multi-label model."""
    return row if isinstance(row, tuple) else (row,)


def psi(expected: Sequence[int], actual: Sequence[int]) -> float:
    """The population stability index of two lists of counts over the same bins."""
    return sum((a - e) * math.log(a / e) for e, a in zip(_shares(expected), _shares(actual), strict=True))


def limit(bins: int, rows: int, reference: int) -> float:
    """The index that chance alone exceeds in a share `CHANCE` of windows when nothing has changed."""
    from scipy.stats import chi2

    if bins < 2:
        return 0.0
    return float(chi2.ppf(1 - CHANCE, bins - 1)) * (1 / rows + 1 / reference)


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts) + SMOOTHING * len(counts)
    return [(count + SMOOTHING) / total for count in counts]
