"""Which of the finished models is selected where a recipe prefers cheap ones, by `[search] prefer`.

A model may be selected unless the validation rows show that it is worse than the best one by more than `within`: the upper end of the
paired interval of 95 % of the difference is below -within. With few rows little can be shown, and a cheap model is selected although
it may be worse; the promotion tests then judge it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ftkit.contracts.preference import ALIKE, Alternative, Preference
from ftkit.contracts.settings import Prefer
from ftkit.evaluation import paired_comparison

if TYPE_CHECKING:
    import numpy as np

LEVEL = 0.95
RESAMPLES = 1000


def compared(
    model: Alternative, own: np.ndarray, best: np.ndarray, labels: np.ndarray, metric: str, within: float, seed: int
) -> Alternative:
    """A model compared with the best one by the probabilities of both on the validation rows, each (rows, classes).

    Where the interval is not defined, as of an F1 without rows of a class, the difference itself decides.
    """
    pair = paired_comparison.compare(metric, own, best, labels, seed=seed, resamples=RESAMPLES)
    low, high = pair.interval(LEVEL)
    if math.isnan(low) or math.isnan(high):
        low = high = pair.difference
    return replace(model, difference=pair.difference, low=low, high=high, worse=high < -within)


def preferred(prefer: Prefer, metric: str, rows: int, models: Sequence[Alternative]) -> Preference:
    """The selection among models, the best first: of the cheapest ones that are not shown to be worse, the best."""
    allowed = [each for each in models if not each.worse]
    costs = [cost for each in allowed if (cost := each.cost(prefer.cheapest)) is not None]
    if allowed[0].cost(prefer.cheapest) is None:  # nobody knows whether another one is cheaper than the best
        chosen = allowed[0]
    else:
        limit = ALIKE * min(costs)
        chosen = next(each for each in allowed if (cost := each.cost(prefer.cheapest)) is not None and cost <= limit)
    return Preference(prefer.cheapest, prefer.within, metric, rows, chosen.number, tuple(models))
