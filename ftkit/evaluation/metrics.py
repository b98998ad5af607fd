"""Metrics of class probabilities, and bootstrap intervals around them.

All take probabilities, (rows, classes), and labels, (rows,) of class indices. The definitions, edge cases included, are
scikit-learn's.

Every metric is a function of how often each row counts, built from weighted sums over the rows: once for all rows, or for a block
of bootstrap resamples as a matrix product, which is a hundred times faster than one resample after another.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, get_args

from ftkit.contracts.settings import Metric

if TYPE_CHECKING:
    import numpy as np

Measure = Callable[["np.ndarray"], "np.ndarray"]
"""From counts, (block, rows), to the metric, (block,)."""

BLOCK = 4_000_000
"""Counts in memory at once: 32 MB."""

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
"""The name of each metric in sentences."""


def better(metric: str, one: float, other: float) -> bool:
    """Whether `one` is strictly better than `other`; a number is better than NaN."""
    if math.isnan(one) or math.isnan(other):
        return math.isnan(other) and not math.isnan(one)
    return one > other if GREATER_IS_BETTER[metric] else one < other


def score(metric: str, probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The value of one metric; NaN where it is not defined, as ROC AUC on rows of one class.

    With two classes `roc_auc` ranks by the probability of class 1; with more it is one-vs-rest, weighted by class frequency.
    Raises: KeyError for a metric that is not one of `METRICS`.
    """
    import numpy as np

    return float(measure(metric, probabilities, labels)(np.ones((1, len(labels))))[0])


def scores(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The values of all metrics by name."""
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

    draws = resampled(metric, probabilities, labels, seed=seed, resamples=resamples)
    if np.isnan(draws).all():
        return math.nan, math.nan
    low, high = np.nanquantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def resampled(metric: str, probabilities: np.ndarray, labels: np.ndarray, *, seed: int, resamples: int) -> np.ndarray:
    """The metric on each resample, (resamples,), NaN where it is not defined; the same seed draws the same rows.

    Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13.
    Raises: KeyError for a metric that is not one of `METRICS`.
    """
    import numpy as np

    measured = measure(metric, probabilities, labels)
    random = np.random.default_rng(seed)
    rows = len(labels)
    size = max(1, BLOCK // max(rows, 1))
    blocks = []
    for start in range(0, resamples, size):
        draws = (random.integers(0, rows, rows) for _ in range(min(size, resamples - start)))
        counts = np.stack([np.bincount(each, minlength=rows) for each in draws]).astype(np.float64)
        blocks.append(measured(counts))  # (block, rows) to (block,)
    return np.concatenate(blocks)


def measure(metric: str, probabilities: np.ndarray, labels: np.ndarray) -> Measure:
    """A metric of these rows, NaN where it is not defined; probabilities are (rows, classes), labels (rows,) class indices.

    Raises: KeyError for a metric that is not one of `METRICS`.
    """
    import numpy as np

    return _MEASURES[metric](np.asarray(probabilities, dtype=np.float64), np.asarray(labels, dtype=np.int64))


def _accuracy(probabilities: np.ndarray, labels: np.ndarray) -> Measure:
    right = (probabilities.argmax(axis=1) == labels).astype(float)
    return lambda counts: counts @ right / len(labels)


def _log_loss(probabilities: np.ndarray, labels: np.ndarray) -> Measure:
    import numpy as np

    # In single precision, probabilities add up to one only nearly.
    probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
    smallest = np.finfo(probabilities.dtype).eps
    losses = -np.log(np.clip(probabilities[np.arange(len(labels)), labels], smallest, 1 - smallest))
    return lambda counts: counts @ losses / len(labels)


def _sums(probabilities: np.ndarray, labels: np.ndarray) -> Callable[[np.ndarray], tuple[np.ndarray, ...]]:
    """True positives, rows and predicted rows of each class, in each resample; each (block, classes)."""
    import numpy as np

    one = np.eye(probabilities.shape[1])
    true, predicted = one[labels], one[probabilities.argmax(axis=1)]  # (rows, classes)
    return lambda counts: (counts @ (true * predicted), counts @ true, counts @ predicted)


def _macro_f1(probabilities: np.ndarray, labels: np.ndarray) -> Measure:
    sums = _sums(probabilities, labels)

    def measure(counts: np.ndarray) -> np.ndarray:
        right, true, predicted = sums(counts)
        present = true + predicted > 0  # a class without rows and predictions has no F1
        return (_f1(right, true, predicted) * present).sum(axis=1) / present.sum(axis=1)

    return measure


def _weighted_f1(probabilities: np.ndarray, labels: np.ndarray) -> Measure:
    sums = _sums(probabilities, labels)

    def measure(counts: np.ndarray) -> np.ndarray:
        right, true, predicted = sums(counts)
        return (_f1(right, true, predicted) * true).sum(axis=1) / len(labels)

    return measure


def _f1(right: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    import numpy as np

    return 2 * right / np.maximum(true + predicted, 1)


def _mcc(probabilities: np.ndarray, labels: np.ndarray) -> Measure:
    """Source: Gorodkin 2004, "Comparing two K-category assignments by a K-category correlation coefficient"."""
    import numpy as np

    sums = _sums(probabilities, labels)

    def measure(counts: np.ndarray) -> np.ndarray:
        right, true, predicted = sums(counts)
        rows = len(labels)
        both = right.sum(axis=1) * rows - (true * predicted).sum(axis=1)
        spread = (rows**2 - (true**2).sum(axis=1)) * (rows**2 - (predicted**2).sum(axis=1))
        return np.where(spread > 0, both / np.sqrt(np.where(spread > 0, spread, 1)), 0.0)

    return measure


def _roc_auc(probabilities: np.ndarray, labels: np.ndarray) -> Measure:
    import numpy as np

    classes = [1] if probabilities.shape[1] == 2 else list(np.unique(labels))
    single = [_one_against_rest(probabilities[:, index], labels == index) for index in classes]

    def measure(counts: np.ndarray) -> np.ndarray:
        values = np.stack([each(counts) for each in single], axis=1)  # (block, classes)
        weights = np.stack([counts @ (labels == index) for index in classes], axis=1)
        if len(classes) == 1:
            return values[:, 0]
        # A class without rows in a resample does not count; where one class has all rows, there is nothing to rank.
        alone = (weights == len(labels)).any(axis=1)
        means = (np.nan_to_num(values) * weights).sum(axis=1) / weights.sum(axis=1)
        return np.where(alone, np.nan, means)

    return measure


def _one_against_rest(scores: np.ndarray, positive: np.ndarray) -> Measure:
    """The share of pairs in order, ties counted half (Mann and Whitney's U), for weighted rows."""
    import numpy as np

    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))  # the first row of each distinct score
    positive = positive[order]

    def measure(counts: np.ndarray) -> np.ndarray:
        sorted_ = counts[:, order]
        positives = np.add.reduceat(sorted_ * positive, starts, axis=1)
        negatives = np.add.reduceat(sorted_ * ~positive, starts, axis=1)
        pairs = (positives * (np.cumsum(negatives, axis=1) - negatives / 2)).sum(axis=1)
        total = positives.sum(axis=1) * negatives.sum(axis=1)
        return np.where(total > 0, pairs / np.where(total > 0, total, 1), np.nan)

    return measure


_MEASURES: dict[str, Callable[[np.ndarray, np.ndarray], Measure]] = {
    "accuracy": _accuracy,
    "macro_f1": _macro_f1,
    "weighted_f1": _weighted_f1,
    "roc_auc": _roc_auc,
    "mcc": _mcc,
    "log_loss": _log_loss,
}
