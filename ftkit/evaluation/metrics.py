"""Metrics of class probabilities, and intervals around them.

All take probabilities, (rows, classes), and labels: class indices, (rows,), or for multi-label rows 0 and 1, (rows, classes). The
definitions, edge cases included, are scikit-learn's; those of multi-label rows are in `multi_label_metrics`.

Every metric is a function of the weights of the rows, built from weighted sums: once for all rows, or for a block of resamples
as a matrix product, which is a hundred times faster than one resample after another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, get_args

from ftkit.contracts import Task
from ftkit.contracts.settings import Metric
from ftkit.contracts.tasks import METRICS_OF
from ftkit.evaluation import decisions, multi_label_metrics, resampling
from ftkit.evaluation.multi_label_metrics import Measure, f1

if TYPE_CHECKING:
    import numpy as np

METRICS: tuple[str, ...] = get_args(Metric)
"""The metrics of all tasks; `ftkit.contracts.tasks.METRICS_OF` has those of each."""

GREATER_IS_BETTER = {name: name not in ("log_loss", "mae") for name in METRICS}

TITLES = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "roc_auc": "ROC AUC",
    "mcc": "MCC",
    "log_loss": "log loss",
    "micro_f1": "micro F1",
    "samples_f1": "samples F1",
    "map": "mean average precision",
    "subset_accuracy": "subset accuracy",
    "quadratic_kappa": "quadratic kappa",
    "mae": "mean absolute error",
}
"""The name of each metric in sentences."""


def better(metric: str, one: float, other: float) -> bool:
    """Whether `one` is strictly better than `other`; a number is better than NaN."""
    if math.isnan(one) or math.isnan(other):
        return math.isnan(other) and not math.isnan(one)
    return one > other if GREATER_IS_BETTER[metric] else one < other


def score(metric: str, probabilities: np.ndarray, labels: np.ndarray, classes: Sequence[int] | None = None) -> float:
    """The value of one metric; NaN where it is not defined, as ROC AUC on rows of one class.

    With two classes `roc_auc` ranks by the probability of class 1; with more it is one-vs-rest, weighted by class frequency.
    `classes` as in `measure`. Raises: KeyError for a metric that the labels do not have.
    """
    import numpy as np

    return float(measure(metric, probabilities, labels, classes)(np.ones((1, len(labels))))[0])


def scores(probabilities: np.ndarray, labels: np.ndarray, task: Task = "single-label") -> dict[str, float]:
    """The values of all metrics of a task by name."""
    return {metric: score(metric, probabilities, labels) for metric in METRICS_OF[task]}


def interval(
    metric: str,
    probabilities: np.ndarray,
    labels: np.ndarray,
    *,
    seed: int = 0,
    resamples: int = 1000,
    level: float = 0.95,
) -> tuple[float, float]:
    """An interval over the rows, as `resampling` describes it; NaN where the metric is not defined.

    The same seed gives the same interval.
    """
    import numpy as np

    wrong, right = (
        resampled(metric, probabilities, labels, seed=seed, resamples=resamples, right=each) for each in (False, True)
    )
    if np.isnan(wrong).any() or np.isnan(right).any():
        return math.nan, math.nan
    return resampling.ends(wrong, right, level, rising=GREATER_IS_BETTER[metric])


def resampled(
    metric: str,
    probabilities: np.ndarray,
    labels: np.ndarray,
    *,
    seed: int,
    resamples: int,
    right: bool,
    classes: Sequence[int] | None = None,
) -> np.ndarray:
    """The metric on each resample, (resamples,), NaN where it is not defined; the same seed draws the same weights.

    `right` says how the further row is answered, `classes` as in `measure`. A loss has no worst value, so a further row that is
    wrong is so by two to one there. Raises: KeyError for a metric that the labels do not have.
    """
    import numpy as np

    probabilities, labels = np.asarray(probabilities, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    if not len(labels):
        return np.full(resamples, math.nan)
    # A further row must not bring in a class that no row has: macro F1 would fall by its whole share in every resample.
    least = metric == "log_loss"
    if labels.ndim == 2:
        if classes is not None:
            probabilities, labels = probabilities[:, classes], labels[:, classes]
        present = labels | decisions.answers(probabilities, "multi-label")
        classes = [int(each) for each in np.flatnonzero(present.any(axis=0))] if metric == "macro_f1" else None
        more, more_labels = resampling.with_further_label_rows(probabilities, labels, seed, right=right, least=least)
    else:
        known = np.union1d(labels, probabilities.argmax(axis=1))
        classes = [int(each) for each in known if classes is None or each in classes]
        more, more_labels = resampling.with_further_rows(probabilities, labels, seed, right=right, least=least)
    measured = measure(metric, more, more_labels, classes)
    return np.concatenate([measured(block) for block in resampling.weights(len(labels), seed, resamples)])


def measure(
    metric: str, probabilities: np.ndarray, labels: np.ndarray, classes: Sequence[int] | None = None
) -> Measure:
    """A metric of these rows, NaN where it is not defined.

    Macro F1 is the mean over those of `classes` that have rows or answers; over all classes when it is left out. Of multi-label
    rows no other labels than `classes` count. Raises: KeyError for a metric that the labels do not have.
    """
    import numpy as np

    probabilities, labels = np.asarray(probabilities, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    if labels.ndim == 2:
        chosen = slice(None) if classes is None else list(classes)
        return multi_label_metrics.MEASURES[metric](probabilities[:, chosen], labels[:, chosen])
    if metric == "macro_f1":
        return _macro_f1(probabilities, labels, classes)
    return _MEASURES[metric](probabilities, labels)


def _accuracy(probabilities: np.ndarray, labels: np.ndarray) -> Measure:
    right = (probabilities.argmax(axis=1) == labels).astype(float)
    return lambda weights: weights @ right / len(labels)


def _log_loss(probabilities: np.ndarray, labels: np.ndarray) -> Measure:
    import numpy as np

    # In single precision, probabilities add up to one only nearly.
    probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
    smallest = np.finfo(probabilities.dtype).eps
    losses = -np.log(np.clip(probabilities[np.arange(len(labels)), labels], smallest, 1 - smallest))
    return lambda weights: weights @ losses / len(labels)


def _sums(probabilities: np.ndarray, labels: np.ndarray) -> Callable[[np.ndarray], tuple[np.ndarray, ...]]:
    """True positives, rows and predicted rows of each class, in each resample; each (block, classes)."""
    import numpy as np

    one = np.eye(probabilities.shape[1])
    true, predicted = one[labels], one[probabilities.argmax(axis=1)]  # (rows, classes)
    return lambda weights: (weights @ (true * predicted), weights @ true, weights @ predicted)


def _macro_f1(probabilities: np.ndarray, labels: np.ndarray, classes: Sequence[int] | None) -> Measure:
    import numpy as np

    sums = _sums(probabilities, labels)
    averaged = np.isin(np.arange(probabilities.shape[1]), range(probabilities.shape[1]) if classes is None else classes)

    def measure(weights: np.ndarray) -> np.ndarray:
        right, true, predicted = sums(weights)
        present = averaged & (true + predicted > 0)  # a class without rows and predictions has no F1
        return (f1(right, true, predicted) * present).sum(axis=1) / present.sum(axis=1)

    return measure


def _weighted_f1(probabilities: np.ndarray, labels: np.ndarray) -> Measure:
    sums = _sums(probabilities, labels)

    def measure(weights: np.ndarray) -> np.ndarray:
        right, true, predicted = sums(weights)
        return (f1(right, true, predicted) * true).sum(axis=1) / len(labels)

    return measure


def _mcc(probabilities: np.ndarray, labels: np.ndarray) -> Measure:
    """Source: Gorodkin 2004, "Comparing two K-category assignments by a K-category correlation coefficient"."""
    import numpy as np

    sums = _sums(probabilities, labels)

    def measure(weights: np.ndarray) -> np.ndarray:
        right, true, predicted = sums(weights)
        rows = len(labels)
        both = right.sum(axis=1) * rows - (true * predicted).sum(axis=1)
        spreads = [rows**2 - (each**2).sum(axis=1) for each in (true, predicted)]
        several = (spreads[0] > 1e-9 * rows**2) & (spreads[1] > 1e-9 * rows**2)  # weights add up to all but exactly
        return np.where(several, both / np.sqrt(np.where(several, spreads[0] * spreads[1], 1)), 0.0)

    return measure


def _roc_auc(probabilities: np.ndarray, labels: np.ndarray) -> Measure:
    import numpy as np

    classes = [1] if probabilities.shape[1] == 2 else list(np.unique(labels))
    single = [_one_against_rest(probabilities[:, index], labels == index) for index in classes]

    def measure(weights: np.ndarray) -> np.ndarray:
        values = np.stack([each(weights) for each in single], axis=1)  # (block, classes)
        shares = np.stack([weights @ (labels == index) for index in classes], axis=1)
        if len(classes) == 1:
            return values[:, 0]
        # A class without weight does not count; where one class has all of it, there is nothing to rank.
        alone = (shares > 0).sum(axis=1) < 2
        means = (np.nan_to_num(values) * shares).sum(axis=1) / shares.sum(axis=1)
        return np.where(alone, np.nan, means)

    return measure


def _one_against_rest(scores: np.ndarray, positive: np.ndarray) -> Measure:
    """The share of pairs in order, ties counted half (Mann and Whitney's U), for weighted rows."""
    import numpy as np

    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))  # the first row of each distinct score
    positive = positive[order]

    def measure(weights: np.ndarray) -> np.ndarray:
        sorted_ = weights[:, order]
        positives = np.add.reduceat(sorted_ * positive, starts, axis=1)
        negatives = np.add.reduceat(sorted_ * ~positive, starts, axis=1)
        pairs = (positives * (np.cumsum(negatives, axis=1) - negatives / 2)).sum(axis=1)
        total = positives.sum(axis=1) * negatives.sum(axis=1)
        return np.where(total > 0, pairs / np.where(total > 0, total, 1), np.nan)

    return measure


def _quadratic_kappa(probabilities: np.ndarray, labels: np.ndarray) -> Measure:
    """Source: Cohen 1968, "Weighted kappa: nominal scale agreement with provision for scaled disagreement or partial credit"."""
    import numpy as np

    sums = _sums(probabilities, labels)
    places = np.arange(probabilities.shape[1])
    distances = (places[:, None] - places) ** 2.0  # (classes, classes)
    apart = (probabilities.argmax(axis=1) - labels) ** 2.0

    def measure(weights: np.ndarray) -> np.ndarray:
        _, true, predicted = sums(weights)
        by_chance = ((true @ distances) * predicted).sum(axis=1) / len(labels)
        several = by_chance > 1e-9 * len(labels)  # weights add up to all but exactly
        return np.where(several, 1 - weights @ apart / np.where(several, by_chance, 1), np.nan)

    return measure


def _mae(probabilities: np.ndarray, labels: np.ndarray) -> Measure:
    """In steps of the order of the classes."""
    steps = abs(probabilities.argmax(axis=1) - labels).astype(float)
    return lambda weights: weights @ steps / len(labels)


_MEASURES: dict[str, Callable[[np.ndarray, np.ndarray], Measure]] = {
    "accuracy": _accuracy,
    "weighted_f1": _weighted_f1,
    "roc_auc": _roc_auc,
    "mcc": _mcc,
    "log_loss": _log_loss,
    "quadratic_kappa": _quadratic_kappa,
    "mae": _mae,
}
