"""From probabilities to answers: the one place that decides which classes a text gets, and how sure that is.

Labels of evaluations are class indices, (rows,); those of multi-label rows are 0 or 1, (rows, classes). So the labels say which of the
two a function has before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ftkit.contracts import Task

if TYPE_CHECKING:
    import numpy as np

THRESHOLD = 0.5
"""The probability from which a text gets a label of a multi-label model."""


def targets(labels: Sequence[Any], classes: int, task: Task) -> np.ndarray:
    """The labels of a split as evaluations need them: indices, (rows,), or for multi-label rows 0 and 1, (rows, classes)."""
    import numpy as np

    if task != "multi-label":
        return np.asarray(labels, dtype=np.int64)
    table = np.zeros((len(labels), classes), dtype=np.int64)
    for row, own in enumerate(labels):
        table[row, list(own)] = 1
    return table


def answers(probabilities: np.ndarray, task: Task) -> np.ndarray:
    """Which classes each row gets, 0 or 1, (rows, classes): the most probable one, or each from `THRESHOLD` on."""
    import numpy as np

    probabilities = np.asarray(probabilities)
    if task == "multi-label":
        return (probabilities >= THRESHOLD).astype(np.int64)
    return np.eye(probabilities.shape[1], dtype=np.int64)[probabilities.argmax(axis=1)]


def task_of(labels: np.ndarray) -> Task:
    """How rows with these labels are answered: of an order of classes each row gets one, as without an order."""
    return "multi-label" if labels.ndim == 2 else "single-label"


def right_rows(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether each row gets its label, or exactly its labels; (rows,)."""
    if labels.ndim == 2:
        return (answers(probabilities, "multi-label") == labels).all(axis=1)
    return probabilities.argmax(axis=1) == labels


def certainty(probabilities: np.ndarray, task: Task) -> np.ndarray:
    """How sure the answer to each row is, (rows,): the probability of its class, or of its least sure decision on a label."""
    if task == "multi-label":
        return decided(probabilities).min(axis=1)
    return probabilities.max(axis=1)


def decisions(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How sure each decision is, and whether it is right, 1 or 0: one for each row, or for each label of a multi-label row."""
    if labels.ndim == 2:
        right = answers(probabilities, "multi-label") == labels
        return decided(probabilities).ravel(), right.ravel().astype(float)
    return probabilities.max(axis=1), (probabilities.argmax(axis=1) == labels).astype(float)


def decided(probabilities: np.ndarray) -> np.ndarray:
    """The probability of the decision on each label of multi-label rows, that it applies or that it does not; (rows, classes)."""
    import numpy as np

    return np.where(answers(probabilities, "multi-label") == 1, probabilities, 1 - probabilities)


def labels(probabilities: np.ndarray, classes: Sequence[str], task: Task) -> list[Any]:
    """The answer to each row as callers get it: the name of its class, or with the task `multi-label` the list of its labels."""
    if task == "multi-label":
        return [[classes[index] for index in row.nonzero()[0]] for row in answers(probabilities, task)]
    return [classes[index] for index in probabilities.argmax(axis=1)]


def named(answered: np.ndarray, classes: Sequence[str]) -> str:
    """One row of answers, (classes,), in a sentence."""
    return " and ".join(name for name, given in zip(classes, answered, strict=True) if given) or "no label"
