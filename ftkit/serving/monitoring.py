"""Passes the requests of a deployment to its watchers, without making any caller wait.

A caller pays for one entry in a queue, and for nothing where there are no watchers. A thread of its own calls the
watchers. When they are too slow for the traffic, requests are dropped and counted: the model and its callers come
first.
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
from ftkit.contracts import Counting, Reading, capable
from ftkit.contracts.monitoring import DEPLOYMENT, ENDPOINT, TRACE, Served, ServedRequest, Watcher
from ftkit.errors import in_one_line
from ftkit.evaluation.answer_rules import Decided
from ftkit.serving.schema import Refusal

if TYPE_CHECKING:
    from ftkit.bundle.bundle import Bundle
    from ftkit.serving.batcher import Model, Result

log = logging.getLogger("ftkit.serving")

REQUESTS = 1000
"""Requests that may wait for the watchers."""
CHARACTERS = 16 * 1024 * 1024
"""Characters of their texts, all together."""
PATIENCE = 2.0
"""Seconds that watchers have for the requests that are left when the server ends."""
LEFT = 499
"""The status of a request whose caller left before it was answered, as web servers have it in their logs."""


@dataclass
class Observation:
    """What is known of a request so far; the code that answers it fills this in."""

    texts: Sequence[str] = ()
    result: Result | None = None
    decided: Decided | None = None


@dataclass(frozen=True)
class _EndedRequest:
    """A request that was answered, was refused, or was given up by its caller."""

    observation: Observation
    headers: Mapping[str, str]
    began: int
    seconds: float
    status: int

    @property
    def characters(self) -> int:
        return sum(map(len, self.observation.texts))


class RequestObserver:
    """Passes the requests of one deployment to its watchers, until it is closed or the process ends."""

    def __init__(self, served: Served, watchers: Sequence[Watcher], model: Model | None = None) -> None:
        self.served = served
        self.dropped = 0
        """Requests that no watcher was called with, for want of room."""
        self._watchers = watchers
        self._model = model
        self._queue: queue.Queue[_EndedRequest | None] = queue.Queue(REQUESTS)
        self._logged: set[str] = set()
        self._characters = 0
        self._counting = threading.Lock()
        self._thread = threading.Thread(target=self._call_watchers, name="ftkit-watch", daemon=True)
        self._thread.start()
        self._closed = False
        atexit.register(self.close)  # not every server announces its end

    def add(self, request: _EndedRequest) -> None:
        """Queue a request, or drop and count it; never waits."""
        characters = request.characters
        with self._counting:
            fits = self._characters + characters <= CHARACTERS
            self._characters += characters * fits
        try:
            if not fits:
                raise queue.Full
            self._queue.put_nowait(request)
        except queue.Full:
            with self._counting:
                self._characters -= characters * fits
                self.dropped += 1
                first = self.dropped == 1
            if first:
                log.warning("the watchers of this deployment are too slow for its traffic: they miss some requests")

    def close(self, patience: float = PATIENCE) -> None:
        """Pass on the requests that are left and close the watchers, but wait for them for `patience` seconds only."""
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
        if self.dropped:
            log.warning("the watchers of this deployment missed %d requests", self.dropped)

    def _call_watchers(self) -> None:
        while ended := self._queue.get():
            with self._counting:
                self._characters -= ended.characters
            try:
                request = self._served_request(ended)
            except BaseException as error:  # also SystemExit, which would end this thread without a word
                self._log_once("a request cannot be described to the watchers", error)
                continue
            for watcher in self._watchers:
                try:
                    watcher.tell(request)
                except BaseException as error:
                    self._log_once(f"{_title(watcher)} failed", error)
        for watcher in self._watchers:
            try:
                watcher.close()
            except BaseException as error:
                self._log_once(f"{_title(watcher)} failed while it was closed", error)

    def _log_once(self, what: str, error: BaseException) -> None:
        """Log an error the first time only: what fails for one request may fail for all of them."""
        if what not in self._logged:
            self._logged.add(what)
            log.error("%s: %s; this is logged once only", what, in_one_line(error))

    def _served_request(self, ended: _EndedRequest) -> ServedRequest:
        result, texts = ended.observation.result, ended.observation.texts
        labels: list[str | tuple[str, ...]] = []
        confidences: list[float] = []
        unsure = 0
        if (decided := ended.observation.decided) is not None:
            labels = [tuple(each) if decided.task == "multi-label" else each for each in decided.best]
            confidences = [float(each) for each in decided.certainty]
            unsure = int(decided.unsure.sum())
        return ServedRequest(
            served=self.served,
            began=ended.began,
            seconds=ended.seconds,
            status=ended.status,
            labels=labels,
            unsure=unsure,
            confidences=confidences,
            tokens=self._tokens(texts, result),
            waited=result.waited if result else 0.0,
            computed=result.computed if result else 0.0,
            trace={name: value for name in TRACE if (value := ended.headers.get(name))},
            texts=texts,
        )

    def _tokens(self, texts: Sequence[str], result: Result | None) -> int | None:
        """Tokens of a request that was answered; counted here only where reading the texts has not counted them."""
        if result is None or not capable(self._model, Counting):
            return None
        return result.length if capable(self._model, Reading) else sum(self._model.tokens(texts))


def _title(watcher: Watcher) -> str:
    return f"the watcher {type(watcher).__name__} of {plugins.load().owner(type(watcher))}"


@contextmanager
def observed(
    observer: RequestObserver | None, headers: Mapping[str, str], *, refusals_only: bool = False
) -> Iterator[Observation]:
    """Observe a request from its headers to its answer, and queue it for the watchers.

    `headers` are looked up by lower-case names. With `refusals_only`, another process observes the requests that are
    answered.
    """
    observation = Observation()
    if observer is None:
        yield observation
        return
    began, clock = time.time_ns(), time.perf_counter()
    status = LEFT
    try:
        yield observation
        status = 200
    except Refusal as refusal:
        status, refusals_only = refusal.status, False
        raise
    except Exception:
        status = 500
        raise
    finally:
        if not refusals_only:
            observer.add(_EndedRequest(observation, headers, began, time.perf_counter() - clock, status))


def deployment_observer(bundle: Bundle, engine: str, model: Model) -> RequestObserver | None:
    """The observer of the deployment that this process is; None when it is no deployment, or no plugin watches it."""
    deployment = os.environ.get(DEPLOYMENT, "")
    if not deployment:
        return None
    record = bundle.record
    served = Served(
        endpoint=os.environ.get(ENDPOINT, ""),
        deployment=deployment,
        bundle=bundle.hash,
        name=record.name if record else "",
        run=str(bundle.manifest.get("run", "")),
        engine=engine,
        classes=bundle.classes,
        profile=record.profile if record else None,
        task=bundle.task,
        rule=bundle.rule,
    )
    watchers = plugins.load().watchers(served)
    return RequestObserver(served, watchers, model) if watchers else None


def front_observer(endpoint: str) -> RequestObserver | None:
    """The observer of requests that no deployment of an endpoint answers; None when no plugin watches them."""
    served = Served(endpoint, deployment="", bundle="", name="", run="", engine="", classes=(), profile=None)
    watchers = plugins.load().watchers(served)
    return RequestObserver(served, watchers) if watchers else None
