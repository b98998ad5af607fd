"""The interface over one host: what the server of a deployment runs, in any ASGI server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from ftkit.serving.engine import Busy, Closed
from ftkit.serving.host import Host
from ftkit.serving.interface import interface, json_response, read_body
from ftkit.serving.request import Refusal, answer, parse, too_large
from ftkit.serving.watch import Note, noted

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response

_LATER = {"Retry-After": "1"}


def application(host: Host) -> FastAPI:
    """An ASGI application that serves a host's bundle; the bundle begins to load when the server starts."""
    limits = host.limits

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        host.start()
        yield
        host.close()

    async def score(request: Request) -> Response:
        with noted(host.watch, request.headers) as note:
            return await answered(request, note)

    async def answered(request: Request, note: Note) -> Response:
        engine, bundle = host.ready_engine()
        asked = parse(await read_body(request, limits.size, partial(too_large, limits)), limits)
        headers = {"X-Ftkit-Bundle": bundle.hash}
        if not asked.data:
            return json_response([], headers=headers)
        try:
            note.texts = [row.text for row in asked.data]
            note.result = result = await asyncio.wrap_future(engine.submit(note.texts))
        except Busy as busy:
            waiting = f"{limits.waiting} texts wait for the model already"
            raise Refusal(503, waiting, mend="Come back after Retry-After seconds.", headers=_LATER) from busy
        except Closed as closed:
            raise Refusal(
                503, "the server is shutting down", mend="Send the request again.", headers=_LATER
            ) from closed
        headers["Server-Timing"] = f"queue;dur={result.waited * 1e3:.1f}, model;dur={result.computed * 1e3:.1f}"
        return json_response(answer(result.probabilities, bundle.classes, asked.scores), headers=headers)

    async def model(_: Request) -> Response:
        bundle = host.ready_engine()[1]
        manifest = {key: value for key, value in bundle.manifest.items() if key != "files"}
        return json_response({**manifest, "hash": bundle.hash, "engine": host.served_by})

    async def ready(_: Request) -> Response:
        status = host.status
        body = {"status": status.state, "reason": status.reason}
        return json_response(body, 200 if status.state == "ready" else 503)

    return interface("ftkit model server", score=score, model=model, ready=ready, lifespan=lifespan)
