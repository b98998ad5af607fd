"""Metrics of rows with several labels, as functions of the weights of the rows: see `metrics`.

Labels are 0 or 1, (rows, classes), and each probability is that of one label. The definitions are scikit-learn's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ftkit.evaluation import decisions

if TYPE_CHECKING:
    import numpy as np

Measure = Callable[["np.ndarray"], "np.ndarray"]
"""From weights that add up to the number of rows, (block, rows), to the metric, (block,)."""


def f1(right: np.ndarray, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """F1 of true positives, rows and predicted rows; 0 where there are neither rows nor predictions."""
    import numpy as np

    total = true + predicted
    return 2 * right / np.where(total > 0, total, 1)


def _sums(probabilities: np.ndarray, labels: np.ndarray) -> Callable[[np.ndarray], tuple[np.ndarray, ...]]:
    """True positives, rows and predicted rows of each label, in each resample; each (block, classes)."""
    true, predicted = labels.astype(float), decisions.answers(probabilities, "multi-label").astype(float)
    return lambda weights: (weights @ (true * predicted), weights @ true, weights @ predicted)


def _micro_f1(probabilities: np.ndarray, labels: np.ndarray) -> Measure:
    """Over all decisions together; 0 where no row has a label and none is answered."""
    sums = _sums(probabilities, labels)

    def measure(weights: np.ndarray) -> np.ndarray:
        right, true, predicted = (each.sum(axis=1) for each in sums(weights))
        return f1(right, true, predicted)

    return measure


def _macro_f1(probabilities: np.ndarray, labels: np.ndarray) -> Measure:
    """The mean over the labels that have rows or answers: scikit-learn's with `zero_division=nan`; NaN where there are none."""
    import numpy as np

    sums = _sums(probabilities, labels)

    def measure(weights: np.ndarray) -> np.ndarray:
        right, true, predicted = sums(weights)
        present = (true + predicted > 0).sum(axis=1)
        return np.where(present > 0, f1(right, true, predicted).sum(axis=1) / np.maximum(present, 1), np.nan)

    return measure


def _samples_f1(probabilities: np.ndarray, labels: np.ndarray) -> Measure:
    """The mean over the rows; a row without labels that gets none is right: scikit-learn's with `zero_division=1`."""
    import numpy as np

    answered = decisions.answers(probabilities, "multi-label")
    sizes = (labels + answered).sum(axis=1)
    of_rows = np.where(sizes > 0, 2 * (labels * answered).sum(axis=1) / np.maximum(sizes, 1), 1.0)
    return lambda weights: weights @ of_rows / len(labels)


def _subset_accuracy(probabilities: np.ndarray, labels: np.ndarray) -> Measure:
    right = decisions.right_rows(probabilities, labels).astype(float)
    return lambda weights: weights @ right / len(labels)


def _log_loss(probabilities: np.ndarray, labels: np.ndarray) -> Measure:
    """The mean over rows and labels of the loss of each decision."""
    import numpy as np

    smallest = np.finfo(probabilities.dtype).eps
    given = np.where(labels == 1, probabilities, 1 - probabilities)
    losses = -np.log(np.clip(given, smallest, 1 - smallest)).mean(axis=1)
    return lambda weights: weights @ losses / len(labels)


def _mean_average_precision(probabilities: np.ndarray, labels: np.ndarray) -> Measure:
    """The mean over the labels that have rows; NaN where none has."""
    import numpy as np

    single = [
        average_precision(probabilities[:, index], labels[:, index] == 1)
        for index in np.flatnonzero(labels.any(axis=0))
    ]

    def measure(weights: np.ndarray) -> np.ndarray:
        values = np.zeros(len(weights))
        counted = np.zeros(len(weights))
        for each in single:
            value = each(weights)
            values += np.nan_to_num(value)
            counted += ~np.isnan(value)  # a label without weight does not count
        return np.where(counted > 0, values / np.maximum(counted, 1), np.nan)

    return measure


def average_precision(scores: np.ndarray, positive: np.ndarray) -> Measure:
    """The mean of the precision at the score of each row that has the label; NaN where no such row has weight."""
    import numpy as np

    order = np.argsort(-scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.inf))  # the first row of each distinct score
    positive = positive[order]

    def measure(weights: np.ndarray) -> np.ndarray:
        sorted_ = weights[:, order]
        hits = np.add.reduceat(sorted_ * positive, starts, axis=1)  # (block, distinct scores)
        answered = np.cumsum(np.add.reduceat(sorted_, starts, axis=1), axis=1)
        precision = np.cumsum(hits, axis=1) / np.where(answered > 0, answered, 1)
        total = hits.sum(axis=1)
        return np.where(total > 0, (hits * precision).sum(axis=1) / np.where(total > 0, total, 1), np.nan)

    return measure


MEASURES: dict[str, Callable[[np.ndarray, np.ndarray], Measure]] = {
    "micro_f1": _micro_f1,
    "macro_f1": _macro_f1,
    "samples_f1": _samples_f1,
    "map": _mean_average_precision,
    "subset_accuracy": _subset_accuracy,
    "log_loss": _log_loss,
}
