"""Merges the requests that wait into calls of the model, in threads of its own.

An idle batcher computes a request at once. Requests that arrive while the model is busy go into its next calls, so that
no request waits for a batch to fill. Requests take turns in the order of their arrival; the model decides by the
lengths of their rows which of them go together (see `ftkit.contracts.Reading`). One thread reads texts while others
compute.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence, Sized
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ftkit.contracts import Reading, capable
from ftkit.plugins.calls import call
from ftkit.serving.limits import Limits
from ftkit.serving.request_queue import Batch, Busy, Closed, RequestQueue, Result

if TYPE_CHECKING:
    from ftkit.contracts import Probabilities

__all__ = ["Batcher", "Busy", "Closed", "Model", "Result"]

log = logging.getLogger("ftkit.serving")


class Model(Protocol):
    """What a batcher calls: a bundle, or any classifier."""

    def probabilities(self, texts: Sequence[str]) -> Probabilities: ...


@dataclass(frozen=True)
class OneStep:
    """Any model as one that reads and computes in two steps: a text is read as it is, and all go together."""

    model: Model
    calls: int = 1

    def read(self, texts: Sequence[str]) -> Sequence[str]:
        """The texts."""
        return texts

    def together(self, lengths: Sequence[int]) -> Sequence[int]:
        """All of them."""
        return range(len(lengths))

    def computed(self, rows: Sequence[str]) -> Probabilities:
        """The model's probabilities."""
        return self.model.probabilities(rows)


class Batcher:
    """Answers many callers with one model; safe to call from any thread."""

    def __init__(self, model: Model, limits: Limits | None = None) -> None:
        self._model: Reading = model if capable(model, Reading) else OneStep(model)
        limits = limits or Limits()
        at_a_time = max(call(Reading.calls, self._model), 1)
        self._queue = RequestQueue(limits.batch, limits.waiting, limits.seconds, at_a_time)
        self.calls = 0
        """Calls of the model so far."""
        self.rows = 0
        """Texts in these calls."""
        tasks = [self._read_texts, *[self._compute_batches] * at_a_time]
        self._threads = [threading.Thread(target=task, name="ftkit-batcher", daemon=True) for task in tasks]
        for thread in self._threads:
            thread.start()

    def submit(self, texts: Sequence[str]) -> Future[Result]:
        """Ask for the class probabilities of at least one text; returns at once. Raises: Busy; Closed."""
        return self._queue.add(texts).future

    @property
    def waiting(self) -> int:
        """Texts that wait for the model."""
        return self._queue.waiting

    def close(self) -> None:
        """Finish the calls in progress and refuse the requests that still wait."""
        self._queue.close()
        for thread in self._threads:
            thread.join()

    def _read_texts(self) -> None:
        while parts := self._queue.take_unread():
            try:
                rows = self._rows([text for request, place in parts for text in request.texts[place]])
            except Exception:
                log.exception("the texts of %d requests cannot be read together", len(parts))
                rows = None
            first = 0
            for request, place in parts:
                size = place.stop - place.start
                try:  # texts of one request that cannot be read must not fail its neighbours
                    own = self._rows(request.texts[place]) if rows is None else rows[first : first + size]
                except Exception as error:
                    request.fail(error)
                    own = []
                first += size
                self._queue.add_rows(request, own)

    def _rows(self, texts: Sequence[str]) -> Sequence[Sized]:
        rows = self._model.read(texts)
        if len(rows) != len(texts):
            raise ValueError(f"the model has read {len(rows)} of {len(texts)} texts")
        return rows

    def _compute_batches(self) -> None:
        while batch := self._queue.take_batch(self._model.together):
            try:
                self._compute(batch)
            except BaseException as error:  # callers must not wait for ever, whatever was raised
                for request, _ in batch:
                    request.fail(error)

    def _compute(self, batch: Batch) -> None:
        begun = time.monotonic()
        self.calls += 1
        self.rows += len(batch)
        requests = list({id(request): request for request, _ in batch}.values())
        try:
            probabilities = self._model.computed([request.rows[index] for request, index in batch])
            if len(probabilities) != len(batch):
                raise ValueError(f"the model has answered {len(probabilities)} of {len(batch)} texts")
        except Exception as error:
            log.exception("the model failed on a call with %d requests", len(requests))
            if len(requests) == 1:
                requests[0].fail(error)
                return
            for request in requests:  # one request on which the model fails must not fail its neighbours
                if not request.future.done():
                    self._compute([row for row in batch if row[0] is request])
            return
        self._queue.finish(batch, probabilities, time.monotonic() - begun)
