"""Resampling rows as if there were one more, which nobody has seen: few rows that are all answered well prove little.

Resampling the rows alone finds no error that none of them has: where every row is right, or answered alike by two models, its
interval has no width. So each resample weights the rows at random and a further row with them, which is answered wrong for
the lower end of an interval and right for the upper end. For a share of right answers this is the exact interval of Clopper
and Pearson; with many rows the further one hardly counts.

Source: Rubin 1981, "The Bayesian Bootstrap", for random weights; Gaffke 2005, "Three test statistics for a nonparametric
one-sided hypothesis on the mean of a nonnegative variable", for the further row.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

BLOCK = 4_000_000
"""Weights in memory at once: 32 MB."""
MODELS = 1_000
"""At most this many rows are models of the further row."""


def with_further_rows(
    probabilities: np.ndarray, labels: np.ndarray, seed: int, *, right: bool, least: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and labels of the rows, and of the further rows after them, of which each resample weights one.

    A further row is one of the rows with its label and the strongest other class exchanged where that makes it right, or
    wrong. With `least` a wrong one is so by two to one.
    """
    import numpy as np

    rows, classes = probabilities.shape
    models = np.random.default_rng(seed).permutation(rows)[:MODELS]
    further, own = probabilities[models].copy(), labels[models]
    if classes > 1:
        place = np.arange(len(models))
        others = further.copy()
        others[place, own] = -np.inf
        rival = others.argmax(axis=1)
        label_value, rival_value = further[place, own], further[place, rival]
        high, low = np.maximum(label_value, rival_value), np.minimum(label_value, rival_value)
        high, low = high * (1 + 1e-9), low * (1 - 1e-9)  # ties are decided too
        if right:
            further[place, own], further[place, rival] = high, low
        elif least:
            doubtful = np.minimum(label_value, (label_value + rival_value) / 3)
            further[place, own], further[place, rival] = doubtful, label_value + rival_value - doubtful
        else:
            further[place, own], further[place, rival] = low, high
    return np.concatenate([probabilities, further]), np.concatenate([labels, own])


def with_further_label_rows(
    probabilities: np.ndarray, labels: np.ndarray, seed: int, *, right: bool, least: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The same for multi-label rows, whose labels are 0 or 1, (rows, classes).

    A right further row gets exactly its labels. A wrong one gets none of them, and as many others, the strongest, at least one.
    """
    import numpy as np

    models = np.random.default_rng(seed).permutation(len(labels))[:MODELS]
    further, own = probabilities[models], labels[models]
    # Ties are decided too.
    likely, unlikely = np.maximum(further, 1 - further) * (1 + 1e-9), np.minimum(further, 1 - further) * (1 - 1e-9)
    if right:
        further = np.where(own == 1, likely, unlikely)
    else:
        if least:
            likely, unlikely = np.maximum(further, 2 / 3), np.minimum(further, 1 / 3)
        others = np.where(own == 1, -np.inf, further)
        place = np.argsort(np.argsort(-others, axis=1, kind="stable"), axis=1)
        rivals = (place < np.maximum(own.sum(axis=1), 1)[:, None]) & (own == 0)
        further = np.where(own == 1, unlikely, np.where(rivals, likely, further))
    return np.concatenate([probabilities, np.clip(further, 0, 1)]), np.concatenate([labels, own])


def weights(rows: int, seed: int, resamples: int) -> Iterator[np.ndarray]:
    """Blocks of weights, (block, rows and further rows), which add up to their number; the same seed gives the same."""
    import numpy as np

    random = np.random.default_rng(seed)
    total = rows + min(rows, MODELS)
    chosen = random.integers(rows, total, resamples)  # the further row of each resample
    size = max(1, BLOCK // max(total, 1))
    for start in range(0, resamples, size):
        block = chosen[start : start + size]
        drawn = random.standard_exponential((len(block), rows + 1))
        drawn *= total / drawn.sum(axis=1, keepdims=True)
        weighted = np.zeros((len(block), total))
        weighted[:, :rows] = drawn[:, :rows]
        weighted[np.arange(len(block)), block] = drawn[:, rows]
        yield weighted


def ends(wrong: np.ndarray, right: np.ndarray, level: float, *, rising: bool) -> tuple[float, float]:
    """The interval between the worse end of the draws with a wrong further row and the better end of those with a right one.

    `rising` says whether greater draws are better. Raises: IndexError where there are no draws.
    """
    import numpy as np

    # This estimate of a quantile is right on average; numpy's own has too narrow tails when there are few draws.
    lower = np.quantile(wrong if rising else right, (1 - level) / 2, method="weibull")
    upper = np.quantile(right if rising else wrong, (1 + level) / 2, method="weibull")
    return round(float(lower), 12), round(float(upper), 12)  # weights add up to all but exactly
