"""The settings of `[search]` and `[rollout]` in a recipe.

They only declare: a platform runs the search, `ftkit.stages.rollout` the rollout.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from ftkit.contracts.policies import NoPolicy, Policy
from ftkit.contracts.space import Dimension

Metric = Literal[
    "accuracy",
    "macro_f1",
    "weighted_f1",
    "roc_auc",
    "mcc",
    "log_loss",
    "micro_f1",
    "samples_f1",
    "map",
    "subset_accuracy",
    "quadratic_kappa",
    "mae",
]


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
class Prefer:
    """Choose the cheapest model that is not significantly worse than the best one, instead of the best."""

    name: ClassVar[str] = "prefer"
    cheapest: Literal["latency", "size", "parameters"]
    """What it costs: the time of an answer on this machine, by the engine that will serve; the bytes of the model; its numbers."""
    within: float = 0.005
    """A model that is shown to be worse by more than this on the validation rows, in the metric's own unit, is not chosen."""

    def __post_init__(self) -> None:
        if not 0 <= self.within < math.inf:
            raise ValueError("within must not be negative")


@dataclass(frozen=True, kw_only=True)
class Search:
    """How hyperparameters are searched."""

    metric: Metric = "macro_f1"
    """The validation metric that decides; left out: `macro_f1`, `micro_f1` for multi-label data, `quadratic_kappa` for ordinal."""
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
    prefer: Prefer | None = None
    """Choose a cheaper model than the best one where the validation rows do not show that it is worse."""
    evaluation_rows: int | None = None
    """Evaluate trials on a fixed sample of about this many validation rows, each class in proportion; without it on all."""
    checkpoint: str | None = None
    """Write a checkpoint inside each trial this often, such as "10m", "90s" or "1h", from which it goes on after an interruption."""
    max_minutes: float | None = None
    """Minutes in which trials run, after which the search ends with what it has; interruptions do not count, repeats do."""
    max_cost: float | None = None
    """What the trials may cost, repeats included, after which the search ends with what it has; it needs `price_per_trial_hour`."""
    price_per_trial_hour: float | None = None
    """What an hour of one running trial costs, in any currency; two trials at a time cost twice as much an hour."""
    start_from: str | None = None
    """An earlier run, by name or folder, whose trials the sampler takes into account, as far as they lie in this space."""
    space: Mapping[str, Dimension] = field(default_factory=dict)
    """Fields of the backbone to search, each with its values or range; with `backbone`, also which backbone."""

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise ValueError("trials must be at least 1")
        if self.concurrency < 1:
            raise ValueError("concurrency must be at least 1")
        if self.evaluation_rows is not None and self.evaluation_rows < 2:
            raise ValueError("evaluation_rows must be at least 2")
        if self.checkpoint is not None and not self.checkpoint_seconds:
            raise ValueError('checkpoint must be a duration such as "30s", "10m" or "1h"')
        for name in ("max_minutes", "max_cost", "price_per_trial_hour"):
            limit = vars(self)[name]
            if limit is not None and not 0 < limit < math.inf:
                raise ValueError(f"{name} must be above 0")
        if self.max_cost is not None and self.price_per_trial_hour is None:
            raise ValueError("max_cost needs a price: set price_per_trial_hour to what an hour of one trial costs")
        if self.start_from is not None and not self.start_from.strip():
            raise ValueError("start_from must name a run")

    @property
    def checkpoint_seconds(self) -> float:
        """Seconds between two checkpoints; 0 where there are none."""
        return duration(self.checkpoint or "") or 0.0


def duration(text: str) -> float | None:
    """Seconds of a duration such as "90s", "30m" or "1h"; None for any other text."""
    parts = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smh])", text)
    return float(parts[1]) * {"s": 1, "m": 60, "h": 3600}[parts[2]] if parts else None


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """Something outside that can say no to a new deployment: it is asked all through the rollout, and a no rolls back."""

    url: str = ""
    """Says no by an answer with a status of 400 or more to a GET; with `query`, the address of a Prometheus server."""
    query: str = ""
    """A Prometheus query that says no by a result that is not empty and not zero, as in an alerting rule."""
    command: tuple[str, ...] = ()
    """A program with its arguments, run without a shell, that says no by an exit status other than 0."""
    every: float = 5.0
    """Seconds between two questions."""
    timeout: float = 10.0
    """Seconds that an answer may take; one that does not come says nothing, and is told once."""

    def __post_init__(self) -> None:
        if bool(self.url) == bool(self.command):
            raise ValueError("an alarm is asked by a url or by a command: give one of the two")
        if self.query and not self.url:
            raise ValueError("a query needs the url of a Prometheus server")
        if self.url and not re.match(r"https?://[^/]", self.url):
            raise ValueError(f"url must begin with http:// or https://, not {self.url[:60]!r}")
        if self.every <= 0 or self.timeout <= 0:
            raise ValueError("every and timeout must be above 0")

    @property
    def title(self) -> str:
        """Its name in a sentence."""
        return f"the alarm {(self.query or self.url or self.command[0])[:80]!r}"


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
    analysis: bool = True
    """Judge the new deployment by its live requests too, against the old one at the same time, where the target measures them."""
    slower: float = 1.25
    """How many times as long as the old one a new deployment may take for a request."""
    drift: float = 0.25
    """Population stability index up to which its answers may differ from those of the old one."""
    least_requests: int = 100
    """Requests of each deployment from which its live requests are judged."""
    patience: str = "0s"
    """How long a step may be prolonged, such as "30m", while its requests are too few to judge."""
    doubt: Literal["go", "hold", "back"] = "go"
    """What is done when they were too few to the end: go on, stop here and leave the traffic as it is, or roll back."""
    keep: str = "0s"
    """How long the old deployment stays, without traffic, after a success, such as "1h": a rollback needs no start then."""
    alarm: tuple[Alarm, ...] = ()
    """What else can say no: each a table with `url`, `query` or `command`."""

    def __post_init__(self) -> None:
        for name in ("patience", "keep"):
            if duration(getattr(self, name)) is None:
                raise ValueError(f'{name} must be a duration such as "90s", "30m" or "1h"')
        if self.slower < 1:
            raise ValueError("slower must be at least 1: how many times as long a request may take")
        if self.drift <= 0:
            raise ValueError("drift must be above 0")
        if self.least_requests < 20:
            raise ValueError("least_requests must be at least 20: fewer show nothing")
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
