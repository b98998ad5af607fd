"""Decides whether a trial is stopped early: each policy of a recipe as a function of what the trials reported.

Values are one trial's numbers of the recipe's metric, one per evaluation. A trial is judged by the best it has reached
so far, since that is the evaluation it would keep.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ftkit.contracts.policies import Asha, Bandit, Hyperband, Median, NoPolicy, Policy, Truncation
from ftkit.evaluation.metrics import GREATER_IS_BETTER


@dataclass(frozen=True)
class Bracket:
    """Some trials of a search by `hyperband`, which are halved among themselves."""

    first_rung: int
    """Evaluations before its first rung ends."""
    share: int
    """Trials of this bracket in one round of the algorithm, beside the shares of the others."""


def stops(
    policy: Policy, metric: str, number: int, values: Sequence[float], others: Mapping[int, Sequence[float]]
) -> bool:
    """Whether trial `number` ends after the evaluations in `values`; `others` has those of all other trials so far, by number."""
    own = _signed(metric, values)
    rivals = {other: _signed(metric, each) for other, each in others.items() if each}
    match policy:
        case Bandit():
            return _due(policy, len(own)) and _bandit(policy, own, list(rivals.values()))
        case Median():
            return _due(policy, len(own)) and _median(own, list(rivals.values()))
        case Truncation():
            return _due(policy, len(own)) and _truncation(policy, own, list(rivals.values()))
        case Asha():
            on_rung = _on_rung(len(own), policy.smallest, policy.reduction)
            return on_rung and _halves(policy.reduction, own, list(rivals.values()))
        case Hyperband():
            return _hyperband(policy, number, own, rivals)
        case NoPolicy():
            return False


def brackets(policy: Hyperband) -> list[Bracket]:
    """The brackets of the algorithm, the one that judges earliest first; the last judges no trial before its end."""
    count = 0
    while policy.smallest * policy.reduction ** (count + 1) <= policy.largest:
        count += 1
    return [
        Bracket(
            policy.smallest * policy.reduction ** (count - halvings),
            -(-(count + 1) * policy.reduction**halvings // (halvings + 1)),
        )
        for halvings in range(count, -1, -1)
    ]


def bracket_of(number: int, shares: Sequence[int]) -> int:
    """Which bracket a trial belongs to: always the one that is furthest below its share by then, the first of equals."""
    dealt = [0] * len(shares)
    for trial in range(number % sum(shares) + 1):
        index = max(
            range(len(shares)), key=lambda each: (shares[each] * (trial + 1) - dealt[each] * sum(shares), -each)
        )
        dealt[index] += 1
    return index


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


def _halves(reduction: int, own: list[float], rivals: list[list[float]]) -> bool:
    reached = sorted(_reached(own, rivals), reverse=True)
    going_on = max(1, len(reached) // reduction)
    return max(own) < reached[going_on - 1]


def _hyperband(policy: Hyperband, number: int, own: list[float], rivals: Mapping[int, list[float]]) -> bool:
    every = brackets(policy)
    shares = [each.share for each in every]
    own_bracket = bracket_of(number, shares)
    if len(own) >= every[-1].first_rung or not _on_rung(len(own), every[own_bracket].first_rung, policy.reduction):
        return False
    return _halves(
        policy.reduction, own, [each for other, each in rivals.items() if bracket_of(other, shares) == own_bracket]
    )


def _reached(own: list[float], rivals: list[list[float]]) -> list[float]:
    """The best values so far of all trials that came to this evaluation, this one included."""
    return [max(own), *(max(each[: len(own)]) for each in rivals if len(each) >= len(own))]


def _due(policy: Bandit | Median | Truncation, evaluation: int) -> bool:
    return evaluation >= policy.delay and evaluation % policy.interval == 0


def _on_rung(evaluation: int, smallest: int, reduction: int) -> bool:
    rung = smallest
    while rung < evaluation:
        rung *= reduction
    return rung == evaluation


def _signed(metric: str, values: Sequence[float]) -> list[float]:
    """The values with their sign turned where less is better, so that more is always better; NaN is the worst value."""
    sign = 1.0 if GREATER_IS_BETTER[metric] else -1.0
    return [-math.inf if math.isnan(value) else sign * value for value in values]
