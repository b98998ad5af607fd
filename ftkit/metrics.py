"""Scores on per-example probabilities, and intervals around them.

All take probabilities, (rows, classes), and labels, (rows,) of class indices. Definitions are scikit-learn's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, get_args

from ftkit.search import Metric

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

    probabilities = np.asarray(probabilities, dtype=np.float64)
    return float(_SCORES[metric](probabilities, np.asarray(labels, dtype=np.int64)))


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

    from ftkit.bootstrap import resampled

    draws = resampled(metric, probabilities, labels, seed=seed, resamples=resamples)
    if np.isnan(draws).all():
        return math.nan, math.nan
    low, high = np.nanquantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return (probabilities.argmax(axis=1) == labels).mean()


def _macro_f1(probabilities: np.ndarray, labels: np.ndarray) -> float:
    from sklearn.metrics import f1_score

    return f1_score(labels, probabilities.argmax(axis=1), average="macro", zero_division=0.0)


def _weighted_f1(probabilities: np.ndarray, labels: np.ndarray) -> float:
    from sklearn.metrics import f1_score

    return f1_score(labels, probabilities.argmax(axis=1), average="weighted", zero_division=0.0)


def _mcc(probabilities: np.ndarray, labels: np.ndarray) -> float:
    from sklearn.metrics import matthews_corrcoef

    return matthews_corrcoef(labels, probabilities.argmax(axis=1))


def _log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    from sklearn.metrics import log_loss

    # Rows computed in single precision add up to one only nearly, which scikit-learn warns about.
    probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
    return log_loss(labels, probabilities, labels=range(probabilities.shape[1]))


def _roc_auc(probabilities: np.ndarray, labels: np.ndarray) -> float:
    import numpy as np
    from sklearn.metrics import roc_auc_score

    present, counts = np.unique(labels, return_counts=True)
    if len(present) < 2:
        return math.nan
    if probabilities.shape[1] == 2:
        return roc_auc_score(labels, probabilities[:, 1])
    each = [roc_auc_score(labels == index, probabilities[:, index]) for index in present]
    return np.average(each, weights=counts)


_SCORES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "accuracy": _accuracy,
    "macro_f1": _macro_f1,
    "weighted_f1": _weighted_f1,
    "roc_auc": _roc_auc,
    "mcc": _mcc,
    "log_loss": _log_loss,
}
