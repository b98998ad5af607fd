"""How certain an answer must be, so that the share of wrong ones among those given stays under a bound.

Selective classification with guaranteed risk (Geifman and El-Yaniv 2017, "Selective Classification for Deep Neural Networks"), by the
procedure of Angelopoulos, Bates, Candès, Jordan and Lei 2021, "Learn then Test: Calibrating Predictive Algorithms to Achieve Risk
Control": exact binomial tests of thresholds in a fixed sequence, which needs no correction for the number of thresholds. The
sequence is learned from other rows ("split fixed sequence testing" there). The rows of the tests must not have had a part in
the choice of the model, of the thresholds of its labels, or of the sequence.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np

STEPS = 100
"""Thresholds of the sequence at most: one for each hundredth of the rows."""


class Rows(NamedTuple):
    """How certain the answer to each row is, and whether it is right; both (rows,)."""

    certainty: np.ndarray
    right: np.ndarray

    def answered(self, below: float) -> tuple[int, int]:
        """How many rows are answered, and how many of them wrongly, if less certain ones are not."""
        given = self.certainty >= below
        return int(given.sum()), int((given & ~self.right).sum())


class Promise(NamedTuple):
    """What the rows of the tests show."""

    below: float | None
    """Answers that are less certain are not given; None if no threshold can promise the risk."""
    coverage: float
    """The share of the rows of the tests that is answered."""
    least_risk: float
    """About the least risk that these rows could promise."""
    rows: float
    """About how many rows of the tests the promise would need; infinite if more rows alone do not help."""


def least_rows(risk: float, confidence: float) -> int:
    """Without this many rows nothing can be promised, even if all answers are right."""
    return math.ceil(math.log(1 - confidence) / math.log(1 - risk))


def promise(learned: Rows, tested: Rows, risk: float, confidence: float) -> Promise:
    """The loosest threshold whose risk the tests show to be at most `risk`; with probability `confidence` it is so.

    `learned` are rows from which the sequence of the tests is learned; `tested` are at least one.
    """
    from scipy.stats import binom

    doubt = 1 - confidence
    sequence = _sequence(learned, risk)
    below = None
    for threshold in sequence:
        rows, wrong = tested.answered(threshold)
        if binom.cdf(wrong, rows, risk) > doubt:
            break
        below = threshold
    if below is not None:
        return Promise(below, tested.answered(below)[0] / len(tested.right), risk, len(tested.right))
    return Promise(None, 0.0, *_instead(tested, sequence, risk, doubt))


def _sequence(learned: Rows, risk: float) -> list[float]:
    """Thresholds from the one that most likely passes to looser ones, the last of which answers everything."""
    import numpy as np
    from scipy.stats import binom

    shares = np.linspace(0, 1, STEPS, endpoint=False)[1:]
    thresholds = [*np.unique(np.quantile(learned.certainty, shares, method="nearest"))[::-1], 0.0]
    chances = [binom.cdf(wrong, rows, risk) for rows, wrong in map(learned.answered, thresholds)]
    return [float(each) for each in thresholds[int(np.argmin(chances)) :]]


def _instead(tested: Rows, sequence: list[float], risk: float, doubt: float) -> tuple[float, float]:
    """About the least risk that the rows could promise, and about how many rows the asked one needs."""
    from scipy.stats import beta, binom

    total = len(tested.right)
    least, needed = 1.0, math.inf
    for threshold in sequence:
        rows, wrong = tested.answered(threshold)
        if not rows:
            continue
        least = min(least, float(beta.ppf(1 - doubt, wrong + 1, rows - wrong)) if wrong < rows else 1.0)
        share = wrong / rows
        if share < risk:
            size = rows
            while binom.cdf(math.ceil(share * size), size, risk) > doubt and size < 10**7:
                size = math.ceil(1.1 * size)
            needed = min(needed, size * total / rows)
    return least, needed
