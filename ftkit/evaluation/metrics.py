"""Scores on per-example probabilities, and intervals around them.

All take probabilities, (rows, classes), and labels, (rows,) of class indices. Definitions are scikit-learn's.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, get_args

from ftkit.contracts.settings import Metric

if TYPE_CHECKING:
    import numpy as np

METRICS: tuple[str, ...] = get_args(Metric)

GREATER_IS_BETTER = {name: name != "log_loss" for name in METRICS}

TITLES = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "roc_auc": "ROC AUC",
    "mcc": "MCC",
    "log_loss": "log loss",
}
"""What a sentence calls each metric."""


def better(metric: str, one: float, other: float) -> bool:
    """Whether `one` is strictly better than `other`; a number is better than NaN."""
    if math.isnan(one) or math.isnan(other):
        return math.isnan(other) and not math.isnan(one)
    return one > other if GREATER_IS_BETTER[metric] else one < other


def score(metric: str, probabilities: np.ndarray, labels: np.ndarray) -> float:
    """One metric. NaN where it is not defined: ROC AUC on rows of one class.

    `roc_auc` uses the scores: of class 1 for two classes; one-vs-rest averaged by class frequency beyond.
    Raises: KeyError for a metric not in `METRICS`.
    """
    import numpy as np

    from ftkit.evaluation.measures import measure

    return float(measure(metric, probabilities, labels)(np.ones((1, len(labels))))[0])


def scores(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Every metric by name."""
    return {metric: score(metric, probabilities, labels) for metric in METRICS}


def interval(
    metric: str,
    probabilities: np.ndarray,
    labels: np.ndarray,
    *,
    seed: int = 0,
    resamples: int = 1000,
    level: float = 0.95,
) -> tuple[float, float]:
    """A percentile bootstrap interval over the rows; the same seed gives the same interval.

    Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13.
    """
    import numpy as np

    from ftkit.evaluation.bootstrap import resampled

    draws = resampled(metric, probabilities, labels, seed=seed, resamples=resamples)
    if np.isnan(draws).all():
        return math.nan, math.nan
    low, high = np.nanquantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
