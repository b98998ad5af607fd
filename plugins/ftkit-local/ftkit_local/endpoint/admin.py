"""The admin interface of a front, for the verbs of a deployer: on a socket that only the user can reach."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ftkit.errors import DeployError
from ftkit.serving import live_counts
from ftkit_local.endpoint import copies
from ftkit_local.endpoint.client import REFUSED
from ftkit_local.endpoint.folder import Entry
from ftkit_local.endpoint.guard import Guard
from ftkit_local.endpoint.supervisor import Supervisor


def admin(supervisor: Supervisor, stop: Callable[[], None]) -> Starlette:
    """The ASGI application that carries out verbs; `stop` ends the front."""
    guard = Guard(supervisor)

    async def status(_: Request) -> Response:
        state = supervisor.state
        return JSONResponse(
            {
                "pid": os.getpid(),
                "host": state.host,
                "port": state.port,
                "auth": state.auth,
                "sticky": state.sticky,
                "probe_timeout": state.probe_timeout,
                "deployments": [server.describe() for server in supervisor.servers.values()],
            }
        )

    async def measures(request: Request) -> Response:
        seconds = float(request.query_params["seconds"])
        servers = list(supervisor.servers.values())
        measured = await asyncio.gather(*(server.measures(seconds) for server in servers))
        table = {server.entry.name: each for server, each in zip(servers, measured, strict=True) if each.requests}
        return JSONResponse({name: live_counts.to_json(each) for name, each in table.items()})

    async def mirror(request: Request) -> Response:
        supervisor.mirror_to(**await request.json())
        return JSONResponse({})

    async def compared(_: Request) -> Response:
        return JSONResponse(copies.to_json(supervisor.copies))

    async def configure(request: Request) -> Response:
        supervisor.configure(**await request.json())
        return JSONResponse({})

    async def create(request: Request) -> Response:
        supervisor.create(Entry.from_json(await request.json()))
        return JSONResponse({})

    async def set_traffic(request: Request) -> Response:
        supervisor.set_traffic(await request.json())
        return JSONResponse({})

    async def delete(request: Request) -> Response:
        await supervisor.delete(request.path_params["name"])
        return JSONResponse({})

    async def watch(request: Request) -> Response:
        return StreamingResponse(await guard.begin(**await request.json()))

    async def unwatch(_: Request) -> Response:
        guard.end()
        return JSONResponse({})

    async def end(_: Request) -> Response:
        stop()
        return JSONResponse({})

    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, DeployError)
        return JSONResponse({"what": error.what, "where": error.where, "hint": error.hint}, REFUSED)

    return Starlette(
        routes=[
            Route("/status", status),
            Route("/measures", measures),
            Route("/mirror", mirror, methods=["PUT"]),
            Route("/compared", compared),
            Route("/settings", configure, methods=["PUT"]),
            Route("/rollout", watch, methods=["POST"]),
            Route("/rollout", unwatch, methods=["DELETE"]),
            Route("/deployments", create, methods=["POST"]),
            Route("/deployments/{name}", delete, methods=["DELETE"]),
            Route("/traffic", set_traffic, methods=["PUT"]),
            Route("/stop", end, methods=["POST"]),
        ],
        exception_handlers={DeployError: refused},
    )
