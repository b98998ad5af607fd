"""The endpoint's process: an ASGI application that starts a server for each deployment, and divides requests among them.

python -m ftkit_seedling.server FOLDER OPTIONS
"""

from __future__ import annotations

import asyncio
import hmac
import http.client
import json
import random
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import uvicorn
from ftkit import files
from ftkit.serving import server as model_server
from ftkit.serving.limits import Limits
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ftkit_seedling import DEPLOYMENT

GRACE = 10.0
"""Seconds that a deployment's server has to end by itself."""

POLL = 0.02
"""Seconds between two looks at the requests in flight of a deployment that is to end."""


class RefusedError(Exception):
    """A request that cannot be answered: a status, what is wrong, and how to mend it."""

    def __init__(self, status: int, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.reply = JSONResponse({"error": what, "where": "", "hint": hint}, status)


class Connection(http.client.HTTPConnection):
    """A connection to the socket of a deployment's server."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("server", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class Deployment:
    """One bundle and the process that serves it: the program by which the promotion tests served it as well."""

    def __init__(self, name: str, folder: Path, endpoint: str, engine: str, bundle_hash: str) -> None:
        self.engine, self.bundle_hash = engine, bundle_hash
        self.traffic = self.in_flight = 0
        self._stack = ExitStack()
        self._socket = self._stack.enter_context(model_server.short_folder()) / "socket"
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                model_server.command(folder / "bundle", self._socket, Limits(), engine),
                stdin=subprocess.PIPE,  # the server ends itself when nobody holds the other end any more
                stdout=log,
                stderr=log,
                env=model_server.environment(endpoint=endpoint, deployment=name),
            )

    def status(self) -> tuple[str, str]:
        """Whether it is starting, ready or has failed, and why."""
        if (code := self._process.poll()) is not None:
            return "failed", model_server.death(code)
        with suppress(OSError, http.client.HTTPException):
            told = json.loads(self.ask("GET", "/readyz", b"", 10)[1])
            return told["status"], told["reason"]
        return "starting", "its server process is being started"

    def ask(self, method: str, path: str, body: bytes, timeout: float) -> tuple[int, bytes]:
        """Status and body of its server's answer."""
        connection = Connection(self._socket, timeout)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stack.close()


class Front:
    """The application: requests by callers, and what the deployer asks."""

    def __init__(self, folder: Path, options: Mapping[str, Any]) -> None:
        self.folder, self.options = folder, options
        self.deployments: dict[str, Deployment] = {}
        self.server: uvicorn.Server | None = None
        self._key = (folder / "key").read_text(encoding="ascii")

    def application(self) -> Starlette:
        """Its routes; without the key, none of them answers."""
        routes = {
            ("POST", "/score"): self.score,
            ("GET", "/deployments"): self.status,
            ("PUT", "/deployments/{name}"): self.create,
            ("DELETE", "/deployments/{name}"): self.delete,
            ("PUT", "/traffic"): self.set_traffic,
            ("POST", "/stop"): self.stop,
        }
        return Starlette(
            routes=[
                Route(path, self._guarded(handler), methods=[method]) for (method, path), handler in routes.items()
            ],
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[*self.options["hosts"]])],
        )

    def _guarded(self, handler: Any) -> Any:
        async def endpoint(request: Request) -> Response:
            try:
                if not hmac.compare_digest(request.headers.get("authorization", ""), f"Bearer {self._key}"):
                    raise RefusedError(401, "the key is missing or wrong", "Send it as Authorization: Bearer KEY.")
                response: Response = await handler(request)
            except RefusedError as refused:
                response = refused.reply
            response.headers.update(self.options["headers"])
            return response

        return endpoint

    async def score(self, request: Request) -> Response:
        """Send a request on to the deployment that it names, or to one by the shares of the traffic."""
        body = await request.body()
        name = request.headers.get(DEPLOYMENT) or self._drawn()
        if name not in self.deployments:
            raise RefusedError(404, f"there is no deployment {name!r}")
        deployment = self.deployments[name]
        deployment.in_flight += 1
        try:
            timeout = self.options["timeout"]
            status, answer = await run_in_threadpool(deployment.ask, "POST", "/score", body, timeout)
        except (OSError, http.client.HTTPException) as error:
            raise RefusedError(503, f"the deployment {name!r} does not answer: {error}", "See its log.") from error
        finally:
            deployment.in_flight -= 1
        return Response(answer, status, {DEPLOYMENT: name}, "application/json")

    async def status(self, request: Request) -> Response:
        """Every deployment, by its name."""
        table = {}
        for name, each in [*self.deployments.items()]:
            state, reason = await run_in_threadpool(each.status)
            facts = {"traffic": each.traffic, "bundle_hash": each.bundle_hash, "engine": each.engine}
            table[name] = {"state": state, "reason": reason, **facts}
        return JSONResponse(table)

    async def create(self, request: Request) -> Response:
        """Start a deployment, whose bundle is in its folder."""
        name, options = request.path_params["name"], await request.json()
        if name in self.deployments:
            raise RefusedError(409, f"there is a deployment {name!r} already", "Choose another name.")
        folder = self.folder / "deployments" / name
        self.deployments[name] = Deployment(name, folder, self.options["endpoint"], **options)
        return JSONResponse({})

    async def delete(self, request: Request) -> Response:
        """End a deployment once its requests in flight are answered."""
        name = request.path_params["name"]
        deployment = self.deployments.get(name)
        if deployment is not None:
            if deployment.traffic:
                raise RefusedError(409, f"the deployment {name!r} has traffic", "Give it to another one first.")
            del self.deployments[name]
            while deployment.in_flight:
                await asyncio.sleep(POLL)
            await run_in_threadpool(deployment.close)
        return JSONResponse({})

    async def set_traffic(self, request: Request) -> Response:
        """Change the shares of all deployments."""
        shares = await request.json()
        if unknown := {*shares} - {*self.deployments}:
            raise RefusedError(404, f"there is no deployment {min(unknown)!r}")
        if shares and (sum(shares.values()) != 100 or min(shares.values()) < 0):
            raise RefusedError(422, "the shares must be percentages that add up to 100")
        for name, deployment in self.deployments.items():
            deployment.traffic = shares.get(name, 0)
        return JSONResponse({})

    async def stop(self, request: Request) -> Response:
        """End, with all deployments."""
        assert self.server is not None
        self.server.should_exit = True
        return JSONResponse({})

    def _drawn(self) -> str:
        """The deployment of the next request. Raises: RefusedError."""
        shares = {name: each.traffic for name, each in self.deployments.items() if each.traffic}
        if not shares:
            raise RefusedError(503, "no deployment has traffic", "Deploy a model.")
        return random.choices([*shares], [*shares.values()])[0]


def main(folder: Path, options: Mapping[str, Any]) -> None:
    """Listen, and answer until it is stopped."""
    front = Front(folder, options)
    listening = socket.create_server(("127.0.0.1", options["port"]))
    config = uvicorn.Config(front.application(), log_level=options["level"], access_log=options["access_log"])
    front.server = uvicorn.Server(config)
    address = folder / "address"
    files.write_text(address, f"http://127.0.0.1:{listening.getsockname()[1]}")  # whole, for those who wait for it
    try:
        front.server.run(sockets=[listening])
    finally:
        for deployment in front.deployments.values():
            deployment.close()
        address.unlink(missing_ok=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
