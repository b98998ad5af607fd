"""Decides whether a trial is stopped early: each policy of a recipe as a function of what the trials reported.

Values are one trial's numbers of the recipe's metric, one per evaluation. A trial is judged by the best it has reached
so far, since that is the evaluation it would keep.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from ftkit.contracts.policies import Bandit, Halving, Median, NoPolicy, Policy, Truncation
from ftkit.evaluation.metrics import GREATER_IS_BETTER


def stops(policy: Policy, metric: str, values: Sequence[float], others: Sequence[Sequence[float]]) -> bool:
    """Whether a trial ends after the evaluations in `values`; `others` are the values of all other trials so far."""
    own = _signed(metric, values)
    rivals = [_signed(metric, each) for each in others if each]
    match policy:
        case Bandit():
            return _due(policy, len(own)) and _bandit(policy, own, rivals)
        case Median():
            return _due(policy, len(own)) and _median(own, rivals)
        case Truncation():
            return _due(policy, len(own)) and _truncation(policy, own, rivals)
        case Halving():
            return _rung(policy, len(own)) and _halving(policy, own, rivals)
        case NoPolicy():
            return False


def _bandit(policy: Bandit, own: list[float], rivals: list[list[float]]) -> bool:
    best = max([max(own), *(max(each[: len(own)]) for each in rivals)])
    if policy.slack_amount is not None:
        return max(own) < best - policy.slack_amount
    ratio = 1 + (policy.slack_factor or 0.0)
    # Below zero (a loss with its sign turned, a negative correlation) falling behind means multiplying, not dividing.
    return max(own) < (best / ratio if best > 0 else best * ratio)


def _median(own: list[float], rivals: list[list[float]]) -> bool:
    averages = [statistics.fmean(each[: len(own)]) for each in rivals if len(each) >= len(own)]
    return bool(averages) and max(own) < statistics.median(averages)


def _truncation(policy: Truncation, own: list[float], rivals: list[list[float]]) -> bool:
    reached = _reached(own, rivals)
    # Equal trials are equally bad, so they are all stopped or none.
    return sum(value <= max(own) for value in reached) <= len(reached) * policy.percentage // 100


def _halving(policy: Halving, own: list[float], rivals: list[list[float]]) -> bool:
    reached = sorted(_reached(own, rivals), reverse=True)
    going_on = max(1, len(reached) // policy.reduction)
    return max(own) < reached[going_on - 1]


def _reached(own: list[float], rivals: list[list[float]]) -> list[float]:
    """The best values so far of all trials that came to this evaluation, this one included."""
    return [max(own), *(max(each[: len(own)]) for each in rivals if len(each) >= len(own))]


def _due(policy: Bandit | Median | Truncation, evaluation: int) -> bool:
    return evaluation >= policy.delay and evaluation % policy.interval == 0


def _rung(policy: Halving, evaluation: int) -> bool:
    rung = policy.smallest
    while rung < evaluation:
        rung *= policy.reduction
    return rung == evaluation


def _signed(metric: str, values: Sequence[float]) -> list[float]:
    """The values with their sign turned where less is better, so that more is always better; NaN is the worst value."""
    sign = 1.0 if GREATER_IS_BETTER[metric] else -1.0
    return [-math.inf if math.isnan(value) else sign * value for value in values]
