"""When the search stops a trial early: the policies that `[search] policy` names.

These are declarations: a platform applies them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class Bandit:
    """Stop a trial that falls too far behind the best one.

    Maximising, a trial is stopped when its best value so far is below best / (1 + slack_factor), or below
    best - slack_amount, where `best` is the best value any trial reached up to the same evaluation. Minimising, the
    bounds are best * (1 + slack_factor) and best + slack_amount.

    Source: Azure Machine Learning, "Tune hyperparameters", section on the bandit policy.
    """

    name: ClassVar[str] = "bandit"
    slack_factor: float | None = None
    """Allowed distance from the best trial, as a ratio."""
    slack_amount: float | None = None
    """Allowed distance from the best trial, in the metric's own unit."""
    interval: int = 1
    """Apply the policy at every N-th evaluation of a trial."""
    delay: int = 0
    """The first evaluation at which the policy may apply."""

    def __post_init__(self) -> None:
        if (self.slack_factor is None) == (self.slack_amount is None):
            raise ValueError("give either slack_factor or slack_amount")
        slack = self.slack_factor if self.slack_factor is not None else self.slack_amount
        if slack is not None and slack < 0:
            raise ValueError("slack must not be negative")
        _intervals(self.interval, self.delay)


@dataclass(frozen=True, kw_only=True)
class Median:
    """Stop a trial whose best value so far is worse than the median of the other trials' running averages.

    Source: Golovin et al. 2017, "Google Vizier", section 3.2.2.
    """

    name: ClassVar[str] = "median"
    interval: int = 1
    """Apply the policy at every N-th evaluation of a trial."""
    delay: int = 0
    """The first evaluation at which the policy may apply."""

    def __post_init__(self) -> None:
        _intervals(self.interval, self.delay)


@dataclass(frozen=True, kw_only=True)
class Truncation:
    """Stop a trial that is among the worst share of the trials that reached the same evaluation.

    Source: Azure Machine Learning, "Tune hyperparameters", section on the truncation selection policy.
    """

    name: ClassVar[str] = "truncation"
    percentage: int = 20
    """Share of the trials to stop, from 1 to 99."""
    interval: int = 1
    """Apply the policy at every N-th evaluation of a trial."""
    delay: int = 0
    """The first evaluation at which the policy may apply."""

    def __post_init__(self) -> None:
        if not 1 <= self.percentage <= 99:
            raise ValueError("percentage must be from 1 to 99")
        _intervals(self.interval, self.delay)


@dataclass(frozen=True, kw_only=True)
class Asha:
    """Let only the best 1/reduction of the trials go on at each rung, as they come (asynchronous successive halving).

    A trial is compared with all trials that have reached the same rung by then; none waits for another.

    Source: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", section 3.3, in its form that stops trials.
    """

    name: ClassVar[str] = "asha"
    smallest: int = 1
    """Evaluations before the end of the first rung."""
    reduction: int = 3
    """Factor by which each rung is longer than the one before."""

    def __post_init__(self) -> None:
        _rungs(self.smallest, self.reduction)


@dataclass(frozen=True, kw_only=True)
class Halving(Asha):
    """An earlier name of `asha`, which decides the same.

    Source: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning".
    """

    name: ClassVar[str] = "halving"


@dataclass(frozen=True, kw_only=True)
class Hyperband:
    """Halve trials by rungs of several lengths: some trials are judged early, some late, some never.

    Each length of the first rung has a bracket of trials, which `asha` judges among themselves. Trials are dealt to the brackets
    by their numbers, in the proportions of the paper.

    Source: Li et al. 2018, "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization", algorithm 1; its brackets are
    halved as trials come, as in Li et al. 2020.
    """

    name: ClassVar[str] = "hyperband"
    largest: int
    """Evaluations of a whole trial, such as the `epochs` of the backbone."""
    smallest: int = 1
    """Evaluations before the end of the first rung, in the bracket that judges earliest."""
    reduction: int = 3
    """Factor by which each rung is longer than the one before."""

    def __post_init__(self) -> None:
        _rungs(self.smallest, self.reduction)
        if self.largest < self.smallest * self.reduction:
            least = self.smallest * self.reduction
            raise ValueError(
                f"largest must be at least smallest × reduction = {least:,}, else no trial is ever stopped"
            )


@dataclass(frozen=True, kw_only=True)
class NoPolicy:
    """Never stop a trial early."""

    name: ClassVar[str] = "none"


Policy = Bandit | Median | Truncation | Asha | Hyperband | NoPolicy
POLICIES: tuple[type[Policy], ...] = (Bandit, Median, Truncation, Asha, Hyperband, Halving, NoPolicy)


def _intervals(interval: int, delay: int) -> None:
    if interval < 1:
        raise ValueError("interval must be at least 1")
    if delay < 0:
        raise ValueError("delay must not be negative")


def _rungs(smallest: int, reduction: int) -> None:
    if smallest < 1:
        raise ValueError("smallest must be at least 1")
    if reduction < 2:
        raise ValueError("reduction must be at least 2")
