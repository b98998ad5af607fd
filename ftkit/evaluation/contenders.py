"""A contender's answers as promotion tests need them: columns in the order of the data's classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


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
