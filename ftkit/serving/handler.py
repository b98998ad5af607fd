"""From the bytes of a request to the bytes of its answer, whatever server they come through.

`ask` and `Asked.reply` are the two halves, between which a server may do something else; `respond` is both for a server that has
a thread for each request, such as a cloud's scoring script has.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from ftkit.bundle.bundle import Bundle
from ftkit.serving.batcher import Batcher, Busy, Closed, Result, log
from ftkit.serving.limits import Limits
from ftkit.serving.model_host import ModelHost
from ftkit.serving.monitoring import Note, noted
from ftkit.serving.schema import Refusal, ScoreRequest, answer, parse

_LATER = {"Retry-After": "1"}


@dataclass(frozen=True)
class Reply:
    """An answer as it goes out."""

    status: int
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Asked:
    """A request on its way through the model."""

    request: ScoreRequest
    bundle: Bundle
    future: Future[Result] | None
    """What the model says; None for a request without texts, which needs no model."""

    def reply(self, result: Result | None) -> Reply:
        """The answer, once the model has said its part."""
        headers = {"X-Ftkit-Bundle": self.bundle.hash}
        if result is None:
            return Reply(200, encoded([]), headers)
        headers["Server-Timing"] = f"queue;dur={result.waited * 1e3:.1f}, model;dur={result.computed * 1e3:.1f}"
        return Reply(200, encoded(answer(result.probabilities, self.bundle.classes, self.request.scores)), headers)


def ask(ready: tuple[Batcher, Bundle], body: bytes, limits: Limits, note: Note) -> Asked:
    """Read a request and hand its texts to the model. Raises: Refusal."""
    engine, bundle = ready
    request = parse(body, limits)
    if not request.data:
        return Asked(request, bundle, None)
    note.texts = [row.text for row in request.data]
    try:
        return Asked(request, bundle, engine.submit(note.texts))
    except Busy as busy:
        waiting = f"{limits.waiting} texts wait for the model already"
        raise Refusal(429, waiting, hint="Come back after Retry-After seconds.", headers=_LATER) from busy
    except Closed as closed:
        raise shutting_down() from closed


def shutting_down() -> Refusal:
    """What a caller is told whose request came too late."""
    return Refusal(503, "the server is shutting down", hint="Send the request again.", headers=_LATER)


def respond(host: ModelHost, body: bytes, headers: Mapping[str, str], place: str = "/score") -> Reply:
    """Answer one request in the caller's thread, refusals and failures included; never raises.

    `headers` are the request's, whatever case their names have; `place` is the path that a failure names.
    """
    try:
        with noted(host.watch, {name.lower(): value for name, value in headers.items()}) as note:
            asked = ask(host.ready_engine(), body, host.limits, note)
            try:
                note.result = asked.future.result() if asked.future else None
            except Closed as closed:
                raise shutting_down() from closed
            return asked.reply(note.result)
    except Refusal as refusal:
        return Reply(refusal.status, encoded(refusal.body), refusal.headers)
    except Exception as error:
        log.error("POST %s failed", place, exc_info=error)
        return Reply(500, encoded(failure(error, place)), {})


def failure(error: Exception, place: str) -> dict[str, str]:
    """The body of an answer to a request on which the server itself failed."""
    what = f"the server failed on this request: {type(error).__name__}"
    return {"error": what, "where": place, "hint": "See the server's log."}


def encoded(value: Any) -> bytes:
    """A value as JSON; characters beyond ASCII are escaped, so that any text survives any client."""
    return json.dumps(value).encode()
