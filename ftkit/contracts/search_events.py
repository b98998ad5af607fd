"""The events of a search and of its trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ftkit.contracts.event import Event
from ftkit.contracts.preference import Preference
from ftkit.contracts.types import Spread, Trial


@dataclass(frozen=True)
class SearchStarted(Event):
    """The search starts; `done` of `total` trials finished before an interruption."""

    total: int
    """Trials in all."""
    done: int
    """Trials that had ended before."""
    metric: str
    """The validation metric that decides."""
    concurrency: int
    """Trials at the same time."""


@dataclass(frozen=True)
class ConfirmationStarted(Event):
    """The search has ended, and its best configurations are trained again with other seeds."""

    repeated: Sequence[int]
    """Numbers of the trials that are repeated, the best first."""
    seeds: int
    """Repeats of each."""
    total: int
    """Number of repeats."""
    done: int
    """Repeats that ended before an interruption."""


@dataclass(frozen=True)
class BudgetSpent(Event):
    """The budget ends the search: no trial starts any more, and those that run end at their next evaluation."""

    option: Literal["max_minutes", "max_cost"]
    """The option of `[search]` whose limit is reached."""
    used: float
    """Minutes in which trials ran, or what they cost, interrupted parts of the search included."""
    limit: float
    """The value of the option."""

    @property
    def sentence(self) -> str:
        """What ended the search, and how much of it was used."""
        used = f"ran for {self.used:,.1f} minutes" if self.option == "max_minutes" else f"cost {self.used:,.2f}"
        return f"The budget ended the search: its trials {used}, and {self.option} is {self.limit:,g}."


@dataclass(frozen=True)
class TrialStarted(Event):
    """An attempt of a trial starts."""

    number: int
    """Number of the trial."""
    values: Mapping[str, Any]
    """Its values of the searched fields."""
    seed: int
    """Its seed."""
    attempt: int
    """Which attempt this is, from 1."""
    pid: int
    """Its process, on its machine; 0 if it is not known."""
    log: str
    """File or address of its log."""
    repeats: int | None = None
    """Number of the trial that this one repeats with another seed."""
    node: str = ""
    """Name of the machine that it runs on; empty where that is the machine of the search."""


@dataclass(frozen=True)
class TrialReported(Event):
    """An evaluation of a trial: its epoch and every validation metric."""

    number: int
    """Number of the trial."""
    numbers: Mapping[str, float]
    """`epoch`, every metric, and what the backbone added."""


@dataclass(frozen=True)
class TrialSampled(Event):
    """Current use of processor and memory by a trial's process."""

    number: int
    """Number of the trial."""
    cpu_percent: float
    """100 is one core."""
    memory_mb: float
    """Megabytes."""
    gpu_percent: float | None = None
    """None without a GPU."""
    gpu_memory_mb: float | None = None
    """Megabytes; None without a GPU."""


@dataclass(frozen=True)
class TrialFinished(Event):
    """A trial has ended: finished, stopped by the policy, or failed in its last attempt."""

    trial: Trial
    """The trial with its result."""


@dataclass(frozen=True)
class TrialRetried(Event):
    """An attempt of a trial failed, and the trial is started again."""

    number: int
    """Number of the trial."""
    reason: str
    """Why the attempt before failed."""


@dataclass(frozen=True)
class BestSelected(Event):
    """The winner: the trial whose model becomes the bundle."""

    trial: Trial
    """The trial that won."""
    metric: str
    """The metric of the search."""
    spreads: Sequence[Spread] = ()
    """Results of each repeated configuration, the winner first; empty if none was repeated."""
    preference: Preference | None = None
    """Why it is this one, where the recipe prefers cheap models; it need not be the best."""
