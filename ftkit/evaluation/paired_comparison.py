"""Two models on the same rows: how much they differ, and how much of that is chance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftkit.evaluation import metrics

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class PairedComparison:
    """How much better one contender is than the other on the same rows; positive is better for every metric."""

    difference: float
    draws: np.ndarray
    """The difference on each resample of the rows where it is defined."""
    own: np.ndarray
    """The first contender's metric on each resample of the rows where it is defined."""
    other: np.ndarray
    """The second contender's metric, likewise."""

    def interval(self, level: float) -> tuple[float, float]:
        """A percentile interval around the difference; NaN where no resample had a value."""
        return percentiles(self.draws, level)

    def share_below(self, value: float) -> float:
        """Share of the resamples with a difference below `value`, rounding aside."""
        return float((self.draws < value - 1e-12).mean()) if len(self.draws) else math.nan


def compare(
    metric: str, one: np.ndarray, other: np.ndarray, labels: np.ndarray, *, seed: int, resamples: int
) -> PairedComparison:
    """Compare two contenders' probabilities by resampling rows, each time the same rows for both.

    Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapters 13 and 16; Koehn 2004, "Statistical
    Significance Tests for Machine Translation Evaluation", on resampling two systems' outputs in pairs.
    """
    import numpy as np

    sign = 1 if metrics.GREATER_IS_BETTER[metric] else -1
    # The same seed draws the same rows for both: that makes the differences paired.
    own_draws = metrics.resampled(metric, one, labels, seed=seed, resamples=resamples)
    other_draws = metrics.resampled(metric, other, labels, seed=seed, resamples=resamples)
    draws = sign * (own_draws - other_draws)
    difference = sign * (metrics.score(metric, one, labels) - metrics.score(metric, other, labels))
    return PairedComparison(
        float(difference), draws[~np.isnan(draws)], own_draws[~np.isnan(own_draws)], other_draws[~np.isnan(other_draws)]
    )


def percentiles(draws: np.ndarray, level: float) -> tuple[float, float]:
    """The interval that holds the middle `level` of the draws; NaN where there are none."""
    import numpy as np

    if not len(draws):
        return math.nan, math.nan
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def mcnemar(gained: int, lost: int) -> float:
    """Probability that the rows which only one of two equally good models gets right divide at least as unevenly.

    Source: McNemar 1947, "Note on the sampling error of the difference between correlated proportions", in its exact
    form: a two-sided binomial test.
    """
    from scipy.stats import binomtest

    if not gained + lost:
        return 1.0
    return float(binomtest(gained, gained + lost, 0.5).pvalue)
