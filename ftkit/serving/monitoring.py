"""Tells those who watch a deployment what becomes of its requests, behind its callers' backs.

A caller pays for a note in a queue, and for nothing at all when nobody watches. A thread of its own
tells the watchers. When they are too slow for the traffic, requests go untold, and are counted: the model and its callers come first.
"""

from __future__ import annotations

import atexit
import logging
import os
import queue
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftkit import plugins
from ftkit.contracts import Counting, Reading
from ftkit.contracts.monitoring import DEPLOYMENT, ENDPOINT, TRACE, Served, ServedRequest, Watcher
from ftkit.evaluation.prediction_profile import predictions
from ftkit.serving.schema import Refusal

if TYPE_CHECKING:
    from ftkit.bundle.bundle import Bundle
    from ftkit.serving.batcher import Model, Result

log = logging.getLogger("ftkit.serving")

REQUESTS = 1000
"""Requests that may wait to be told."""
CHARACTERS = 16 * 1024 * 1024
"""Characters of their texts, all together."""
PATIENCE = 2.0
"""Seconds that watchers have, when the server ends, for what is left."""
LEFT = 499
"""The status told of a request whose caller left before it was answered, as web servers have it in their logs."""


@dataclass
class Note:
    """What is known of a request so far; whoever answers it fills this in."""

    texts: Sequence[str] = ()
    result: Result | None = None


@dataclass(frozen=True)
class _Told:
    """A request that came to its end."""

    note: Note
    headers: Mapping[str, str]
    began: int
    seconds: float
    status: int


class Watch:
    """Passes the requests of one deployment on to its watchers, until it is closed or the process ends."""

    def __init__(self, served: Served, watchers: Sequence[Watcher], model: Model | None = None) -> None:
        self.served = served
        self.untold = 0
        """Requests that nobody was told of, for want of room."""
        self._watchers = watchers
        self._model = model
        self._queue: queue.Queue[_Told | None] = queue.Queue(REQUESTS)
        self._said: set[str] = set()
        self._characters = 0
        self._counting = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="ftkit-watch", daemon=True)
        self._thread.start()
        self._closed = False
        atexit.register(self.close)  # not every server says when it ends

    def take(self, told: _Told) -> None:
        """Queue a request, or count it as untold; never waits."""
        size = sum(map(len, told.note.texts))
        with self._counting:
            fits = self._characters + size <= CHARACTERS
            self._characters += size * fits
        try:
            if not fits:
                raise queue.Full
            self._queue.put_nowait(told)
        except queue.Full:
            with self._counting:
                self._characters -= size * fits
                self.untold += 1
                first = self.untold == 1
            if first:
                log.warning("those who watch this deployment are too slow for its traffic: requests go untold")

    def close(self, patience: float = PATIENCE) -> None:
        """Tell what is left and let the watchers end, for a limited time; what then still goes on is left behind."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        ends = time.monotonic() + patience
        try:
            self._queue.put(None, timeout=patience)
        except queue.Full:
            return
        self._thread.join(max(0.0, ends - time.monotonic()))
        if self.untold:
            log.warning("%d requests went untold", self.untold)

    def _work(self) -> None:
        while told := self._queue.get():
            with self._counting:
                self._characters -= sum(map(len, told.note.texts))
            try:
                request = self._request(told)
            except Exception:
                self._failed("a request cannot be told")
                continue
            for each in self._watchers:
                try:
                    each.tell(request)
                except Exception:
                    self._failed(f"a watcher of this deployment failed: {type(each).__name__}")
        for each in self._watchers:
            try:
                each.close()
            except Exception:
                self._failed(f"a watcher of this deployment did not end well: {type(each).__name__}")

    def _failed(self, what: str) -> None:
        """Log an exception the first time only: what fails for one request may fail for all of them."""
        if what not in self._said:
            self._said.add(what)
            log.exception("%s; when it happens again, that is not said", what)

    def _request(self, told: _Told) -> ServedRequest:
        result, texts = told.note.result, told.note.texts
        labels: list[str] = []
        confidences: list[float] = []
        if result is not None:
            predicted, sure = predictions(result.probabilities)
            labels, confidences = [self.served.classes[index] for index in predicted], [float(each) for each in sure]
        return ServedRequest(
            served=self.served,
            began=told.began,
            seconds=told.seconds,
            status=told.status,
            labels=labels,
            confidences=confidences,
            tokens=self._tokens(texts, result),
            waited=result.waited if result else 0.0,
            computed=result.computed if result else 0.0,
            trace={name: value for name in TRACE if (value := told.headers.get(name))},
            texts=texts,
        )

    def _tokens(self, texts: Sequence[str], result: Result | None) -> int | None:
        """Tokens of a request that was answered; they are counted anew only where reading has not counted them."""
        if result is None or not isinstance(self._model, Counting):
            return None
        return result.length if isinstance(self._model, Reading) else sum(self._model.tokens(texts))


@contextmanager
def noted(watch: Watch | None, headers: Mapping[str, str], *, refusals_only: bool = False) -> Iterator[Note]:
    """Note what becomes of a request, from its headers to its answer, and queue it for whoever watches.

    `headers` are looked up by lower-case names. With `refusals_only` somebody else tells of requests that are answered.
    """
    note = Note()
    if watch is None:
        yield note
        return
    began, clock = time.time_ns(), time.perf_counter()
    status = LEFT
    try:
        yield note
        status = 200
    except Refusal as refusal:
        status, refusals_only = refusal.status, False
        raise
    except Exception:
        status = 500
        raise
    finally:
        if not refusals_only:
            watch.take(_Told(note, headers, began, time.perf_counter() - clock, status))


def watch(opened: Bundle, engine: str, model: Model) -> Watch | None:
    """Ask who wants to watch the deployment that this process is; None when it is none, or nobody does."""
    deployment = os.environ.get(DEPLOYMENT, "")
    if not deployment:
        return None
    record = opened.record
    served = Served(
        endpoint=os.environ.get(ENDPOINT, ""),
        deployment=deployment,
        bundle=opened.hash,
        name=record.name if record else "",
        run=str(opened.manifest.get("run", "")),
        engine=engine,
        classes=opened.classes,
        profile=record.profile if record else None,
    )
    watchers = plugins.load().watchers(served)
    return Watch(served, watchers, model) if watchers else None


def watch_front(endpoint: str) -> Watch | None:
    """Ask who wants to be told of requests that no deployment of an endpoint gets to answer; None when nobody does."""
    served = Served(endpoint, deployment="", bundle="", name="", run="", engine="", classes=(), profile=None)
    watchers = plugins.load().watchers(served)
    return Watch(served, watchers) if watchers else None
