"""Merges the requests that wait into calls of the model, in threads of their own.

An idle engine computes a request at once. What arrives while the model is busy goes into its next calls, so nobody ever
waits for a batch to fill. Whose turn it is goes by arrival; what goes with it, the model says by the lengths of what waits (see
`ftkit.contracts.Reading`). One thread reads texts while others compute.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence, Sized
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ftkit.contracts import Reading
from ftkit.serving.limits import Limits
from ftkit.serving.request_queue import Batch, Busy, Closed, Result, Turns

if TYPE_CHECKING:
    from ftkit.contracts import Probabilities

__all__ = ["Batcher", "Busy", "Closed", "Model", "Result"]

log = logging.getLogger("ftkit.serving")


class Model(Protocol):
    """What an engine runs: a bundle, or any classifier."""

    def probabilities(self, texts: Sequence[str]) -> Probabilities: ...


@dataclass(frozen=True)
class Whole:
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
        """The model's own answer."""
        return self.model.probabilities(rows)


class Batcher:
    """Answers many callers with one model; safe to call from any thread."""

    def __init__(self, model: Model, limits: Limits | None = None) -> None:
        self._model: Reading = model if isinstance(model, Reading) else Whole(model)
        limits = limits or Limits()
        self._turns = Turns(limits.batch, limits.waiting)
        tasks = [self._read, *[self._work] * max(self._model.calls, 1)]
        self._threads = [threading.Thread(target=each, name="ftkit-engine", daemon=True) for each in tasks]
        for thread in self._threads:
            thread.start()

    def submit(self, texts: Sequence[str]) -> Future[Result]:
        """Ask for the class probabilities of at least one text; returns at once. Raises: Busy; Closed."""
        return self._turns.add(texts).future

    def close(self) -> None:
        """Finish the calls in progress and refuse what still waits."""
        self._turns.close()
        for thread in self._threads:
            thread.join()

    def _read(self) -> None:
        while taken := self._turns.unread():
            try:
                rows = self._rows([text for job, place in taken for text in job.texts[place]])
            except Exception:
                log.exception("the texts of %d requests cannot be read together", len(taken))
                rows = None
            first = 0
            for job, place in taken:
                size = place.stop - place.start
                try:  # texts of one request that cannot be read must not fail its neighbours
                    own = self._rows(job.texts[place]) if rows is None else rows[first : first + size]
                except Exception as error:
                    job.fail(error)
                    own = []
                first += size
                self._turns.read(job, own)

    def _rows(self, texts: Sequence[str]) -> Sequence[Sized]:
        rows = self._model.read(texts)
        if len(rows) != len(texts):
            raise ValueError(f"the model has read {len(rows)} of {len(texts)} texts")
        return rows

    def _work(self) -> None:
        while batch := self._turns.next(self._model.together):
            try:
                self._compute(batch)
            except BaseException as error:  # whatever it was, callers must not wait for ever
                for job, _ in batch:
                    job.fail(error)

    def _compute(self, batch: Batch) -> None:
        begun = time.monotonic()
        jobs = list({id(job): job for job, _ in batch}.values())
        try:
            probabilities = self._model.computed([job.rows[index] for job, index in batch])
            if len(probabilities) != len(batch):
                raise ValueError(f"the model has answered {len(probabilities)} of {len(batch)} texts")
        except Exception as error:
            log.exception("the model failed on a call with %d requests", len(jobs))
            if len(jobs) == 1:
                jobs[0].fail(error)
                return
            for alone in jobs:  # one request that the model cannot bear must not fail its neighbours
                if not alone.future.done():
                    self._compute([each for each in batch if each[0] is alone])
            return
        self._turns.answered(batch, probabilities, time.monotonic() - begun)
