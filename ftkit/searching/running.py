"""A trial under way: its attempt, its evaluations so far, and the trial that it becomes."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ftkit.contracts import Trial, TrialState
from ftkit.evaluation import metrics
from ftkit.searching.attempts import Attempt

EXIT_SECONDS = 60
"""Seconds that a worker may take to exit once it has reported how its trial ended."""


@dataclass
class RunningTrial:
    """A trial under way."""

    number: int
    values: Mapping[str, Any]
    seed: int
    slot: int
    """Its place among the trials that run at a time, which has devices of its own."""
    attempts: int
    """How many attempts it had, this one counted."""
    attempt: Attempt
    repeats: int | None = None
    """Number of the trial that this one repeats with another seed."""
    reported: Sequence[Mapping[str, Any]] = ()
    """The journal's facts of what earlier attempts reported, each with its answer."""
    history: list[dict[str, float]] = field(default_factory=list)
    best: int = 0
    """Index of the best evaluation in `history`."""
    last_message: dict[str, Any] | None = None
    """The worker's report of how the trial ended."""
    last_message_at: float = math.inf

    def add(self, numbers: dict[str, float], metric: str) -> bool:
        """Store an evaluation; returns whether it is the trial's best by this metric."""
        self.history.append(numbers)
        if metrics.better(metric, numbers[metric], self.history[self.best][metric]):
            self.best = len(self.history) - 1
        return self.best == len(self.history) - 1

    def go_on_after(self, history: Sequence[dict[str, float]], metric: str) -> None:
        """Take the evaluations that a checkpoint remembers in place of those so far."""
        self.history, self.best = [], 0
        for numbers in history:
            self.add(numbers, metric)

    def reported_before(self, numbers: Mapping[str, float], metric: str) -> Mapping[str, Any] | None:
        """The fact of the same evaluation by an earlier attempt, which went further than its last checkpoint: the answer stands."""
        same = ("epoch", metric)
        return next(
            (
                fact
                for fact in reversed(self.reported)
                if all(fact["numbers"].get(name) == numbers.get(name) for name in same)
            ),
            None,
        )

    def limit_exceeded(self, memory_mb: float, memory_limit_mb: int | None, timeout_minutes: float | None) -> str:
        """Why the worker is to be killed, for its journal; empty when it is not."""
        now = time.monotonic()
        if self.last_message is not None:
            return "it did not exit" if now - self.last_message_at > EXIT_SECONDS else ""
        if memory_limit_mb is not None and memory_mb > memory_limit_mb:
            return f"it used {memory_mb:.0f} MB, more than memory_limit_mb = {memory_limit_mb}"
        if timeout_minutes is not None and now - self.attempt.started > 60 * timeout_minutes:
            return f"it took longer than timeout_minutes = {timeout_minutes:g}"
        return ""

    def ended(self, state: TrialState, error: str, folder: str) -> Trial:
        """The trial as the journal holds it."""
        best = self.history[self.best] if self.history and state != "failed" else {}
        return Trial(
            number=self.number,
            values=self.values,
            seed=self.seed,
            state=state,
            history=tuple(self.history),
            metrics={name: best[name] for name in metrics.METRICS if name in best},
            epoch=int(best.get("epoch", 0)),
            seconds=round(max(0.0, time.monotonic() - self.attempt.started), 3),
            attempts=self.attempts,
            error=error,
            resources=self.attempt.resources((self.last_message or {}).get("usage", {})),
            repeats=self.repeats,
            folder=folder,
        )
