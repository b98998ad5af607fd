"""The requests that wait for a model, and whose turn it is: first their texts are read, then their rows are computed.

The turn goes to the request that has waited longest. A request of many texts has one turn like any other, and its next
after all others.
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
    """The batcher was closed before the request was computed."""


@dataclass(frozen=True)
class Result:
    """The model's answer to one request, and how long it took, in seconds."""

    probabilities: Probabilities
    waited: float
    computed: float
    length: int
    """What was read of its texts: tokens, or what else the model counts."""


@dataclass(eq=False)
class QueuedRequest:
    """One request on its way through."""

    texts: Sequence[str]
    future: Future[Result] = field(default_factory=Future)
    arrived: float = field(default_factory=time.monotonic)
    begun: float = 0.0
    rows: list[Sized] = field(default_factory=list)
    """What was read of its first texts."""
    waiting: list[int] = field(default_factory=list)
    """Indices of its rows that were read and not given to the model yet."""
    counted: int = 0
    """Its texts that count as waiting."""
    computed: float = 0.0
    answered: int = 0
    probabilities: Probabilities | None = None

    def fail(self, error: BaseException) -> None:
        """End the request with an error."""
        with suppress(InvalidStateError):  # it has its answer, or its caller has left
            self.future.set_exception(error)

    def answer(self, index: int, row: Probabilities) -> bool:
        """Store the probabilities of one row; returns whether it was the last that was missing."""
        import numpy as np

        if self.probabilities is None:
            self.probabilities = np.empty((len(self.texts), len(row)))
        self.probabilities[index] = row
        self.answered += 1
        return self.answered == len(self.texts)

    def succeed(self) -> None:
        """End the request with its answer."""
        assert self.probabilities is not None
        with suppress(InvalidStateError):  # another part of it has failed
            length = sum(map(len, self.rows))
            self.future.set_result(Result(self.probabilities, self.begun - self.arrived, self.computed, length))


Batch = list[tuple[QueuedRequest, int]]
"""Rows for one call of the model: each a request and the row's index in it."""


class RequestQueue:
    """Requests that wait, for any number of threads that add and take them."""

    def __init__(self, batch: int, waiting: int, seconds: float, calls: int) -> None:
        self._batch, self._limit, self._seconds, self._calls = batch, waiting, seconds, calls
        self._lately: deque[float] = deque([0.0], maxlen=8)
        """Seconds that the latest calls of the model have needed for a text; the least counts, as some are slow by accident."""
        self._unread: deque[QueuedRequest] = deque()
        self._computable: deque[QueuedRequest] = deque()
        """Those with rows that wait for the model."""
        self._waiting = 0
        """Texts that were not given to the model yet."""
        self._lock = threading.Lock()
        self._arrived, self._ready = threading.Condition(self._lock), threading.Condition(self._lock)
        self._closed = False

    @property
    def waiting(self) -> int:
        """Texts that wait for the model."""
        return self._waiting

    def add(self, texts: Sequence[str]) -> QueuedRequest:
        """Queue a request. Raises: Busy; Closed."""
        request = QueuedRequest(texts)
        request.future.add_done_callback(lambda _: self._forget_cancelled(request))
        with self._lock:
            if self._closed:
                raise Closed
            too_many = self._waiting + len(texts) > self._limit
            if self._waiting and (too_many or self._waiting * min(self._lately) > self._seconds):
                raise Busy(f"{self._waiting:,} texts wait for the model already")
            request.counted = len(texts)
            self._waiting += len(texts)
            self._unread.append(request)
            self._arrived.notify()
        return request

    def close(self) -> None:
        """Refuse the requests that wait, and those that come later."""
        with self._lock:
            self._closed = True
            refused = {id(request): request for request in (*self._unread, *self._computable)}.values()
            self._unread, self._computable = deque(), deque()
            self._arrived.notify_all()
            self._ready.notify_all()
        for request in refused:
            request.fail(Closed())

    def take_unread(self) -> list[tuple[QueuedRequest, slice]]:
        """Wait for texts to read, and take some of each request; empty once the queue is closed."""
        parts: list[tuple[QueuedRequest, slice]] = []
        with self._lock:
            while not parts and not self._closed:
                while not self._unread and not self._closed:
                    self._arrived.wait()
                for _ in range(min(len(self._unread), self._batch)):
                    request = self._unread.popleft()
                    if request.future.done():
                        self._uncount(request)
                    else:
                        first = len(request.rows)
                        parts.append((request, slice(first, min(first + self._batch, len(request.texts)))))
        return parts

    def add_rows(self, request: QueuedRequest, rows: Sequence[Sized]) -> None:
        """Queue rows for the model, and the request again for its texts that are still to be read."""
        with self._lock:
            if not self._closed and not request.future.done():
                if not request.waiting and rows:
                    self._computable.append(request)
                request.waiting += range(len(request.rows), len(request.rows) + len(rows))
                request.rows += rows
                if len(request.rows) < len(request.texts):
                    self._unread.append(request)
                    self._arrived.notify()
                self._ready.notify(len(rows))
                return
            self._uncount(request)
        request.fail(Closed())

    def take_batch(self, together: Callable[[Sequence[int]], Sequence[int]]) -> Batch:
        """Wait for rows and take those of the next call; empty once the queue is closed.

        Of the rows whose turn comes first, at most a batch, `together` chooses by their lengths.
        """
        with self._lock:
            while True:
                while self._computable:
                    if batch := self._next_batch(together):
                        return batch
                if self._closed:
                    return []
                self._ready.wait()

    def finish(self, batch: Batch, probabilities: Probabilities, seconds: float) -> None:
        """Store the answers to a batch, computed in so many seconds, and end the requests that are complete."""
        with self._lock:  # parts of a request may end at the same time
            self._lately.append(seconds / len(batch) / self._calls)
            for request in {id(request): request for request, _ in batch}.values():
                request.computed += seconds
            rows = zip(batch, probabilities, strict=True)
            complete = [request for (request, index), row in rows if request.answer(index, row)]
        for request in complete:
            request.succeed()

    def _next_batch(self, together: Callable[[Sequence[int]], Sequence[int]]) -> Batch:
        requests = list(itertools.islice(self._computable, self._batch))
        for request in [each for each in requests if each.future.done()]:  # its caller left, or an earlier part failed
            requests.remove(request)
            self._computable.remove(request)
            self._uncount(request)
        rows = list(itertools.islice(_in_turn(requests), self._batch))
        if not rows:
            return []
        lengths = [len(request.rows[index]) for request, index in rows]
        batch = []
        for request, index in (rows[place] for place in together(lengths) or [0]):
            if not request.begun:
                if not request.future.set_running_or_notify_cancel():
                    continue  # its caller has left just now
                request.begun = time.monotonic()
            request.waiting.remove(index)
            request.counted -= 1
            self._waiting -= 1
            batch.append((request, index))
        for request in {id(request): request for request, _ in batch}.values():
            self._computable.remove(request)
            if request.waiting:
                self._computable.append(request)
        return batch

    def _forget_cancelled(self, request: QueuedRequest) -> None:
        """Make room at once for a request whose caller has left."""
        if request.future.cancelled():
            with self._lock:
                self._uncount(request)

    def _uncount(self, request: QueuedRequest) -> None:
        self._waiting -= request.counted
        request.counted = 0


def _in_turn(requests: Sequence[QueuedRequest]) -> Iterator[tuple[QueuedRequest, int]]:
    """Rows that wait, one of each request in turn."""
    for rank in range(max((len(request.waiting) for request in requests), default=0)):
        for request in requests:
            if rank < len(request.waiting):
                yield request, request.waiting[rank]
