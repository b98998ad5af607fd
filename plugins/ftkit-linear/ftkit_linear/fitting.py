"""Fits the linear model: n-grams that are frequent enough, and logistic regression on their weights."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftkit.evaluation import decisions
from ftkit_linear.classifier import LinearClassifier, reader
from ftkit_linear.ngrams import Kind, learned

if TYPE_CHECKING:
    import numpy as np

    from ftkit.contracts import Data
    from ftkit_linear.config import LinearConfig

VOCABULARY_ROWS = 50_000
"""Rows in which n-grams are counted: those that stand in hardly any of these decide hardly any answer."""
_CHUNK = 10_000
"""Rows that become a matrix at a time."""


def fit(linear: LinearConfig, data: Data) -> LinearClassifier:
    """The model of the training rows; the same rows give the same model on one machine."""
    import numpy as np

    labels = decisions.targets(data.train.labels, len(data.classes), data.task)
    chosen = chosen_rows(labels, linear.max_rows)
    texts = [data.train.texts[int(row)] for row in chosen]
    counted = texts[:: -(-len(texts) // VOCABULARY_ROWS)]
    longest: Mapping[Kind, int] = {"words": linear.words, "characters": linear.characters}
    least = min(linear.min_df, max(len(counted) // 10, 1))  # a handful of rows has hardly an n-gram twice
    ngrams = tuple(
        learned(kind, length, counted, least, linear.max_features) for kind, length in longest.items() if length
    )
    matrix = _matrix(reader(ngrams), texts)
    if data.task != "multi-label":
        coefficients, intercepts = _regression(linear, matrix, labels[chosen], len(data.classes))
        return LinearClassifier(data.classes, ngrams, coefficients, intercepts, data.task)
    single = [_regression(linear, matrix, column, 2) for column in labels[chosen].T]
    coefficients = np.stack([each[:, 1] - each[:, 0] for each, _ in single], axis=1)
    intercepts = np.array([each[1] - each[0] for _, each in single])
    return LinearClassifier(data.classes, ngrams, coefficients, intercepts, data.task)


def chosen_rows(labels: np.ndarray, most: int) -> np.ndarray:
    """Indices of the rows that are used, rising: all, or about `most` of them, evenly spaced among those with the same labels.

    `labels` are (rows,), or (rows, classes) of 0 and 1.
    """
    import numpy as np

    if len(labels) <= most:
        return np.arange(len(labels))
    step = len(labels) / most
    _, group = np.unique(labels, axis=0, return_inverse=True)
    order = np.argsort(group, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    return np.sort(np.concatenate([rows[np.arange(0, len(rows), step).astype(np.int64)] for rows in parts]))


def _matrix(read: Any, texts: Sequence[str]) -> Any:
    from scipy import sparse

    return sparse.vstack([read(texts[start : start + _CHUNK]) for start in range(0, len(texts), _CHUNK)], format="csr")


def _regression(linear: LinearConfig, matrix: Any, labels: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients, (terms, classes), and intercepts, (classes,): the logits of a softmax, that of the first of two classes 0.

    Where all rows are of one class there is nothing to learn but that.
    """
    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    coefficients = np.zeros((matrix.shape[1], classes), dtype=np.float32)
    intercepts = np.zeros(classes)
    if len(present := np.unique(labels)) < 2:
        intercepts[present] = np.log(len(labels) + 1)
        return coefficients, intercepts
    weights = "balanced" if linear.class_weights == "balanced" else None
    model = LogisticRegression(
        C=linear.C, class_weight=weights, solver="newton-cg", max_iter=linear.max_iterations, tol=1e-3
    )
    # One thread: the steps are too small to be divided, and the same sums on any number of cores give the same model.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # `max_iterations` says when it is to end
        model.fit(matrix, labels)
    columns = model.classes_[1:] if len(model.classes_) == 2 else model.classes_
    coefficients[:, columns] = model.coef_.T
    intercepts[columns] = model.intercept_
    return coefficients, intercepts
