"""The public interface of an endpoint on Ray Serve: checks the key, picks a deployment by the shares, passes the request on.

Scoring changes nothing, so a request whose replica ends before it has answered is sent to another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Iterable
from typing import Any

from ftkit.serving.http_client import PIN
from ftkit_ray.serve.files import EndpointFiles
from ftkit_ray.serve.shares import shares_of

log = logging.getLogger("ftkit.ray")

TOLD_EVERY = 1.0
"""Seconds between two reports on the requests that were passed on."""


def application(endpoint: str, deployment: str = "") -> str:
    """Name of Serve's application: of a deployment, or of the endpoint's router."""
    return f"{endpoint}.{deployment}" if deployment else endpoint


class Router:
    """Sends each request to the deployment whose turn it is."""

    def __init__(self, endpoint: str, files: EndpointFiles, timeout: float) -> None:
        """Requests wait for an answer for so many seconds at most."""
        from ftkit.serving.access import key_guard
        from ftkit.serving.http_api import http_api
        from ftkit.serving.traffic import RoundRobin

        self._endpoint, self._files, self._timeout = endpoint, files, timeout
        self._shares = files.traffic()
        self._turns = RoundRobin()
        self._handles: dict[str, Any] = {}
        self._follow: asyncio.Task[None] | None = None
        self._following = asyncio.Event()
        self._counted: list[tuple[str, float, str]] = []
        """Deployment, seconds and error of the requests since the last report."""
        self._telling: asyncio.Task[None] | None = None
        key = files.key()
        self._app = http_api(
            endpoint,
            score=self._score,
            model=self._model,
            ready=self._ready,
            guard=key_guard(key) if key else None,
            refusals={404: "There is no deployment of the name sent.", 504: "The model did not answer in time."},
            fields=self._fields,
        )

    async def check_health(self) -> None:
        """Serve calls this from its first moment on: it begins to follow the shares."""
        if self._follow is None or self._follow.done():
            self._follow = asyncio.get_running_loop().create_task(self._follow_shares())
        if self._telling is None or self._telling.done():
            self._telling = asyncio.get_running_loop().create_task(self._tell_counts())

    async def __call__(self, request: Any) -> Any:
        """Answer one request as the ASGI application does, below the route of the endpoint."""
        from starlette.responses import Response

        await self.check_health()
        if not self._following.is_set():
            with contextlib.suppress(TimeoutError):  # without the actor, the shares of the files are good
                await asyncio.wait_for(self._following.wait(), 5.0)
        prefix = f"/{self._endpoint}"
        path = request.scope["path"].removeprefix(prefix) or "/"
        scope = {**request.scope, "root_path": prefix, "path": path, "raw_path": path.encode()}
        start: dict[str, Any] = {}
        content: list[bytes] = []

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                content.append(message.get("body", b""))

        await self._app(scope, request.receive, send)
        response = Response(b"".join(content), start["status"])
        response.raw_headers = list(start["headers"])
        return response

    async def _follow_shares(self) -> None:
        """Take over new shares as soon as there are some, for as long as this router lives."""
        actor, name, version = shares_of(self._endpoint, self._files), uuid.uuid4().hex, -1
        while True:
            try:
                version, shares = await actor.newer.remote(name, version)
            except Exception as error:  # the actor begins again on another node, with the shares of the files
                log.warning("%s: the shares cannot be followed: %s", self._endpoint, type(error).__name__)
                await asyncio.sleep(1.0)
                actor, version = shares_of(self._endpoint, self._files), -1
                continue
            self._following.set()
            if shares != self._shares:
                self._shares = dict(shares)
                self._turns.reset()

    async def _tell_counts(self) -> None:
        """Report the requests that were passed on, for as long as this router lives."""
        while True:
            await asyncio.sleep(TOLD_EVERY)
            told, self._counted = self._counted, []
            if told:
                with contextlib.suppress(Exception):  # without the actor they are not counted; requests go on
                    await shares_of(self._endpoint, self._files).count.remote(told)

    async def _score(self, request: Any) -> Any:
        from ftkit.serving.http_api import read_body
        from ftkit.serving.limits import Limits

        return await self._forward(request, "score", await read_body(request, Limits()))

    async def _model(self, request: Any) -> Any:
        return await self._forward(request, "model", b"")

    async def _ready(self, _request: Any) -> Any:
        from ftkit.serving.handler import json_reply

        if any(self._shares.values()):
            return json_reply({"status": "ready", "reason": ""})
        return json_reply({"status": "starting", "reason": "no deployment has traffic"}, 503)

    def _fields(self) -> tuple[str, ...]:
        from ftkit import pairs
        from ftkit.bundle.manifest import fields_of

        live = (name for name, share in self._shares.items() if share)
        return next((fields_of(self._files.bundle(name)) for name in live), pairs.TEXT)

    async def _forward(self, request: Any, verb: str, body: bytes) -> Any:
        from ftkit.contracts.monitoring import TRACE
        from ftkit.serving.handler import Reply
        from ftkit.serving.schema import Refusal

        passed = {name: request.headers[name] for name in ("content-type", *TRACE) if name in request.headers}
        pinned, tried = request.headers.get(PIN), set[str]()
        while True:
            name = self._pinned(pinned, tried) if pinned is not None else self._next(tried)
            sent_at = time.monotonic()
            try:
                asked = getattr(self._handle(name), verb).remote(body, passed)
                status, content, headers = await asyncio.wait_for(asked, self._timeout)
            except TimeoutError as error:
                self._counted.append((name, 0.0, "timeout"))
                hint = "Send fewer texts at a time."
                raise Refusal(504, f"no answer within {self._timeout:g} s", name, hint) from error
            except Exception as error:  # its replica died in the middle, or it is gone
                log.warning("%s: %s: %s", name, type(error).__name__, error)
                self._counted.append((name, 0.0, "disconnected"))
                self._handles.pop(name, None)
                tried.add(name)
                continue
            if verb == "score" and (status < 400 or status >= 429):  # the rest are mistakes of the caller
                self._counted.append((name, time.monotonic() - sent_at, str(status) if status >= 429 else ""))
            return Reply(status, content, {**headers, PIN: name})

    def _next(self, tried: Iterable[str]) -> str:
        from ftkit.serving.schema import Refusal

        if name := self._turns.pick({name: share for name, share in self._shares.items() if name not in tried}):
            return name
        what = "no deployment answers" if any(self._shares.values()) else "no deployment has traffic"
        raise Refusal(503, what, hint="Send the request again in a moment.", headers={"Retry-After": "1"})

    def _pinned(self, name: str, tried: Iterable[str]) -> str:
        from ftkit.serving.schema import Refusal

        if name not in self._files.deployments():
            hint = "`ftkit endpoint status` lists them."
            raise Refusal(404, f"there is no deployment {name!r}", f"header {PIN}", hint)
        if name in tried:
            hint = "Send the request again in a moment."
            raise Refusal(503, f"the deployment {name!r} does not answer", hint=hint, headers={"Retry-After": "1"})
        return name

    def _handle(self, name: str) -> Any:
        from ray import serve

        if name not in self._handles:
            self._handles[name] = serve.get_app_handle(application(self._endpoint, name))
        return self._handles[name]
