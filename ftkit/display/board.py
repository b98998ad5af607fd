"""The current state of a run, built from its events, for a display to draw."""

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
    latest: float = math.nan
    best: float = math.nan
    cpu: float | None = None
    memory: float | None = None
    gpu: float | None = None
    started: float = 0.0
    seconds: float | None = None
    """Duration; None while the trial runs."""
    attempt: int = 1
    repeats: int | None = None
    """Number of the trial that it repeats with another seed."""
    node: str = ""
    """The machine that it runs on; empty where that is this one."""


@dataclass
class Work:
    """A long piece of work in progress."""

    done: int
    total: int | None
    unit: str


@dataclass
class Board:
    """The state of a run; `update` takes one event after another."""

    clock: Callable[[], float] = time.monotonic
    stage: str = ""
    stage_started: float = 0.0
    """When the stage started, or the run before its first stage."""
    started: bool = False
    """Whether a stage has started."""
    metric: str = ""
    total: int = 0
    concurrency: int = 1
    earlier: int = 0
    """Trials that were finished before an interruption."""
    rows: dict[int, Row] = field(default_factory=dict)
    work: dict[str, Work] = field(default_factory=dict)

    def update(self, event: events.Event) -> None:
        """Take an event into account; other kinds of event change nothing."""
        match event:
            case events.RunStarted():
                self.stage_started = self.clock()
            case events.StageStarted(stage):
                self.stage, self.stage_started, self.started = stage, self.clock(), True
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
                self.rows[event.number] = Row(
                    event.number,
                    event.values,
                    started=self.clock(),
                    attempt=event.attempt,
                    repeats=event.repeats,
                    node=event.node,
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
        """The best trial so far, or None while none has been evaluated."""
        leading: Row | None = None
        for row in list(self.rows.values()):
            if row.state in ("stopped", "failed") or math.isnan(row.best):
                continue  # only a trial that runs to its end can be selected
            if leading is None or self.ahead(row.best, leading.best):
                leading = row
        return leading

    @property
    def ended(self) -> int:
        """How many trials have ended, including those before an interruption."""
        rows = [row for row in list(self.rows.values()) if row.seconds is not None]
        started_now = sum(row.started > 0 for row in rows)
        # A trial from before the interruption has an end without a start, when its end is emitted again.
        return started_now + max(self.earlier, len(rows) - started_now)

    def ahead(self, one: float, other: float) -> bool:
        """Whether one value of the search's metric is better than another."""
        return better(self.metric, one, other) if self.metric in GREATER_IS_BETTER else one > other

    def _row(self, number: int) -> Row:
        return self.rows.setdefault(number, Row(number))

    def _report(self, row: Row, numbers: Mapping[str, float]) -> None:
        row.state = "running"
        row.epoch = int(numbers.get("epoch", row.epoch + 1))
        value = numbers.get(self.metric)
        if value is not None:
            row.latest = value
            if math.isnan(row.best) or self.ahead(value, row.best):
                row.best = value

    def _finish(self, row: Row, trial: Trial) -> None:
        row.values, row.state, row.seconds = trial.values, trial.state, trial.seconds
        row.repeats = trial.repeats
        row.epoch = len(trial.history) or row.epoch
        row.best = trial.metrics.get(self.metric, row.best)
        row.cpu = trial.resources.get("cpu_percent", row.cpu)
        row.memory = trial.resources.get("memory_peak_mb", row.memory)
