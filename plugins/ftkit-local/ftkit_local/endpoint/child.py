"""A deployment's server process as the front sees it: its start, its state, its end, and its requests in flight."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal

from ftkit.serving import server
from ftkit_local.endpoint.folder import Entry, Folder, begin_log
from ftkit_local.endpoint.wire import Wire

END = 5.0
"""Seconds a server has to end by itself."""


class Child:
    """The server process of one deployment, and its requests in flight."""

    def __init__(self, folder: Folder, entry: Entry) -> None:
        self.folder = folder
        self.entry = entry
        self.state: Literal["starting", "ready", "failed", "leaving"] = "starting"
        self.reason = "the server process is being started"
        self.engine = entry.engine
        """The engine that computes; `auto` until the server has chosen one."""
        self.process: asyncio.subprocess.Process | None = None
        self.restarts = 0
        self.requests = 0
        self.errors = 0
        self.in_flight = 0
        self.idle = asyncio.Event()
        self.idle.set()
        self.removal: asyncio.Task[None] | None = None
        self.supervision: asyncio.Task[None] | None = None
        # Of this front's own, so that a server that outlived another front by a moment cannot be in the way.
        self.socket = f"deployments/{entry.name}/{os.getpid()}.sock"
        self.wire = Wire(self.socket, entry.request_timeout)

    @contextmanager
    def flight(self) -> Iterator[None]:
        """Count a request as in flight: the deployment is not removed before it is answered."""
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
        """The deployment's state, as the admin interface answers it."""
        return {
            "name": self.entry.name,
            "traffic": self.entry.traffic,
            "bundle_hash": self.entry.bundle_hash,
            "engine": self.engine,
            "state": self.state,
            "reason": self.reason,
            "restarts": self.restarts,
            "requests": self.requests,
            "errors": self.errors,
            "in_flight": self.in_flight,
            "pid": self.process.pid if self.process and self.process.returncode is None else None,
        }

    async def start(self) -> asyncio.subprocess.Process:
        """Start the process in a session of its own, with its output in the deployment's log."""
        self.state, self.reason = "starting", "the server process is being started"
        begin_log(self.folder.log(self.entry.name))
        for stale in (self.folder.deployments / self.entry.name).glob("*.sock"):
            stale.unlink(missing_ok=True)
        with self.folder.log(self.entry.name).open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                *server.command(
                    f"deployments/{self.entry.name}/bundle", self.socket, self.entry.limits, self.entry.engine
                ),
                stdin=asyncio.subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=server.environment(self.entry.threads, self.folder.root.name, self.entry.name),
            )
        return self.process

    async def refresh(self) -> None:
        """Ask the server whether it is ready; one that does not listen yet is still starting."""
        try:
            status = json.loads((await self.wire.ask("GET", "/readyz", timeout=5)).content)
        except (OSError, ValueError):  # TimeoutError and ConnectionError are OSErrors
            return
        self.state, self.reason, self.engine = status["status"], status["reason"], status.get("engine", "")

    async def end(self) -> None:
        """End the process: with a signal to terminate, then to kill."""
        if not (process := self.process) or process.returncode is not None:
            return
        for kill in (process.terminate, process.kill):
            with suppress(ProcessLookupError):
                kill()
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), END)
                return
