"""Merges the requests that wait into one call of the model, in a thread of its own.

An idle engine computes a request at once. What arrives while the model is busy goes into its next call together, so
nobody ever waits for a batch to fill. A request larger than a batch takes turns with the others.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ftkit.serving.request import Limits

if TYPE_CHECKING:
    from ftkit.contracts import Probabilities

log = logging.getLogger("ftkit.serving")


class Model(Protocol):
    """What an engine runs: a bundle, or any classifier."""

    def probabilities(self, texts: Sequence[str]) -> Probabilities: ...


class Busy(Exception):
    """Too many texts wait already."""


class Closed(Exception):
    """The engine was closed before the request was computed."""


@dataclass(frozen=True)
class Result:
    """What the model said about one request, and how long it took, in seconds."""

    probabilities: Probabilities
    waited: float
    computed: float


@dataclass(eq=False)
class _Job:
    """One request on its way through: rows up to `taken` have been handed to the model."""

    texts: Sequence[str]
    future: Future[Result] = field(default_factory=Future)
    arrived: float = field(default_factory=time.monotonic)
    begun: float = 0.0
    taken: int = 0
    computed: float = 0.0
    parts: list[Probabilities] = field(default_factory=list)

    @property
    def left(self) -> int:
        """Rows that the model has not been given yet."""
        return len(self.texts) - self.taken


class Engine:
    """Answers many callers with one model; safe to call from any thread."""

    def __init__(self, model: Model, limits: Limits | None = None) -> None:
        self._model = model
        self._limits = limits or Limits()
        self._jobs: deque[_Job] = deque()
        self._waiting = 0
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="ftkit-engine", daemon=True)
        self._thread.start()

    def submit(self, texts: Sequence[str]) -> Future[Result]:
        """Ask for the class probabilities of at least one text. Raises: Busy; Closed."""
        job = _Job(texts)
        with self._changed:
            if self._closed:
                raise Closed
            if self._waiting and self._waiting + len(texts) > self._limits.waiting:
                raise Busy
            self._jobs.append(job)
            self._waiting += len(texts)
            self._changed.notify()
        return job.future

    def close(self) -> None:
        """Finish the call in progress and refuse what still waits."""
        with self._changed:
            self._closed = True
            left, self._jobs = list(self._jobs), deque()
            self._changed.notify()
        for job in left:
            if not job.future.cancel() and not job.future.done():
                job.future.set_exception(Closed())
        self._thread.join()

    def _work(self) -> None:
        while batch := self._next():
            try:
                self._compute(batch)
            except BaseException as error:  # whatever it was, callers must not wait for ever
                for job, _ in batch:
                    if not job.future.done():
                        job.future.set_exception(error)

    def _next(self) -> list[tuple[_Job, Sequence[str]]]:
        """The slices of jobs that go into the next call; nothing when the engine is closed."""
        with self._changed:
            while True:
                while self._jobs:
                    if batch := self._share():
                        return batch
                if self._closed:
                    return []
                self._changed.wait()

    def _share(self) -> list[tuple[_Job, Sequence[str]]]:
        """One batch of rows: every job in turn gets as many as the others, and what is left over goes to the first."""
        jobs = list(itertools.islice(self._jobs, self._limits.batch))
        fair = self._limits.batch // len(jobs)
        spare = self._limits.batch - sum(min(fair, job.left) for job in jobs)
        batch = []
        for job in jobs:
            if job.future.done() or not (job.begun or job.future.set_running_or_notify_cancel()):
                self._waiting -= job.left  # its caller has left, or an earlier part of it failed
                job.taken = len(job.texts)
                continue
            extra = min(spare, max(0, job.left - fair))
            spare -= extra
            rows = job.texts[job.taken : job.taken + fair + extra]
            job.begun = job.begun or time.monotonic()
            job.taken += len(rows)
            self._waiting -= len(rows)
            batch.append((job, rows))
        self._jobs = deque(job for job in self._jobs if job.left)
        return batch

    def _compute(self, batch: list[tuple[_Job, Sequence[str]]]) -> None:
        begun = time.monotonic()
        try:
            probabilities = self._model.probabilities([text for _, rows in batch for text in rows])
        except Exception as error:
            log.exception("the model failed on a call with %d requests", len(batch))
            if len(batch) == 1:
                batch[0][0].future.set_exception(error)
                return
            for alone in batch:  # one request that the model cannot bear must not fail its neighbours
                if not alone[0].future.done():
                    self._compute([alone])
            return
        seconds = time.monotonic() - begun
        first = 0
        for job, rows in batch:
            self._deliver(job, probabilities[first : first + len(rows)], seconds)
            first += len(rows)

    def _deliver(self, job: _Job, part: Probabilities, seconds: float) -> None:
        import numpy as np

        job.parts.append(part)
        job.computed += seconds
        if job.taken == len(job.texts) and not job.future.done():
            whole = job.parts[0] if len(job.parts) == 1 else np.concatenate(job.parts)
            job.future.set_result(Result(whole, job.begun - job.arrived, job.computed))
