"""The interface over one host: what the server of a deployment runs, in any ASGI server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from ftkit.serving.batcher import Closed
from ftkit.serving.handler import ask, shutting_down
from ftkit.serving.http_api import interface, json_response, read_body
from ftkit.serving.model_host import ModelHost
from ftkit.serving.monitoring import Note, noted
from ftkit.serving.schema import too_large

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response


def application(host: ModelHost) -> FastAPI:
    """An ASGI application that serves a host's bundle; the bundle begins to load when the server starts."""
    from starlette.responses import Response as StarletteResponse

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
        ready = host.ready_engine()
        asked = ask(ready, await read_body(request, limits.size, partial(too_large, limits)), limits, note)
        try:
            if asked.future is not None:
                result = await asyncio.wrap_future(asked.future)
                note.result = result
        except Closed as closed:
            raise shutting_down() from closed
        reply = asked.reply(note.result)
        return StarletteResponse(reply.body, reply.status, dict(reply.headers), media_type="application/json")

    async def model(_: Request) -> Response:
        bundle = host.ready_engine()[1]
        manifest = {key: value for key, value in bundle.manifest.items() if key != "files"}
        measured = {engine: asdict(timing) for engine, timing in host.timings.items()}
        said = {"engine": host.engine, **({"engines_measured_ms": measured} if measured else {})}
        return json_response({**manifest, "hash": bundle.hash, **said})

    async def ready(_: Request) -> Response:
        status = host.status
        body = {"status": status.state, "reason": status.reason, "engine": host.engine}
        return json_response(body, 200 if status.state == "ready" else 503)

    return interface("ftkit model server", score=score, model=model, ready=ready, lifespan=lifespan)
