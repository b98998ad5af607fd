"""The events of a run: frozen values that a terminal draws, a log writes and an observer forwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from ftkit.contracts.copies import Comparison
from ftkit.contracts.measures import Measures
from ftkit.contracts.preference import Preference
from ftkit.contracts.types import DataReport, Spread, Task, Trial, Verdict, Version
from ftkit.errors import FtkitError

Stage = Literal["data", "search", "select", "test", "register", "deploy"]


@dataclass(frozen=True)
class Event:
    """The parent of all events."""


Emit = Callable[[Event], None]
"""Takes the events of a run; never raises."""


@dataclass(frozen=True)
class RunStarted(Event):
    """A run starts, or continues where it was interrupted."""

    run: str
    folder: str
    recipe: str
    resumed: bool


@dataclass(frozen=True)
class StageStarted(Event):
    stage: Stage


@dataclass(frozen=True)
class StageFinished(Event):
    stage: Stage
    seconds: float
    reused: bool = False
    """True when an interrupted run had finished this stage before."""


@dataclass(frozen=True)
class StageFailed(Event):
    stage: Stage
    seconds: float
    error: str


@dataclass(frozen=True)
class Progressed(Event):
    """Progress of a long piece of work; `total` is None while it is unknown."""

    label: str
    done: int
    total: int | None
    unit: str = "rows"


@dataclass(frozen=True)
class Noticed(Event):
    """A sentence for the user; `warning` if it may need action."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class DataLoaded(Event):
    report: DataReport
    task: Task = "single-label"


@dataclass(frozen=True)
class SearchStarted(Event):
    """The search starts; `done` of `total` trials finished before an interruption."""

    total: int
    done: int
    metric: str
    concurrency: int


@dataclass(frozen=True)
class ConfirmationStarted(Event):
    """The search has ended, and its best configurations are trained again with other seeds."""

    repeated: Sequence[int]
    """Numbers of the trials that are repeated, the best first."""
    seeds: int
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

    @property
    def sentence(self) -> str:
        """What ended the search, and how much of it was used."""
        used = f"ran for {self.used:,.1f} minutes" if self.option == "max_minutes" else f"cost {self.used:,.2f}"
        return f"The budget ended the search: its trials {used}, and {self.option} is {self.limit:,g}."


@dataclass(frozen=True)
class TrialStarted(Event):
    number: int
    values: Mapping[str, Any]
    seed: int
    attempt: int
    pid: int
    log: str
    repeats: int | None = None
    """Number of the trial that this one repeats with another seed."""
    node: str = ""
    """Name of the machine that it runs on; empty where that is the machine of the search."""


@dataclass(frozen=True)
class TrialReported(Event):
    """An evaluation of a trial: its epoch and every validation metric."""

    number: int
    numbers: Mapping[str, float]


@dataclass(frozen=True)
class TrialSampled(Event):
    """Current use of processor and memory by a trial's process."""

    number: int
    cpu_percent: float
    memory_mb: float
    gpu_percent: float | None = None
    gpu_memory_mb: float | None = None


@dataclass(frozen=True)
class TrialFinished(Event):
    """A trial has ended: finished, stopped by the policy, or failed in its last attempt."""

    trial: Trial


@dataclass(frozen=True)
class TrialRetried(Event):
    number: int
    reason: str


@dataclass(frozen=True)
class BestSelected(Event):
    """The winner: the trial whose model becomes the bundle."""

    trial: Trial
    metric: str
    spreads: Sequence[Spread] = ()
    """Results of each repeated configuration, the winner first; empty if none was repeated."""
    preference: Preference | None = None
    """Why it is this one, where the recipe prefers cheap models; it need not be the best."""


@dataclass(frozen=True)
class VerdictReached(Event):
    verdict: Verdict


@dataclass(frozen=True)
class PromotionDecided(Event):
    promoted: bool
    sentence: str


@dataclass(frozen=True)
class ModelRegistered(Event):
    version: Version


@dataclass(frozen=True)
class DeploymentChanged(Event):
    """A completed step of a rollout: `created`, `became ready`, `passed the smoke test`, `retired`, …"""

    endpoint: str
    deployment: str
    step: str
    detail: str = ""


@dataclass(frozen=True)
class TrafficMoved(Event):
    endpoint: str
    shares: Mapping[str, int]


@dataclass(frozen=True)
class DeploymentJudged(Event):
    """A look at the live requests of a new deployment, beside those of the old one."""

    endpoint: str
    deployment: str
    state: Literal["healthy", "unhealthy", "inconclusive"]
    sentence: str
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class CopiesCompared(Event):
    """How a new deployment answered copies of the live traffic, beside the old one; without the texts."""

    endpoint: str
    deployment: str
    comparison: Comparison


@dataclass(frozen=True)
class TrafficMeasured(Event):
    """What each deployment did in a step of a rollout, by its name."""

    endpoint: str
    measures: Mapping[str, Measures]


@dataclass(frozen=True)
class ReportWritten(Event):
    """The run's report has been written."""

    path: str


@dataclass(frozen=True)
class RunFinished(Event):
    run: str
    promoted: bool
    exit_code: int
    seconds: float


@contextmanager
def stage(name: Stage, emit: Emit, reused: bool = False) -> Iterator[None]:
    """Emit the start of a stage, and its end or failure with its seconds."""
    begun = time.monotonic()
    emit(StageStarted(name))
    try:
        yield
    except BaseException as error:
        message = error.what if isinstance(error, FtkitError) else str(error) or type(error).__name__
        emit(StageFailed(name, time.monotonic() - begun, message))
        raise
    emit(StageFinished(name, time.monotonic() - begun, reused))
