"""Whether probabilities can be believed: of the answers given with 80 % certainty, 80 % should be right.

Source: Nixon et al. 2019, "Measuring Calibration in Deep Learning", for bins of equal mass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def brier(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean squared distance between probabilities and labels, summed over the classes: 0 to 2, as Brier defined it.

    Of multi-label rows it is the mean over the decisions on each label, which are of two classes: it applies or not.
    """
    import numpy as np

    if labels.ndim == 2:
        return float(2 * ((probabilities - labels) ** 2).mean())
    truth = np.eye(probabilities.shape[1])[labels]
    return float(((probabilities - truth) ** 2).sum(axis=1).mean())


def equal_mass_bins(certainty: np.ndarray, bins: int) -> np.ndarray:
    """The bin of each row, (rows,), counted from 0 without gaps."""
    import numpy as np

    # Rows of equal certainty share a bin, so that the order of the rows does not change the result.
    rank = np.searchsorted(np.sort(certainty), certainty)
    bin_of_row = rank * min(bins, len(certainty)) // len(certainty)
    return np.unique(bin_of_row, return_inverse=True)[1]


def bin_means(
    certainty: np.ndarray, right: np.ndarray, bin_of_row: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each bin: its rows, their mean certainty, the share of right answers; each (bins,)."""
    import numpy as np

    sizes = np.bincount(bin_of_row)
    return sizes, np.bincount(bin_of_row, certainty) / sizes, np.bincount(bin_of_row, right) / sizes


def binned_error(certainty: np.ndarray, right: np.ndarray, bin_of_row: np.ndarray) -> float:
    """Expected calibration error over the bins of the rows; `right` is 1 for a right answer, else 0."""
    sizes, mean_certainty, share_right = bin_means(certainty, right, bin_of_row)
    return float((sizes * abs(mean_certainty - share_right)).sum() / sizes.sum())
