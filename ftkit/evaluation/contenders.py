"""A contender as promotion tests need it: its labels, its answers to any text, and whether it can be measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ftkit.contracts import Contender
from ftkit.formatting import listing

if TYPE_CHECKING:
    import numpy as np


def labels_of(contender: Contender) -> np.ndarray:
    """Class indices of the test rows, (rows,)."""
    import numpy as np

    return np.asarray(contender.data.test.labels, dtype=np.int64)


def defect(contender: Contender) -> str:
    """Why no metric of this contender can be computed; empty when it can."""
    import numpy as np

    if not len(contender.data.test):
        return "the test split has no rows"
    if not np.isfinite(contender.probabilities).all():  # the class with the first NaN would win every argmax
        return f"{contender.title} gave probabilities that are not finite numbers"
    return ""


def class_mismatch(champion: Contender) -> str:
    """How the champion's classes differ from those of the data; empty when they are the same, in any order."""
    data_classes, model_classes = champion.data.classes, champion.classifier.classes
    if set(data_classes) == set(model_classes):
        return ""
    return (
        f"{champion.title} has the classes {listing(model_classes)} and the candidate {listing(data_classes)}, "
        "so they cannot be compared"
    )


def probabilities_of(contender: Contender, texts: Sequence[str]) -> np.ndarray:
    """Probabilities of any texts, (texts, classes), columns in the order of `data.classes`."""
    import numpy as np

    if not texts:
        return np.zeros((0, len(contender.data.classes)))
    probabilities = np.asarray(contender.classifier.probabilities(texts), dtype=np.float64)
    return align_classes(probabilities, contender.classifier.classes, contender.data.classes)


def sample_rows(contender: Contender, count: int) -> list[int]:
    """Indices of test rows in an order drawn from the run's seed; all of them where there are fewer than `count`."""
    import numpy as np

    order = np.random.default_rng(contender.seed).permutation(len(contender.data.test))
    return [int(row) for row in order[:count]]


def align_classes(probabilities: np.ndarray, model_classes: Sequence[str], data_classes: Sequence[str]) -> np.ndarray:
    """Probabilities with their columns in the order of the data's classes, matched by name.

    A class that the model does not know gets 0; the probability of classes that the data lacks is shared out in proportion.
    """
    import numpy as np

    if tuple(model_classes) == tuple(data_classes):
        return probabilities
    columns = np.zeros((len(probabilities), len(data_classes)))
    for index, name in enumerate(data_classes):
        if name in model_classes:
            columns[:, index] = probabilities[:, list(model_classes).index(name)]
    totals = columns.sum(axis=1, keepdims=True)
    return np.where(totals > 0, columns / np.where(totals > 0, totals, 1), 1 / len(data_classes))
