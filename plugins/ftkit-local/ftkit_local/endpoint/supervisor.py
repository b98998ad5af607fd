"""Starts the deployments' servers, restarts those that die, and drains those that are to be removed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from ftkit.errors import DeployError
from ftkit.serving.server import death
from ftkit.serving.traffic import RoundRobin, stay
from ftkit_local.endpoint.child import Child
from ftkit_local.endpoint.copies import Copies
from ftkit_local.endpoint.folder import Entry, Folder, State

log = logging.getLogger("ftkit.front")

BACK_OFF = (0.1, 0.5, 1, 2, 5, 10, 30)
"""Seconds before a server that died is started again, by how often it has died lately."""
STEADY = 60.0
"""Seconds of health after which earlier deaths are forgotten."""
LOOK = 1.0
"""Seconds between two looks at a server; one that has requests and is silent for so long is asked whether it still answers."""


class Supervisor:
    """The deployments of one endpoint: on disk as they are meant to be, and their servers as they are."""

    def __init__(self, folder: Folder, state: State) -> None:
        self.folder = folder
        self.state = state
        self.servers: dict[str, Child] = {}
        self._traffic = RoundRobin()
        self.copies: Copies | None = None
        """The copies that the latest deployment to get some was sent."""

    def start(self) -> None:
        """Bring up every deployment that is meant to be there."""
        for entry in self.state.deployments:
            self._add(entry)

    def choose(self, tried: set[str], caller: str = "") -> Child | None:
        """The deployment whose turn it is, or that this caller stays with, among those that were not tried for this request.

        One that hangs or is being restarted has no turn while another can answer: one with a share of the traffic, or else one that has had
        a share before.
        """
        untried = {name: server for name, server in self.servers.items() if name not in tried}
        able = {name: server.entry.traffic for name, server in untried.items() if server.state == "ready"}
        if not any(able.values()):
            able = {name: int(untried[name].served) for name in able if self._has_traffic}
        if not any(able.values()):
            able = {name: server.entry.traffic for name, server in untried.items() if server.state == "hanging"}
        name = stay(caller, able) if caller else self._traffic.pick(able)
        return self.servers[name] if name else None

    @property
    def _has_traffic(self) -> bool:
        return any(server.entry.traffic for server in self.servers.values())

    def mirror_to(self, name: str | None, percent: int) -> None:
        """Begin to send copies of the traffic to a deployment, or end it. Raises: DeployError."""
        if self.copies:
            self.copies.end()
        if name is not None:
            self.copies = Copies(self._server(name), percent)

    def configure(self, sticky: str, probe_timeout: float) -> None:
        """Change how the traffic is passed on. Raises: DeployError."""
        self._write(replace(self.state, sticky=sticky, probe_timeout=probe_timeout))

    def create(self, entry: Entry) -> None:
        """Begin a deployment. Raises: DeployError when there is one of this name."""
        if entry.name in self.servers:
            raise DeployError(f"there is a deployment {entry.name!r} already", hint="Choose another name.")
        self._write(replace(self.state, deployments=(*self.state.deployments, entry)))
        self._add(entry)

    def set_traffic(self, shares: Mapping[str, int]) -> None:
        """Share out the traffic, at once. Raises: DeployError, with nothing changed."""
        for name, share in shares.items():
            self._server(name)
            if not isinstance(share, int) or not 0 <= share <= 100:
                raise DeployError(f"the share of {name!r} is {share!r}", hint="Shares are whole numbers from 0 to 100.")
        if shares and sum(shares.values()) != 100:
            raise DeployError(
                f"the shares sum to {sum(shares.values())}",
                hint="Shares are percentages that sum to 100, or none at all.",
            )
        if self.copies:
            self.copies.end()
        entries = tuple(replace(each, traffic=shares.get(each.name, 0)) for each in self.state.deployments)
        self._write(replace(self.state, deployments=entries))
        for entry in entries:
            self.servers[entry.name].entry = entry
            self.servers[entry.name].served |= entry.traffic > 0
        self._traffic.reset()
        log.info("traffic: %s", {name: share for name, share in shares.items() if share} or "none")

    async def delete(self, name: str) -> None:
        """Remove a deployment once its requests are answered. Raises: DeployError while it has traffic."""
        if not (server := self.servers.get(name)):
            return
        if server.entry.traffic:
            raise DeployError(
                f"the deployment {name!r} has {server.entry.traffic} % of the traffic",
                hint="Give its share to others first.",
            )
        if self.copies and self.copies.target is server:
            self.copies.end()
        if server.removal is None or server.removal.done():  # one that is done has failed
            server.removal = asyncio.create_task(self._drain_and_remove(server))
        await asyncio.shield(server.removal)

    async def close(self) -> None:
        """End every server; what the endpoint is meant to be stays as it is."""
        await asyncio.gather(*(self._stop(server) for server in self.servers.values()))

    def _server(self, name: str) -> Child:
        server = self.servers.get(name)
        if not server or server.state == "leaving":
            names = ", ".join(self.servers) or "none"
            raise DeployError(f"there is no deployment {name!r}", hint=f"Deployments: {names}.")
        return server

    def _write(self, state: State) -> None:
        try:
            self.folder.write(state)
        except OSError as error:
            raise DeployError(
                f"the endpoint's state cannot be written: {error.strerror}; nothing was changed",
                str(self.folder.state),
                "Make room on the disk or fix the folder's permissions.",
            ) from error
        self.state = state

    def _add(self, entry: Entry) -> None:
        server = self.servers[entry.name] = Child(self.folder, entry)
        server.supervision = asyncio.create_task(self._keep_running(server))

    async def _drain_and_remove(self, server: Child) -> None:
        name = server.entry.name
        await self._stop_supervision(server)
        server.state, server.reason = "leaving", "it is being removed"
        log.info("%s: draining %d requests", name, server.in_flight)
        with suppress(TimeoutError):
            await asyncio.wait_for(server.idle.wait(), server.entry.request_timeout + 1)
        self._write(self.state.without(name))
        await self._stop(server)
        del self.servers[name]
        await asyncio.to_thread(self.folder.remove, name)
        log.info("%s: removed", name)

    async def _stop(self, server: Child) -> None:
        await self._stop_supervision(server)
        await server.end()
        server.wire.close()

    async def _stop_supervision(self, server: Child) -> None:
        if server.supervision:
            server.supervision.cancel()
            await asyncio.wait([server.supervision])

    async def _keep_running(self, server: Child) -> None:
        """Keep one deployment's server alive; a deployment that was never ready is not tried twice."""
        name = server.entry.name
        deaths = 0
        while True:
            begun = time.monotonic()
            try:
                await self._run_once(server)
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

    async def _run_once(self, server: Child) -> None:
        """One life of a server, from its start to its end; `server.reason` says why it ended."""
        process = await server.start()
        dead = asyncio.create_task(process.wait())
        try:
            pause = 0.02
            while server.state != "ready" and not dead.done():
                await asyncio.wait([dead], timeout=pause)
                pause = min(pause * 1.3, 0.2)
                await server.refresh()
                if server.state == "failed":
                    await server.end()
                    return
            if server.state == "ready" and not dead.done():
                log.info("%s: ready", server.entry.name)
                self._mark_proven(server)
                await self._watch(server, dead)
            code = await dead
        finally:
            dead.cancel()
        server.state, server.reason = "starting", death(code)

    async def _watch(self, server: Child, dead: asyncio.Task[int]) -> None:
        """Ask a server that has been silent for a moment, until its process ends; one that does not answer hangs."""
        server.silent_since = time.monotonic()
        while not dead.done():
            await asyncio.wait([dead], timeout=LOOK)
            patience = self.state.probe_timeout
            silent = time.monotonic() - server.silent_since
            if dead.done() or silent < min(LOOK if server.in_flight else patience, patience):
                continue
            if await server.probe(patience):
                if server.state == "hanging":
                    server.state, server.reason = "ready", ""
                    log.warning("%s: answers again", server.entry.name)
                continue
            if server.state == "ready":
                server.state, server.reason = "hanging", f"it has not answered for {patience:g} s"
                log.error("%s: %s", server.entry.name, server.reason)
            if self.choose({server.entry.name}) is not None:  # they are sent there
                server.wire.give_up(server.reason)

    def _mark_proven(self, server: Child) -> None:
        """Remember that this deployment has worked, so that it is restarted from now on."""
        if server.entry.proven:
            return
        server.entry = replace(server.entry, proven=True)
        entries = (server.entry if each.name == server.entry.name else each for each in self.state.deployments)
        with suppress(DeployError):  # not remembered is no reason to stop serving
            self._write(replace(self.state, deployments=tuple(entries)))
