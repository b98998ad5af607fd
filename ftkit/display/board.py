"""What a run looks like at this moment: every event folded into one picture that a screen can draw."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ftkit.contracts import Trial, events
from ftkit.evaluation.metrics import GREATER_IS_BETTER, better


@dataclass
class Row:
    """One trial in the table."""

    number: int
    values: Mapping[str, Any] = field(default_factory=dict)
    state: str = "running"
    epoch: int = 0
    now: float = math.nan
    best: float = math.nan
    cpu: float | None = None
    memory: float | None = None
    gpu: float | None = None
    begun: float = 0.0
    seconds: float | None = None
    """How long it took; None while it runs."""
    attempt: int = 1
    repeats: int | None = None
    """The trial that it repeats with another seed."""


@dataclass
class Work:
    """A long piece of work that is under way."""

    done: int
    total: int | None
    unit: str


@dataclass
class Board:
    """The picture; `see` takes in one event after another."""

    clock: Callable[[], float] = time.monotonic
    stage: str = ""
    stage_begun: float = 0.0
    """When the stage began, or before the first one the run."""
    begun: bool = False
    """Whether a stage has begun."""
    metric: str = ""
    total: int = 0
    concurrency: int = 1
    earlier: int = 0
    """Trials that were finished before an interruption."""
    rows: dict[int, Row] = field(default_factory=dict)
    work: dict[str, Work] = field(default_factory=dict)

    def see(self, event: events.Event) -> None:
        """Take in an event; kinds the picture has no place for change nothing."""
        match event:
            case events.RunStarted():
                self.stage_begun = self.clock()
            case events.StageStarted(stage):
                self.stage, self.stage_begun, self.begun = stage, self.clock(), True
                self.work.clear()
            case events.StageFinished() | events.StageFailed():
                self.stage = ""
                self.work.clear()
            case events.Progressed(label, done, total, unit):
                if total is not None and done >= total:
                    self.work.pop(label, None)
                else:
                    self.work[label] = Work(done, total, unit)
            case events.SearchStarted(total, done, metric, concurrency):
                self.total, self.earlier, self.metric, self.concurrency = total, done, metric, concurrency
            case events.ConfirmationStarted():
                self.total, self.earlier = self.total + event.total, self.earlier + event.done
            case events.TrialStarted():
                begun, repeats = self.clock(), event.repeats
                self.rows[event.number] = Row(
                    event.number, event.values, begun=begun, attempt=event.attempt, repeats=repeats
                )
            case events.TrialReported(number, numbers):
                self._report(self._row(number), numbers)
            case events.TrialSampled():
                row = self._row(event.number)
                row.cpu, row.memory, row.gpu = event.cpu_percent, event.memory_mb, event.gpu_percent
            case events.TrialRetried(number):
                self._row(number).state = "retrying"
            case events.TrialFinished(trial):
                self._finish(self._row(trial.number), trial)
            case _:
                pass

    @property
    def leader(self) -> Row | None:
        """The trial that is ahead, or None while none has been evaluated."""
        leading: Row | None = None
        for row in list(self.rows.values()):
            if row.state in ("stopped", "failed") or math.isnan(row.best):
                continue  # only a trial that runs to its end can be selected
            if leading is None or self.ahead(row.best, leading.best):
                leading = row
        return leading

    @property
    def ended(self) -> int:
        """How many trials have come to their end, earlier ones included."""
        here = sum(row.seconds is not None and row.begun > 0 for row in list(self.rows.values()))
        told = sum(row.seconds is not None and row.begun == 0 for row in list(self.rows.values()))
        return here + max(self.earlier, told)

    def ahead(self, one: float, other: float) -> bool:
        """Whether one value of the search's metric is better than another."""
        return better(self.metric, one, other) if self.metric in GREATER_IS_BETTER else one > other

    def _row(self, number: int) -> Row:
        return self.rows.setdefault(number, Row(number))

    def _report(self, row: Row, numbers: Mapping[str, float]) -> None:
        row.state = "running"
        row.epoch = int(numbers.get("epoch", row.epoch + 1))
        now = numbers.get(self.metric)
        if now is not None:
            row.now = now
            if math.isnan(row.best) or self.ahead(now, row.best):
                row.best = now

    def _finish(self, row: Row, trial: Trial) -> None:
        row.values, row.state, row.seconds = trial.values, trial.state, trial.seconds
        row.repeats = trial.repeats
        row.epoch = len(trial.history) or row.epoch
        row.best = trial.metrics.get(self.metric, row.best)
        row.cpu = trial.resources.get("cpu_percent", row.cpu)
        row.memory = trial.resources.get("memory_peak_mb", row.memory)
