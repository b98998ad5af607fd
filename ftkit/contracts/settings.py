"""The settings of `[search]` and `[rollout]` in a recipe.

They only declare: a platform runs the search, `ftkit.stages.rollout` the rollout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from ftkit.contracts.space import Dimension

Metric = Literal["accuracy", "macro_f1", "weighted_f1", "roc_auc", "mcc", "log_loss"]


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
class Halving:
    """Let only the best 1/reduction of the trials continue after each rung (asynchronous successive halving).

    Source: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning".
    """

    name: ClassVar[str] = "halving"
    smallest: int = 1
    """Evaluations before the end of the first rung."""
    reduction: int = 3
    """Factor by which each rung is longer than the one before."""

    def __post_init__(self) -> None:
        if self.smallest < 1:
            raise ValueError("smallest must be at least 1")
        if self.reduction < 2:
            raise ValueError("reduction must be at least 2")


@dataclass(frozen=True, kw_only=True)
class NoPolicy:
    """Never stop a trial early."""

    name: ClassVar[str] = "none"


Policy = Bandit | Median | Truncation | Halving | NoPolicy
POLICIES: tuple[type[Policy], ...] = (Bandit, Median, Truncation, Halving, NoPolicy)


@dataclass(frozen=True, kw_only=True)
class Confirm:
    """Train the best trials again with other seeds, and choose by the mean of these repeats.

    Source: Cawley and Talbot 2010, "On Over-fitting in Model Selection and Subsequent Selection Bias in Performance
    Evaluation"; `ftkit.evaluation.selection` decides which seeds count and which model becomes the bundle.
    """

    name: ClassVar[str] = "confirm"
    top: int = 3
    """How many different configurations are repeated, the best of the search; all of them where fewer finished."""
    seeds: int = 3
    """Further trainings of each configuration, each with a seed of its own."""

    def __post_init__(self) -> None:
        if self.top < 1:
            raise ValueError("top must be at least 1")
        if self.seeds < 1:
            raise ValueError("seeds must be at least 1")


@dataclass(frozen=True, kw_only=True)
class Search:
    """How hyperparameters are searched."""

    metric: Metric = "macro_f1"
    """The validation metric that decides; `roc_auc` uses scores, weighted one-vs-rest for more than two classes."""
    trials: int = 1
    """Number of trials in total, those of an interrupted run included."""
    concurrency: int = 1
    """Number of trials that run at the same time."""
    sampler: Literal["random", "grid", "tpe"] = "random"
    """How values are chosen: at random, all combinations, or by a tree-structured Parzen estimator (Bayesian)."""
    policy: Policy = field(default_factory=NoPolicy)
    """When to stop a trial early."""
    confirm: Confirm | None = None
    """Train the best configurations again with other seeds; the best mean wins."""
    space: Mapping[str, Dimension] = field(default_factory=dict)
    """Fields of the backbone to search, each with its values or range."""

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise ValueError("trials must be at least 1")
        if self.concurrency < 1:
            raise ValueError("concurrency must be at least 1")


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """How a new deployment replaces the old ones."""

    canary: tuple[int, ...] = ()
    """Percentages of the traffic that the new deployment gets, step by step, before it gets all."""
    bake: float = 3.0
    """Seconds that the new deployment must stay healthy after each step, and after the last."""
    ready_timeout: float | None = None
    """Seconds within which a new deployment must become ready; by default what its target usually needs at most, 600 on
    this machine."""
    poll: float | None = None
    """Seconds between two health checks of a deployment; by default what suits its target, 0.2 on this machine."""

    def __post_init__(self) -> None:
        if any(not 0 < step < 100 for step in self.canary):
            raise ValueError("canary steps are percentages from 1 to 99; the step to 100 % is added automatically")
        if list(self.canary) != sorted(set(self.canary)):
            raise ValueError("canary steps must increase, as in [5, 25, 50]")
        if self.bake < 0:
            raise ValueError("bake must not be negative")
        if self.ready_timeout is not None and self.ready_timeout <= 0:
            raise ValueError("ready_timeout must be positive")
        if self.poll is not None and self.poll <= 0:
            raise ValueError("poll must be positive")


def _intervals(interval: int, delay: int) -> None:
    if interval < 1:
        raise ValueError("interval must be at least 1")
    if delay < 0:
        raise ValueError("delay must not be negative")
