"""Two models on the same rows: how much they differ, and how much of that is chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftkit.evaluation import auc_difference, decisions, metrics, resampling

if TYPE_CHECKING:
    import numpy as np


ROUNDING = 1e-12
"""A difference this small is rounding."""
SHARES = ("accuracy", "subset_accuracy")
"""Metrics that are a share of right rows."""
IDENTICAL = 1e-6
"""Probabilities of the same model differ by less, in whatever batches they were computed."""


@dataclass(frozen=True)
class PairedComparison:
    """How much better one contender is than the other on the same rows; positive is better for every metric."""

    metric: str
    rows: int
    difference: float
    against: np.ndarray
    """The difference on each resample whose further row the first contender gets wrong and the second right.

    For ROC AUC this and `favourable` are the quantiles of `auc_difference` in their place.
    """
    favourable: np.ndarray
    """The difference on each resample whose further row the first contender gets right and the second wrong."""
    own: tuple[float, float]
    """The first contender's metric, its interval of 95 %."""
    other: tuple[float, float]
    """The second contender's, likewise."""
    gained: int
    """Rows that only the first contender gets right: of multi-label rows all labels."""
    lost: int
    """Rows that only the second contender gets right."""
    identical: bool
    """Whether both give every row the same probabilities: then they do not differ, however few the rows are."""

    def interval(self, level: float) -> tuple[float, float]:
        """An interval around the difference, NaN where it is not defined.

        For accuracy, also of whole sets of labels, it is Tango's, for ROC AUC that of `auc_difference`, else that of `resampling`.
        """
        if self.identical:
            return 0.0, 0.0
        if self.metric in SHARES:
            return tango_interval(self.gained, self.lost, self.rows, level)
        if not len(self.against):
            return math.nan, math.nan
        return resampling.ends(self.against, self.favourable, level, rising=True)

    def share_better(self) -> float:
        """Share of the resamples, or quantiles, in which the first contender is better."""
        import numpy as np

        return float((np.concatenate([self.against, self.favourable]) > ROUNDING).mean())


def compare(
    metric: str,
    one: np.ndarray,
    other: np.ndarray,
    labels: np.ndarray,
    *,
    seed: int,
    resamples: int,
    classes: Sequence[int] | None = None,
) -> PairedComparison:
    """Compare two contenders' probabilities on at least one row, by resampling the same rows for both.

    ROC AUC is not resampled for the difference, since a further row that is ranked last of all would decide on few rows: its
    `resamples` are quantiles. `classes` as in `metrics.measure`.

    Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapters 13 and 16; Koehn 2004, "Statistical
    Significance Tests for Machine Translation Evaluation", on resampling two systems' outputs in pairs.
    """
    import numpy as np

    if labels.ndim == 2 and classes is not None:
        one, other, labels = (each[:, list(classes)] for each in (one, other, labels))
        classes = None
    rising = metrics.GREATER_IS_BETTER[metric]
    sign = 1 if rising else -1
    # The same seed draws the same weights for both: that makes the differences paired.
    own_wrong, own_right, other_wrong, other_right = (
        metrics.resampled(metric, each, labels, seed=seed, resamples=resamples, right=right, classes=classes)
        for each in (one, other)
        for right in (False, True)
    )
    identical = one.shape == other.shape and bool(np.allclose(one, other, rtol=0, atol=IDENTICAL))
    defined = ~np.isnan(own_wrong + own_right + other_wrong + other_right)
    against, favourable = sign * (own_wrong - other_right)[defined], sign * (own_right - other_wrong)[defined]
    if metric == "roc_auc":
        against, favourable = auc_difference.quantiles(one, other, labels, resamples)
    value, other_value = (metrics.score(metric, each, labels, classes) for each in (one, other))
    right, other_right_rows = (decisions.right_rows(each, labels) for each in (one, other))
    return PairedComparison(
        metric=metric,
        rows=len(labels),
        difference=float(sign * (value - other_value)),
        against=np.zeros_like(against) if identical else against,
        favourable=np.zeros_like(favourable) if identical else favourable,
        own=_interval(own_wrong[defined], own_right[defined], rising=rising),
        other=_interval(other_wrong[defined], other_right[defined], rising=rising),
        gained=int((right & ~other_right_rows).sum()),
        lost=int((~right & other_right_rows).sum()),
        identical=identical,
    )


def _interval(wrong: np.ndarray, right: np.ndarray, *, rising: bool) -> tuple[float, float]:
    return resampling.ends(wrong, right, 0.95, rising=rising) if len(wrong) else (math.nan, math.nan)


def tango_interval(gained: int, lost: int, rows: int, level: float) -> tuple[float, float]:
    """The interval of the differences in accuracy that Tango's test does not reject."""
    return _tango_end(gained, lost, rows, (1 - level) / 2), -_tango_end(lost, gained, rows, (1 - level) / 2)


def _tango_end(gained: int, lost: int, rows: int, chance: float) -> float:
    from scipy.optimize import brentq

    if lost == rows:
        return -1.0
    difference = (gained - lost) / rows
    return float(
        brentq(
            lambda bound: tango(gained, lost, rows, bound) - chance, -1 + 1e-9, min(difference, 1 - 1e-9), xtol=1e-12
        )
    )


def tango(gained: int, lost: int, rows: int, bound: float) -> float:
    """Probability of a difference in accuracy at least this good if the true one were the bound: Tango's score test.

    `gained` and `lost` count the rows that only the candidate, or only the champion, got right.

    Source: Tango 1998, "Equivalence test and confidence interval for the difference in proportions for the paired-sample design".
    """
    from scipy.stats import norm

    # The most likely share of lost rows if the share of gained rows exceeds it by the bound.
    linear = -gained - lost + (2 * rows - gained + lost) * bound
    likely = (math.sqrt(linear**2 + 8 * rows * lost * bound * (1 - bound)) - linear) / (4 * rows)
    spread = math.sqrt(max(0.0, rows * (2 * likely + bound * (1 - bound))))
    return float(norm.sf((gained - lost - rows * bound) / spread)) if spread else 1.0


def mcnemar(gained: int, lost: int) -> float:
    """Probability that the rows which only one of two equally good models gets right divide at least as unevenly.

    Source: McNemar 1947, "Note on the sampling error of the difference between correlated proportions", in its exact
    form: a two-sided binomial test.
    """
    from scipy.stats import binomtest

    if not gained + lost:
        return 1.0
    return float(binomtest(gained, gained + lost, 0.5).pvalue)
