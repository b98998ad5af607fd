"""How far probabilities can be believed: of the answers given with 80 % certainty, 80 % should be right.

Source: Nixon et al. 2019, "Measuring Calibration in Deep Learning", for bins of equal mass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def calibration_error(certainty: np.ndarray, right: np.ndarray, bins: int) -> float:
    """Expected calibration error over bins with equally many rows; `right` is 1 where the answer is."""
    return binned_error(certainty, right, equal_mass_bins(certainty, bins))


def brier(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean squared distance between probabilities and truth, summed over the classes: 0 to 2, as Brier defined it."""
    import numpy as np

    truth = np.eye(probabilities.shape[1])[labels]
    return float(((probabilities - truth) ** 2).sum(axis=1).mean())


def equal_mass_bins(certainty: np.ndarray, bins: int) -> np.ndarray:
    """The bin of each row, counted from 0 without gaps."""
    import numpy as np

    # Rows of one certainty share a bin, or the order of the rows would change the result.
    first = np.searchsorted(np.sort(certainty), certainty)
    wanted = first * min(bins, len(certainty)) // len(certainty)
    return np.unique(wanted, return_inverse=True)[1]


def bin_means(
    certainty: np.ndarray, right: np.ndarray, placed: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """By bin: rows, mean certainty, share that is right."""
    import numpy as np

    sizes = np.bincount(placed)
    return sizes, np.bincount(placed, certainty) / sizes, np.bincount(placed, right) / sizes


def binned_error(certainty: np.ndarray, right: np.ndarray, placed: np.ndarray) -> float:
    """The calibration error of rows that are placed in bins already."""
    sizes, sure, hit = bin_means(certainty, right, placed)
    return float((sizes * abs(sure - hit)).sum() / sizes.sum())
