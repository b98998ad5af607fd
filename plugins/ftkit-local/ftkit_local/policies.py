"""Decides whether a trial is stopped early: each policy of a recipe as a function of what the trials reported.

Values are one trial's numbers of the recipe's metric, one per evaluation. A trial is judged by the best it has reached so
far, since that is the evaluation it would keep.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from ftkit.contracts.settings import Bandit, Halving, Median, NoPolicy, Policy, Truncation
from ftkit.evaluation.metrics import GREATER_IS_BETTER


def stops(policy: Policy, metric: str, values: Sequence[float], others: Sequence[Sequence[float]]) -> bool:
    """Whether a trial ends after the evaluations in `values`; `others` are the values of all other trials so far."""
    mine = _signed(metric, values)
    rivals = [_signed(metric, each) for each in others if each]
    match policy:
        case Bandit():
            return _due(policy, len(mine)) and _bandit(policy, mine, rivals)
        case Median():
            return _due(policy, len(mine)) and _median(mine, rivals)
        case Truncation():
            return _due(policy, len(mine)) and _truncation(policy, mine, rivals)
        case Halving():
            return _rung(policy, len(mine)) and _halving(policy, mine, rivals)
        case NoPolicy():
            return False


def _bandit(policy: Bandit, mine: list[float], rivals: list[list[float]]) -> bool:
    best = max([max(mine), *(max(each[: len(mine)]) for each in rivals)])
    if policy.slack_amount is not None:
        return max(mine) < best - policy.slack_amount
    ratio = 1 + (policy.slack_factor or 0.0)
    # Below zero (a loss with its sign turned, a negative correlation) falling behind means multiplying, not dividing.
    return max(mine) < (best / ratio if best > 0 else best * ratio)


def _median(mine: list[float], rivals: list[list[float]]) -> bool:
    averages = [statistics.fmean(each[: len(mine)]) for each in rivals if len(each) >= len(mine)]
    return bool(averages) and max(mine) < statistics.median(averages)


def _truncation(policy: Truncation, mine: list[float], rivals: list[list[float]]) -> bool:
    reached = _reached(mine, rivals)
    # Of trials that are equal none is worse than the other, so they go together or not at all.
    return sum(value <= max(mine) for value in reached) <= len(reached) * policy.percentage // 100


def _halving(policy: Halving, mine: list[float], rivals: list[list[float]]) -> bool:
    reached = sorted(_reached(mine, rivals), reverse=True)
    kept = max(1, len(reached) // policy.reduction)
    return max(mine) < reached[kept - 1]


def _reached(mine: list[float], rivals: list[list[float]]) -> list[float]:
    """The best so far of every trial that came to this evaluation, this trial included."""
    return [max(mine), *(max(each[: len(mine)]) for each in rivals if len(each) >= len(mine))]


def _due(policy: Bandit | Median | Truncation, evaluation: int) -> bool:
    return evaluation >= policy.delay and evaluation % policy.interval == 0


def _rung(policy: Halving, evaluation: int) -> bool:
    rung = policy.smallest
    while rung < evaluation:
        rung *= policy.reduction
    return rung == evaluation


def _signed(metric: str, values: Sequence[float]) -> list[float]:
    """The values with their sign turned where less is better, so that more always is; NaN is the worst there is."""
    sign = 1.0 if GREATER_IS_BETTER[metric] else -1.0
    return [-math.inf if math.isnan(value) else sign * value for value in values]
