"""From the bytes of a request to the bytes of its answer, for any server.

`respond` answers in the caller's thread, for a server with a thread for each request, such as a cloud's scoring script.
A server that waits for many answers in one thread takes the same steps apart: `answering`, `submit`, `Pending.reply`,
`error_reply`.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from ftkit import pairs
from ftkit.bundle.bundle import Bundle
from ftkit.evaluation.answer_rules import Decided
from ftkit.serving.batcher import Batcher, Busy, Closed, Result
from ftkit.serving.limits import Limits
from ftkit.serving.live_counts import LiveCounts
from ftkit.serving.model_host import ModelHost
from ftkit.serving.monitoring import Observation, observed
from ftkit.serving.schema import Refusal, ScoreRequest, decided_answer, parse

log = logging.getLogger("ftkit.serving")

_LATER = {"Retry-After": "1"}


@dataclass(frozen=True)
class Reply:
    """An answer as it is sent."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"


@dataclass(frozen=True)
class Pending:
    """A request whose texts were given to the model."""

    request: ScoreRequest
    bundle: Bundle
    future: Future[Result] | None
    """The model's result; None for a request without texts, which needs no model."""

    def reply(self, observation: Observation) -> Reply:
        """The answer made of the model's result."""
        headers, result = {"X-Ftkit-Bundle": self.bundle.hash}, observation.result
        if result is None:
            return json_reply([], headers=headers)
        headers["Server-Timing"] = f"queue;dur={result.waited * 1e3:.1f}, model;dur={result.computed * 1e3:.1f}"
        observation.decided = self.bundle.decided(result.probabilities)
        scores = result.probabilities if self.request.scores else None
        return json_reply(decided_answer(observation.decided, scores, self.bundle.rule), headers=headers)


@contextmanager
def refusing() -> Iterator[None]:
    """What the batcher refuses is raised as Refusal."""
    try:
        yield
    except Busy as error:
        raise Refusal(429, str(error), hint="Come back after Retry-After seconds.", headers=_LATER) from error
    except Closed as error:
        hint = "Send the request again."
        raise Refusal(503, "the server is shutting down", hint=hint, headers=_LATER) from error


@contextmanager
def answering(host: ModelHost, headers: Mapping[str, str]) -> Iterator[Observation]:
    """Observe one request from its headers to its answer; what the batcher refuses is raised as Refusal.

    `headers` are looked up by lower-case names.
    """
    with observed(host.observer, headers) as observation:
        with refusing():
            yield observation
        if observation.decided is not None:
            count_answers(host.counts, observation.decided)


def count_answers(counts: LiveCounts, decided: Decided) -> None:
    """Count the answers to a request by class, and the texts that get none."""
    known = filter(math.isfinite, map(float, decided.certainty))
    counts.answers(decided.counts, known, int(decided.unsure.sum()))


def submit(ready: tuple[Batcher, Bundle], body: bytes, limits: Limits, observation: Observation) -> Pending:
    """Read a request and give its texts to the model; returns at once. Raises: Refusal; Busy; Closed."""
    batcher, bundle = ready
    request = parse(body, limits, bundle.fields)
    if not request.data:
        return Pending(request, bundle, None)
    texts = [row.text for row in request.data]
    observation.texts = [*map(pairs.shown, texts)] if len(bundle.fields) > 1 else texts
    return Pending(request, bundle, batcher.submit(texts))


def respond(host: ModelHost, body: bytes, headers: Mapping[str, str]) -> Reply:
    """Answer one request to /score in the caller's thread, refusals and failures included; never raises.

    `headers` may have names in upper and lower case.
    """
    try:
        with answering(host, {name.lower(): value for name, value in headers.items()}) as observation:
            pending = submit(host.ready(), body, host.limits, observation)
            if pending.future is not None:
                observation.result = pending.future.result()
            return pending.reply(observation)
    except Exception as error:
        return error_reply(error, "POST", "/score")


def model_reply(host: ModelHost) -> Reply:
    """The answer to a request to /model: what is served. Raises: Refusal while no model is ready."""
    bundle = host.ready()[1]
    manifest = {key: value for key, value in bundle.manifest.items() if key not in ("files", "digest")}
    timings = {engine: asdict(timing) for engine, timing in host.timings.items()}
    measured = {"engines_measured_ms": timings} if timings else {}
    return json_reply(
        {
            "task": bundle.task,
            "fields": bundle.fields,
            **manifest,
            "hash": bundle.hash,
            "engine": host.engine,
            **measured,
        }
    )


def error_reply(error: Exception, method: str, path: str) -> Reply:
    """The answer to a request that raised: a refusal gives its reason, any other error its type; the log holds the rest."""
    if isinstance(error, Refusal):
        return json_reply(error.body, error.status, error.headers)
    log.error("%s %s failed", method, path, exc_info=error)
    what = f"the server failed on this request: {type(error).__name__}"
    return json_reply({"error": what, "where": path, "hint": "See the server's log."}, 500)


def json_reply(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """A value as an answer; characters beyond ASCII are escaped, so that any text survives any client."""
    return Reply(status, json.dumps(value).encode(), headers or {})
