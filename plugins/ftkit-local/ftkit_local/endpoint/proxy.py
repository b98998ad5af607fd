"""The public interface: checks the key, picks a deployment by the traffic shares, passes the request on.

Scoring changes nothing, so a request whose deployment ends before it has answered is sent to another one.
"""

from __future__ import annotations

import logging
import time

from starlette.requests import Request

from ftkit import pairs
from ftkit.bundle.manifest import fields_of
from ftkit.contracts.monitoring import TRACE
from ftkit.redaction import redacted
from ftkit.serving.access import key_guard
from ftkit.serving.handler import Reply, json_reply
from ftkit.serving.http_api import SCORE, ScoringApplication, http_api, read_body
from ftkit.serving.http_client import PIN
from ftkit.serving.limits import Limits
from ftkit.serving.monitoring import RequestObserver, observed
from ftkit.serving.schema import Refusal
from ftkit_local.endpoint import metrics
from ftkit_local.endpoint.child import Child
from ftkit_local.endpoint.intake import Room
from ftkit_local.endpoint.supervisor import Supervisor

log = logging.getLogger("ftkit.front")

_FORWARDED = ("content-type", "retry-after", "x-ftkit-bundle")
_LATER = {"Retry-After": "1"}

METRICS = "/metrics"
"""Where Prometheus asks, with the endpoint's key."""


class Proxy:
    """Passes requests on to the deployments of one endpoint."""

    def __init__(self, supervisor: Supervisor, endpoint: str) -> None:
        self._supervisor = supervisor
        self._endpoint = endpoint
        self._room = Room()
        self.observer: RequestObserver | None = None
        """Passes requests that no deployment answers to watchers; the deployments' servers pass on the others."""

    async def score(self, request: Request) -> Reply:
        """Texts in, labels out, by the deployment whose turn it is."""
        with observed(self.observer, request.headers, refusals_only=True), self._room.request() as take:
            body = await read_body(request, Limits(), take)
            return await self._forward(request, "POST", "/score", body)

    async def model(self, request: Request) -> Reply:
        """What is served, by the deployment whose turn it is."""
        return await self._forward(request, "GET", "/model", b"")

    async def ready(self, _: Request) -> Reply:
        """Whether some deployment with traffic answers."""
        live = [each for each in self._supervisor.servers.values() if each.entry.traffic]
        if any(each.state == "ready" for each in live):
            return json_reply({"status": "ready", "reason": ""})
        reasons = "; ".join(f"{each.entry.name}: {each.reason}" for each in live)
        return json_reply({"status": "starting", "reason": reasons or "no deployment has traffic"}, 503)

    def fields(self) -> tuple[str, ...]:
        """The names of the texts of a row, of a deployment that has traffic."""
        live = (each for each in self._supervisor.servers.values() if each.entry.traffic)
        return next((fields_of(each.folder.bundle(each.entry.name)) for each in live), pairs.TEXT)

    async def metrics(self, _: Request) -> Reply:
        """All deployments in the form of Prometheus."""
        return Reply(200, await metrics.exposition(self._endpoint, self._supervisor), media_type=metrics.MEDIA_TYPE)

    async def _forward(self, request: Request, method: str, path: str, body: bytes) -> Reply:
        begun = time.monotonic()
        pinned = request.headers.get(PIN)
        sticky = self._supervisor.state.sticky
        caller = request.headers.get(sticky, "") if sticky else ""
        context = {name: request.headers[name] for name in TRACE if name in request.headers}
        sent = {"content-type": "application/json", **context}
        tried: set[str] = set()
        while True:
            server = self._pinned(pinned, tried) if pinned is not None else self._next(tried, caller)
            name, sent_at = server.entry.name, time.monotonic()
            with server.flight():
                try:
                    answer = await server.wire.ask(method, path, body, sent)
                except TimeoutError as error:
                    server.counts.request(0.0, "timeout")
                    seconds = server.entry.request_timeout
                    log.error("%s: no answer within %g s", name, seconds)
                    raise Refusal(
                        504, f"no answer within {seconds:g} s", name, "Send fewer texts at a time."
                    ) from error
                except OSError as error:
                    server.counts.request(0.0, "disconnected")
                    log.warning("%s: %s: %s", name, type(error).__name__, error)
                    tried.add(name)
                    continue
            server.silent_since = time.monotonic()
            if path == SCORE and (answer.status < 400 or answer.status >= 429):
                failed = answer.status >= 429
                server.counts.request(server.silent_since - sent_at, str(answer.status) if failed else "")
            if path == SCORE and answer.status == 200 and pinned is None and (copies := self._supervisor.copies):
                copies.offer(body, server)
            if answer.status >= 500:
                text = redacted(answer.content.decode("utf-8", "replace"))  # before it is cut
                log.warning("%s: answered %d: %.300s", name, answer.status, text)
            headers = {key: answer.headers[key] for key in _FORWARDED if key in answer.headers}
            spent = f"front;dur={(time.monotonic() - begun) * 1e3:.1f}"
            headers["server-timing"] = ", ".join(filter(None, [answer.headers.get("server-timing"), spent]))
            headers[PIN] = name
            return Reply(answer.status, answer.content, headers)

    def _next(self, tried: set[str], caller: str) -> Child:
        if server := self._supervisor.choose(tried, caller):
            return server
        live = [each for each in self._supervisor.servers.values() if each.entry.traffic]
        reasons = "; ".join(f"{each.entry.name}: {each.reason or each.state}" for each in live)
        what = f"no deployment answers: {reasons}" if live else "no deployment has traffic"
        raise Refusal(503, what, hint="Send the request again in a moment.", headers=_LATER)

    def _pinned(self, name: str, tried: set[str]) -> Child:
        server = self._supervisor.servers.get(name)
        if not server:
            raise Refusal(
                404, f"there is no deployment {name!r}", f"header {PIN}", "`ftkit endpoint status` lists them."
            )
        if server.state != "ready" or name in tried:
            reason = server.reason or "its server does not answer"
            raise Refusal(503, f"the deployment {name!r} does not answer: {reason}", hint="Try again.", headers=_LATER)
        return server


def public(proxy: Proxy, title: str, *, key: str) -> ScoringApplication:
    """The ASGI application of an endpoint."""
    return http_api(
        title,
        score=proxy.score,
        model=proxy.model,
        ready=proxy.ready,
        guard=key_guard(key) if key else None,
        further={METRICS: proxy.metrics},
        fields=proxy.fields,
        refusals={404: "There is no deployment of the name sent.", 504: "The model did not answer in time."},
    )
