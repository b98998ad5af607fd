"""What `[search]` and `[rollout]` of a recipe say.

These are declarations: a platform carries out the search, `ftkit.stages.rollout` the rollout.
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
    """Apply the policy at every this many evaluations."""
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
    """Stop a trial whose best value so far is worse than the median of the others' running averages.

    Source: Golovin et al. 2017, "Google Vizier", section 3.2.2.
    """

    name: ClassVar[str] = "median"
    interval: int = 1
    """Apply the policy at every this many evaluations."""
    delay: int = 0
    """The first evaluation at which the policy may apply."""

    def __post_init__(self) -> None:
        _intervals(self.interval, self.delay)


@dataclass(frozen=True, kw_only=True)
class Truncation:
    """Stop a trial that is among the worst share of those that came to the same evaluation.

    Source: Azure Machine Learning, "Tune hyperparameters", section on the truncation selection policy.
    """

    name: ClassVar[str] = "truncation"
    percentage: int = 20
    """Share of the trials to stop, from 1 to 99."""
    interval: int = 1
    """Apply the policy at every this many evaluations."""
    delay: int = 0
    """The first evaluation at which the policy may apply."""

    def __post_init__(self) -> None:
        if not 1 <= self.percentage <= 99:
            raise ValueError("percentage must be from 1 to 99")
        _intervals(self.interval, self.delay)


@dataclass(frozen=True, kw_only=True)
class Halving:
    """Let only the best 1/reduction of the trials go on from each rung (asynchronous successive halving).

    Source: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning".
    """

    name: ClassVar[str] = "halving"
    smallest: int = 1
    """Evaluations of the first rung."""
    reduction: int = 3
    """Each rung lasts this many times as long as the one before."""

    def __post_init__(self) -> None:
        if self.smallest < 1:
            raise ValueError("smallest must be at least 1")
        if self.reduction < 2:
            raise ValueError("reduction must be at least 2")


@dataclass(frozen=True, kw_only=True)
class NoPolicy:
    """Let every trial run to its end."""

    name: ClassVar[str] = "none"


Policy = Bandit | Median | Truncation | Halving | NoPolicy
POLICIES: tuple[type[Policy], ...] = (Bandit, Median, Truncation, Halving, NoPolicy)


@dataclass(frozen=True, kw_only=True)
class Confirm:
    """Train the best trials again with other seeds, and choose by the mean of these repeats.

    Source: Cawley and Talbot 2010, "On Over-fitting in Model Selection and Subsequent Selection Bias in Performance
    Evaluation"; `ftkit.evaluation.selection` says which seeds count and which model becomes the bundle.
    """

    name: ClassVar[str] = "confirm"
    top: int = 3
    """So many different configurations are repeated, the best of the search; all of them where fewer finished."""
    seeds: int = 3
    """Trainings of each with a seed of its own, besides that of the search."""

    def __post_init__(self) -> None:
        if self.top < 1:
            raise ValueError("top must be at least 1")
        if self.seeds < 1:
            raise ValueError("seeds must be at least 1")


@dataclass(frozen=True, kw_only=True)
class Search:
    """How hyperparameters are searched."""

    metric: Metric = "macro_f1"
    """The validation metric that decides; `roc_auc` is computed from scores, weighted one-vs-rest beyond two classes."""
    trials: int = 1
    """Trials in total, those of an interrupted run included."""
    concurrency: int = 1
    """Trials that run at the same time."""
    sampler: Literal["random", "grid", "tpe"] = "random"
    """How values are proposed: at random, every combination in turn, or by a tree-structured Parzen estimator (Bayesian)."""
    policy: Policy = field(default_factory=NoPolicy)
    """When to stop a trial early."""
    confirm: Confirm | None = None
    """Train the best configurations again with other seeds, and let the best mean win."""
    space: Mapping[str, Dimension] = field(default_factory=dict)
    """Fields of the backbone to search, and where."""

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise ValueError("trials must be at least 1")
        if self.concurrency < 1:
            raise ValueError("concurrency must be at least 1")


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """How a new deployment takes over from the old ones."""

    canary: tuple[int, ...] = ()
    """Percent of the traffic that the new deployment gets step by step, before it gets all."""
    bake: float = 3.0
    """Seconds that the new deployment must stay healthy after each step, and after the last."""
    ready_timeout: float | None = None
    """Seconds within which a new deployment must become ready; left out, as long as its target usually takes at most: 600 on this
    machine."""
    poll: float | None = None
    """Seconds between two looks at a deployment's health; left out, what suits its target: 0.2 on this machine."""

    def __post_init__(self) -> None:
        if any(not 0 < step < 100 for step in self.canary):
            raise ValueError("canary steps are percentages from 1 to 99; 100 % comes by itself")
        if list(self.canary) != sorted(set(self.canary)):
            raise ValueError("canary steps must rise, as in [5, 25, 50]")
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
