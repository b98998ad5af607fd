"""Watches over the rollout to an endpoint: one at a time, and undone when the client that carries it out is gone.

The client holds a connection open for as long as its rollout lasts. When it breaks off, the traffic is put back as it was, and the new
deployment is removed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

from ftkit.errors import DeployError
from ftkit.stages.shares import scaled
from ftkit_local.endpoint.supervisor import Supervisor

log = logging.getLogger("ftkit.front")


class Guard:
    """The rollout that is under way, if there is one."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._deployment = ""
        """The deployment that is being rolled out; empty while none is."""
        self._client = 0
        self._undoing: asyncio.Task[None] | None = None

    async def begin(self, deployment: str, client: int) -> AsyncIterator[bytes]:
        """Begin to watch; the client, a process, reads from this for as long as it lives. Raises: DeployError."""
        if self._undoing is not None:
            await asyncio.wait([self._undoing])
        if self._deployment:
            raise DeployError(
                f"a rollout of {self._deployment!r} to this endpoint is under way, by process {self._client}",
                deployment,
                "Wait until it has ended, and give the command again.",
            )
        self._deployment, self._client = deployment, client
        state = self._supervisor.state
        return self._watch(deployment, {each.name: each.traffic for each in state.deployments if each.traffic})

    def end(self) -> None:
        """The client has ended the rollout by itself."""
        self._deployment = ""

    async def _watch(self, deployment: str, before: dict[str, int]) -> AsyncIterator[bytes]:
        try:
            yield b"watching\n"
            await asyncio.Event().wait()
        finally:  # the connection has ended
            if self._deployment == deployment:
                self._undoing = asyncio.create_task(self._undo(deployment, before))

    async def _undo(self, deployment: str, before: dict[str, int]) -> None:
        log.error("%s: the process that rolled it out is gone", deployment)
        try:
            others = {name: share for name, share in before.items() if name != deployment}
            if before.get(deployment) != 100 and deployment in self._supervisor.servers:
                self._supervisor.set_traffic(scaled(others, 100))
                await self._supervisor.delete(deployment)
        except DeployError as error:
            log.error("%s: its rollout could not be undone: %s", deployment, error.what)
        finally:
            self._deployment, self._undoing = "", None
