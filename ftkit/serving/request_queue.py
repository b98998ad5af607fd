"""The requests that wait for a model, and whose turn it is: first their texts are read, then their rows are computed.

A turn goes to whoever waits longest. A request of many texts has one turn like any other, and the next after all others.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence, Sized
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ftkit.contracts import Probabilities


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
    length: int
    """What was read of its texts: tokens, or what else the model counts."""


@dataclass(eq=False)
class Job:
    """One request on its way through."""

    texts: Sequence[str]
    future: Future[Result] = field(default_factory=Future)
    arrived: float = field(default_factory=time.monotonic)
    begun: float = 0.0
    rows: list[Sized] = field(default_factory=list)
    """What was read of its first texts."""
    waiting: list[int] = field(default_factory=list)
    """Which of its rows were read and not handed to the model yet."""
    counted: int = 0
    """Its texts that count as waiting."""
    computed: float = 0.0
    answered: int = 0
    found: Probabilities | None = None

    def fail(self, error: BaseException) -> None:
        """Tell whoever waits why there is no answer."""
        with suppress(InvalidStateError):  # it has its answer, or nobody waits for one
            self.future.set_exception(error)

    def take(self, index: int, row: Probabilities) -> bool:
        """Keep the answer to one row; whether it was the last that was missing."""
        import numpy as np

        if self.found is None:
            self.found = np.empty((len(self.texts), len(row)))
        self.found[index] = row
        self.answered += 1
        return self.answered == len(self.texts)

    def succeed(self) -> None:
        """Tell whoever waits the answer."""
        assert self.found is not None
        with suppress(InvalidStateError):  # another part of it has failed
            length = sum(map(len, self.rows))
            self.future.set_result(Result(self.found, self.begun - self.arrived, self.computed, length))


Batch = list[tuple[Job, int]]
"""Rows for one call of the model: each a job and the row's place in it."""


class Turns:
    """What waits, for any number of threads that bring and take it."""

    def __init__(self, batch: int, waiting: int) -> None:
        self._batch, self._limit = batch, waiting
        self._unread: deque[Job] = deque()
        self._jobs: deque[Job] = deque()
        """Those with rows that wait for the model."""
        self._waiting = 0
        """Texts that the model has not been given yet."""
        self._lock = threading.Lock()
        self._arrived, self._ready = threading.Condition(self._lock), threading.Condition(self._lock)
        self._closed = False

    def add(self, texts: Sequence[str]) -> Job:
        """Let a request wait. Raises: Busy; Closed."""
        job = Job(texts)
        job.future.add_done_callback(lambda _: self._left(job))
        with self._lock:
            if self._closed:
                raise Closed
            if self._waiting and self._waiting + len(texts) > self._limit:
                raise Busy
            job.counted = len(texts)
            self._waiting += len(texts)
            self._unread.append(job)
            self._arrived.notify()
        return job

    def close(self) -> None:
        """Refuse all that waits, and what comes later."""
        with self._lock:
            self._closed = True
            left = {id(job): job for job in (*self._unread, *self._jobs)}.values()
            self._unread, self._jobs = deque(), deque()
            self._arrived.notify_all()
            self._ready.notify_all()
        for job in left:
            job.fail(Closed())

    def unread(self) -> list[tuple[Job, slice]]:
        """Wait for texts that nobody has read, and take some of each request; nothing when all is closed."""
        taken: list[tuple[Job, slice]] = []
        with self._lock:
            while not taken and not self._closed:
                while not self._unread and not self._closed:
                    self._arrived.wait()
                for _ in range(min(len(self._unread), self._batch)):
                    job = self._unread.popleft()
                    if job.future.done():
                        self._uncount(job)
                    else:
                        taken.append((job, slice(len(job.rows), min(len(job.rows) + self._batch, len(job.texts)))))
        return taken

    def read(self, job: Job, rows: Sequence[Sized]) -> None:
        """Let rows wait for the model, and what is left of their request for its turn to be read."""
        with self._lock:
            if not self._closed and not job.future.done():
                if not job.waiting and rows:
                    self._jobs.append(job)
                job.waiting += range(len(job.rows), len(job.rows) + len(rows))
                job.rows += rows
                if len(job.rows) < len(job.texts):
                    self._unread.append(job)
                    self._arrived.notify()
                self._ready.notify(len(rows))
                return
            self._uncount(job)
        job.fail(Closed())

    def next(self, together: Callable[[Sequence[int]], Sequence[int]]) -> Batch:
        """Wait for rows and take those of the next call; nothing when all is closed.

        Of the rows whose turn comes first, at most a batch, `together` chooses by their lengths.
        """
        with self._lock:
            while True:
                while self._jobs:
                    if batch := self._share(together):
                        return batch
                if self._closed:
                    return []
                self._ready.wait()

    def answered(self, batch: Batch, probabilities: Probabilities, seconds: float) -> None:
        """Keep what the model said, in so many seconds, and tell those whose request is complete."""
        with self._lock:  # parts of a request may end at the same time
            for job in {id(job): job for job, _ in batch}.values():
                job.computed += seconds
            done = [job for (job, index), row in zip(batch, probabilities, strict=True) if job.take(index, row)]
        for job in done:
            job.succeed()

    def _share(self, together: Callable[[Sequence[int]], Sequence[int]]) -> Batch:
        jobs = list(itertools.islice(self._jobs, self._batch))
        for job in [each for each in jobs if each.future.done()]:  # its caller has left, or an earlier part failed
            jobs.remove(job)
            self._jobs.remove(job)
            self._uncount(job)
        rows = list(itertools.islice(_in_turn(jobs), self._batch))
        if not rows:
            return []
        batch = []
        for job, index in (rows[place] for place in together([len(job.rows[index]) for job, index in rows]) or [0]):
            if not job.begun:
                if not job.future.set_running_or_notify_cancel():
                    continue  # its caller has left just now
                job.begun = time.monotonic()
            job.waiting.remove(index)
            job.counted -= 1
            self._waiting -= 1
            batch.append((job, index))
        for job in {id(job): job for job, _ in batch}.values():
            self._jobs.remove(job)
            if job.waiting:
                self._jobs.append(job)
        return batch

    def _left(self, job: Job) -> None:
        """A caller who has left makes room at once."""
        if job.future.cancelled():
            with self._lock:
                self._uncount(job)

    def _uncount(self, job: Job) -> None:
        self._waiting -= job.counted
        job.counted = 0


def _in_turn(jobs: Sequence[Job]) -> Iterator[tuple[Job, int]]:
    """Rows that wait, one of each request in turn."""
    for rank in range(max((len(job.waiting) for job in jobs), default=0)):
        for job in jobs:
            if rank < len(job.waiting):
                yield job, job.waiting[rank]
