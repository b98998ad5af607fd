"""The events of a run: frozen values that a terminal draws, a log writes and an observer forwards."""

from __future__ import annotations

from dataclasses import dataclass

from ftkit.contracts.event import Emit, Event, Stage
from ftkit.contracts.rollout_events import (
    CopiesCompared,
    DeploymentChanged,
    DeploymentJudged,
    TrafficMeasured,
    TrafficMoved,
)
from ftkit.contracts.search_events import (
    BestSelected,
    BudgetSpent,
    ConfirmationStarted,
    SearchStarted,
    TrialFinished,
    TrialReported,
    TrialRetried,
    TrialSampled,
    TrialStarted,
)
from ftkit.contracts.types import DataReport, Task, Verdict, Version

__all__ = [
    "BestSelected",
    "BudgetSpent",
    "ConfirmationStarted",
    "CopiesCompared",
    "DataLoaded",
    "DeploymentChanged",
    "DeploymentJudged",
    "Emit",
    "Event",
    "ModelRegistered",
    "Noticed",
    "Progressed",
    "PromotionDecided",
    "ReportWritten",
    "RunFinished",
    "RunStarted",
    "SearchStarted",
    "Stage",
    "StageFailed",
    "StageFinished",
    "StageStarted",
    "TrafficMeasured",
    "TrafficMoved",
    "TrialFinished",
    "TrialReported",
    "TrialRetried",
    "TrialSampled",
    "TrialStarted",
    "VerdictReached",
]


@dataclass(frozen=True)
class RunStarted(Event):
    """A run starts, or continues where it was interrupted."""

    run: str
    """Identifier of the run."""
    folder: str
    """Its folder."""
    recipe: str
    """File or name of its recipe."""
    resumed: bool
    """Whether it continues."""


@dataclass(frozen=True)
class StageStarted(Event):
    """A stage starts."""

    stage: Stage
    """The stage."""


@dataclass(frozen=True)
class StageFinished(Event):
    """A stage has ended well."""

    stage: Stage
    """The stage."""
    seconds: float
    """How long it took."""
    reused: bool = False
    """True when an interrupted run had finished this stage before."""


@dataclass(frozen=True)
class StageFailed(Event):
    """A stage has failed, and the run with it."""

    stage: Stage
    """The stage."""
    seconds: float
    """How long it went on."""
    error: str
    """Why, in a sentence."""


@dataclass(frozen=True)
class Progressed(Event):
    """Progress of a long piece of work; `total` is None while it is unknown."""

    label: str
    """What is being done."""
    done: int
    """Units that are done."""
    total: int | None
    """Units there are in all."""
    unit: str = "rows"
    """What is counted."""


@dataclass(frozen=True)
class Noticed(Event):
    """A sentence for the user; `warning` if it may need action."""

    text: str
    """The sentence."""
    warning: bool = False
    """Whether to act."""


@dataclass(frozen=True)
class DataLoaded(Event):
    """The rows are there."""

    report: DataReport
    """What was read, dropped and kept."""
    task: Task = "single-label"
    """What is asked of a text."""


@dataclass(frozen=True)
class VerdictReached(Event):
    """A promotion test has judged."""

    verdict: Verdict
    """The result of one promotion test."""


@dataclass(frozen=True)
class PromotionDecided(Event):
    """All promotion tests have judged."""

    promoted: bool
    """Whether the model is promoted."""
    sentence: str
    """Why."""


@dataclass(frozen=True)
class ModelRegistered(Event):
    """A promoted model was registered."""

    version: Version
    """The new version."""


@dataclass(frozen=True)
class ReportWritten(Event):
    """The run's report has been written."""

    path: str
    """Its file."""


@dataclass(frozen=True)
class RunFinished(Event):
    """The run has ended."""

    run: str
    """Identifier of the run."""
    promoted: bool
    """Whether its model was promoted."""
    exit_code: int
    """Exit code of the command."""
    seconds: float
    """How long the run took."""
