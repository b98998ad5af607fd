"""How far the latest answers of a deployment have moved from the model's answers to the test split.

The population stability index of a distribution a from a distribution e over the same bins is the sum of
(a - e) * ln(a / e): 0 for equal ones, and the same whichever of the two is the reference.
Source: Siddiqi, Credit Risk Scorecards, 2006, chapter 10, which calls less than 0.1 no change and more than 0.25 a great one.

Without any change the index of n rows against m reference rows over B bins is distributed as (1/n + 1/m) times chi-squared
with B - 1 degrees of freedom, so that small windows seem to drift by chance alone: every measurement says what chance does.
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
"""Added to every count, so that a bin without rows makes the index large and not infinite.

Source: Krichevsky and Trofimov, The performance of universal encoding, 1981: the estimate under Jeffreys' prior.
"""
CHANCE = 0.01
"""How often chance alone exceeds what a measurement gives as its limit."""


@dataclass(frozen=True)
class Measured:
    """The drift of one signal over the rows of a window."""

    signal: Literal["class", "confidence"]
    psi: float
    limit: float
    """What the index exceeds by chance alone in one window of a hundred."""
    rows: int
    """Rows of the window."""
    reference: int
    """Rows of the test split."""
    counts: dict[str, int]
    """Rows of the window by bin."""


class Window:
    """The latest rows that a deployment answered, and how far they are from its reference."""

    def __init__(self, profile: Profile, rows: int) -> None:
        self._profile = profile
        self._classes = {name: index for index, name in enumerate(profile.classes)}
        self._rows: deque[tuple[int, int]] = deque(maxlen=rows)
        self._by_class = [0] * len(profile.classes)
        self._by_confidence = [0] * len(profile.confidence)
        self._fresh = 0
        self._every = max(1, rows // 10)
        self._least = max(1, rows // 5)

    def add(self, labels: Sequence[str], confidences: Sequence[float]) -> list[Measured]:
        """Take rows in; returns a measurement of each signal when enough came since the last one, else nothing.

        A measurement is made for each tenth of a window, from a fifth of one on.
        """
        for label, confidence in zip(labels, confidences, strict=True):
            if len(self._rows) == self._rows.maxlen:
                gone, bin_ = self._rows[0]
                self._by_class[gone] -= 1
                self._by_confidence[bin_] -= 1
            row = self._classes[label], bisect.bisect_right(self._profile.edges, confidence)
            self._rows.append(row)
            self._by_class[row[0]] += 1
            self._by_confidence[row[1]] += 1
        self._fresh += len(labels)
        if self._fresh < self._every or len(self._rows) < self._least:
            return []
        self._fresh = 0
        return self.measure()

    def measure(self) -> list[Measured]:
        """Both signals over the rows that are in the window."""
        edges = [f"{each:.4f}" for each in self._profile.edges]
        bins = [f"{low} to {high}" for low, high in zip(["0", *edges], [*edges, "1"], strict=True)]
        return [
            self._measured("class", list(self._profile.classes.values()), self._by_class, self._classes),
            self._measured("confidence", self._profile.confidence, self._by_confidence, bins),
        ]

    def _measured(
        self, signal: Literal["class", "confidence"], expected: Sequence[int], found: Sequence[int], bins: Iterable[str]
    ) -> Measured:
        rows, reference = sum(found), sum(expected)
        return Measured(
            signal,
            psi(expected, found),
            limit(len(found), rows, reference),
            rows,
            reference,
            dict(zip(bins, found, strict=True)),
        )


def psi(expected: Sequence[int], found: Sequence[int]) -> float:
    """The population stability index of two lists of counts over the same bins."""
    wanted, seen = _shares(expected), _shares(found)
    return sum((there - here) * math.log(there / here) for here, there in zip(wanted, seen, strict=True))


def limit(bins: int, rows: int, reference: int) -> float:
    """What the index exceeds by chance alone in a share of `CHANCE`, when nothing has changed."""
    from scipy.stats import chi2

    if bins < 2:
        return 0.0
    return float(chi2.ppf(1 - CHANCE, bins - 1)) * (1 / rows + 1 / reference)


def _shares(counts: Sequence[int]) -> list[float]:
    whole = sum(counts) + SMOOTHING * len(counts)
    return [(count + SMOOTHING) / whole for count in counts]
