"""Starts the deployments' servers, watches them, restarts those that die, and drains those that are to go."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, Literal

import httpx2

from ftkit.encoders.environment import process_environment
from ftkit.errors import DeployError
from ftkit_local.endpoint.folder import Entry, Folder, State, begin_log
from ftkit_local.endpoint.traffic import RoundRobin

log = logging.getLogger("ftkit.front")

BACK_OFF = (0.1, 0.5, 1, 2, 5, 10, 30)
"""Seconds before a server that died is started again, by how often it has died lately."""
STEADY = 60.0
"""Seconds of health after which earlier deaths are forgotten."""
END = 5.0
"""Seconds a server has to end by itself."""


class Server:
    """The server process of one deployment, and the requests it has in hand."""

    def __init__(self, folder: Folder, entry: Entry) -> None:
        self.folder = folder
        self.entry = entry
        self.state: Literal["starting", "ready", "failed", "leaving"] = "starting"
        self.reason = "the server process is being started"
        self.process: asyncio.subprocess.Process | None = None
        self.restarts = 0
        self.requests = 0
        self.errors = 0
        self.in_flight = 0
        self.idle = asyncio.Event()
        self.idle.set()
        self.leaving: asyncio.Task[None] | None = None
        self.watching: asyncio.Task[None] | None = None
        # Of this front's own, so that a server that outlived another front by a moment cannot be in the way.
        self.socket = f"deployments/{entry.name}/{os.getpid()}.sock"
        self.client = httpx2.AsyncClient(
            transport=httpx2.AsyncHTTPTransport(
                uds=self.socket,
                verify=False,
                limits=httpx2.Limits(max_connections=None, max_keepalive_connections=256, keepalive_expiry=3600),
            ),
            base_url="http://deployment",
            timeout=httpx2.Timeout(entry.request_timeout, connect=10),
        )

    @contextmanager
    def flight(self) -> Iterator[None]:
        """A request in hand: the deployment does not go before it is answered."""
        self.in_flight += 1
        self.requests += 1
        self.idle.clear()
        try:
            yield
        finally:
            self.in_flight -= 1
            if not self.in_flight:
                self.idle.set()

    def describe(self) -> dict[str, Any]:
        """How the deployment is doing, as the admin interface says it."""
        return {
            "name": self.entry.name,
            "traffic": self.entry.traffic,
            "bundle_hash": self.entry.bundle_hash,
            "state": self.state,
            "reason": self.reason,
            "restarts": self.restarts,
            "requests": self.requests,
            "errors": self.errors,
            "in_flight": self.in_flight,
            "pid": self.process.pid if self.process and self.process.returncode is None else None,
        }

    async def start(self) -> asyncio.subprocess.Process:
        """Start the process: a session of its own, output to the deployment's log, input from this process alone."""
        self.state, self.reason = "starting", "the server process is being started"
        begin_log(self.folder.log(self.entry.name))
        for stale in (self.folder.deployments / self.entry.name).glob("*.sock"):
            stale.unlink(missing_ok=True)
        with self.folder.log(self.entry.name).open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-P", "-m", "ftkit_local.endpoint.server"),
                f"deployments/{self.entry.name}/bundle",
                self.socket,
                json.dumps(dict(self.entry.limits)),
                stdin=asyncio.subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=_environment(self.entry.threads),
            )
        return self.process

    async def look(self) -> None:
        """Ask the server whether it is ready; one that does not listen yet is still starting."""
        try:
            answer = await self.client.get("/readyz", timeout=5)
            said = answer.json()
        except (httpx2.TransportError, ValueError):
            return
        self.state, self.reason = said["status"], said["reason"]

    async def end(self) -> None:
        """End the process, gently at first."""
        if not (process := self.process) or process.returncode is not None:
            return
        for kill in (process.terminate, process.kill):
            with suppress(ProcessLookupError):
                kill()
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), END)
                return


class Supervisor:
    """The deployments of one endpoint: what they are meant to be is kept on disk, what they are is watched."""

    def __init__(self, folder: Folder, state: State) -> None:
        self.folder = folder
        self.state = state
        self.servers: dict[str, Server] = {}
        self._turns = RoundRobin()

    def start(self) -> None:
        """Bring up every deployment that is meant to be there."""
        for entry in self.state.deployments:
            self._add(entry)

    def choose(self, tried: set[str]) -> Server | None:
        """The deployment whose turn it is among those that are ready and were not tried for this request."""
        name = self._turns.pick(
            {
                name: server.entry.traffic
                for name, server in self.servers.items()
                if server.state == "ready" and name not in tried
            }
        )
        return self.servers[name] if name else None

    def create(self, entry: Entry) -> None:
        """Begin a deployment. Raises: DeployError when there is one of this name."""
        if entry.name in self.servers:
            raise DeployError(f"there is a deployment {entry.name!r} already", mend="Choose another name.")
        self._keep(replace(self.state, deployments=(*self.state.deployments, entry)))
        self._add(entry)

    def set_traffic(self, shares: Mapping[str, int]) -> None:
        """Share out the traffic, at once. Raises: DeployError, with nothing changed."""
        for name, share in shares.items():
            self._server(name)
            if not isinstance(share, int) or not 0 <= share <= 100:
                raise DeployError(f"the share of {name!r} is {share!r}", mend="Shares are whole numbers from 0 to 100.")
        if shares and sum(shares.values()) != 100:
            raise DeployError(
                f"the shares sum to {sum(shares.values())}",
                mend="Shares are percentages that sum to 100, or none at all.",
            )
        entries = tuple(replace(each, traffic=shares.get(each.name, 0)) for each in self.state.deployments)
        self._keep(replace(self.state, deployments=entries))
        for entry in entries:
            self.servers[entry.name].entry = entry
        self._turns.reset()
        log.info("traffic: %s", {name: share for name, share in shares.items() if share} or "none")

    async def delete(self, name: str) -> None:
        """Remove a deployment once its requests are answered. Raises: DeployError while it has traffic."""
        if not (server := self.servers.get(name)):
            return
        if server.entry.traffic:
            raise DeployError(
                f"the deployment {name!r} has {server.entry.traffic} % of the traffic",
                mend="Give its share to others first.",
            )
        server.leaving = server.leaving or asyncio.create_task(self._leave(server))
        await asyncio.shield(server.leaving)

    async def close(self) -> None:
        """End every server; what the endpoint is meant to be stays as it is."""
        await asyncio.gather(*(self._stop(server) for server in self.servers.values()))

    def _server(self, name: str) -> Server:
        server = self.servers.get(name)
        if not server or server.state == "leaving":
            there = ", ".join(self.servers) or "none"
            raise DeployError(f"there is no deployment {name!r}", mend=f"Deployments: {there}.")
        return server

    def _keep(self, state: State) -> None:
        try:
            self.folder.write(state)
        except OSError as error:
            raise DeployError(
                f"the endpoint's state cannot be written: {error.strerror}; nothing was changed",
                str(self.folder.state),
                "Make room on the disk or mend the folder's permissions.",
            ) from error
        self.state = state

    def _add(self, entry: Entry) -> None:
        server = self.servers[entry.name] = Server(self.folder, entry)
        server.watching = asyncio.create_task(self._watch(server))

    async def _leave(self, server: Server) -> None:
        name = server.entry.name
        await self._unwatch(server)
        server.state, server.reason = "leaving", "it is being removed"
        log.info("%s: draining %d requests", name, server.in_flight)
        with suppress(TimeoutError):
            await asyncio.wait_for(server.idle.wait(), server.entry.request_timeout + 1)
        await self._stop(server)
        self.state = self.state.without(name)
        del self.servers[name]
        self.folder.write(self.state)
        await asyncio.to_thread(self.folder.drop, name)
        log.info("%s: removed", name)

    async def _stop(self, server: Server) -> None:
        await self._unwatch(server)
        await server.end()
        await server.client.aclose()

    async def _unwatch(self, server: Server) -> None:
        if server.watching:
            server.watching.cancel()
            await asyncio.wait([server.watching])

    async def _watch(self, server: Server) -> None:
        """Keep one deployment's server alive; a deployment that was never ready is not tried twice."""
        name = server.entry.name
        deaths = 0
        while True:
            begun = time.monotonic()
            try:
                await self._live(server)
            except OSError as error:
                server.reason = f"its server process cannot be started: {error}"
            if not server.entry.proven:
                server.state = "failed"
                log.error("%s: failed: %s", name, server.reason)
                return
            deaths = 0 if time.monotonic() - begun > STEADY else deaths
            wait = BACK_OFF[min(deaths, len(BACK_OFF) - 1)]
            deaths += 1
            server.restarts += 1
            server.reason += f"; it is being restarted (attempt {server.restarts})"
            log.error("%s: %s, in %g s", name, server.reason, wait)
            await asyncio.sleep(wait)

    async def _live(self, server: Server) -> None:
        """One life of a server, from its start to its end; `server.reason` says why it ended."""
        process = await server.start()
        dead = asyncio.create_task(process.wait())
        try:
            pause = 0.02
            while server.state != "ready" and not dead.done():
                await asyncio.wait([dead], timeout=pause)
                pause = min(pause * 1.3, 0.2)
                await server.look()
                if server.state == "failed":
                    await server.end()
                    return
            if server.state == "ready" and not dead.done():
                log.info("%s: ready", server.entry.name)
                self._prove(server)
            code = await dead
        finally:
            dead.cancel()
        server.state, server.reason = "starting", _death(code)

    def _prove(self, server: Server) -> None:
        """Remember that this deployment has worked, so that it is restarted from now on."""
        if server.entry.proven:
            return
        server.entry = replace(server.entry, proven=True)
        entries = (server.entry if each.name == server.entry.name else each for each in self.state.deployments)
        with suppress(DeployError):  # not remembered is no reason to stop serving
            self._keep(replace(self.state, deployments=tuple(entries)))


def _environment(threads: int) -> dict[str, str]:
    """The environment of a server: threads and allocator set, no connection to any hub, every line logged at once."""
    return {
        **os.environ,
        **process_environment(threads),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": str(threads),
        "PYTHONFAULTHANDLER": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _death(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"its server process ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    memory = ", as the system does when memory runs out" if -code == signal.SIGKILL else ""
    return f"its server process was killed by {name}{memory}"
