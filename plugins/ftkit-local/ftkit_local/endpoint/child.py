"""A deployment's server process as the front sees it: its start, its state, its end, and its requests in flight."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from ftkit.contracts.measures import Measures
from ftkit.serving import live_counts, server
from ftkit.serving.http_api import COUNTS, PROBE
from ftkit.serving.live_counts import LiveCounts
from ftkit_local.endpoint.folder import SOCKET, Entry, Folder, begin_log
from ftkit_local.endpoint.wire import Wire

BUSY = "429"
"""The kind of those that were refused since too many waited, which a rollout counts as failed, and which is no error of a server."""
END = 5.0
"""Seconds a server has to end by itself."""


class Child:
    """The server process of one deployment, and its requests in flight."""

    def __init__(self, folder: Folder, entry: Entry) -> None:
        self.folder = folder
        self.entry = entry
        self.state: Literal["starting", "ready", "hanging", "failed", "leaving"] = "starting"
        self.reason = "the server process is being started"
        self.engine = entry.engine
        """The engine that computes; `auto` until the server has chosen one."""
        self.process: asyncio.subprocess.Process | None = None
        self.restarts = 0
        self.counts = LiveCounts()
        self.silent_since = time.monotonic()
        """When it answered last, or, if it had nothing to answer since, when it was asked."""
        self.served = entry.traffic > 0
        """Whether it has had a share of the traffic."""
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
        if not self.in_flight:
            self.silent_since = time.monotonic()
        self.in_flight += 1
        self.idle.clear()
        try:
            yield
        finally:
            self.in_flight -= 1
            if not self.in_flight:
                self.idle.set()

    def describe(self) -> dict[str, Any]:
        """The deployment's state, as the admin interface answers it; a request that was refused for want of room is no error."""
        return {
            "name": self.entry.name,
            "traffic": self.entry.traffic,
            "bundle_hash": self.entry.bundle_hash,
            "engine": self.engine,
            "state": self.state,
            "reason": self.reason,
            "restarts": self.restarts,
            "requests": self.counts.totals.requests,
            "errors": sum(count for kind, count in self.counts.totals.errors.items() if kind != BUSY),
            "in_flight": self.in_flight,
            "pid": self.process.pid if self.process and self.process.returncode is None else None,
        }

    async def start(self) -> asyncio.subprocess.Process:
        """Start the process in a session of its own, with its output in the deployment's log."""
        self.state, self.reason = "starting", "the server process is being started"
        begin_log(self.folder.log(self.entry.name))
        for stale in (self.folder.deployments / self.entry.name).glob("*.sock"):
            stale.unlink(missing_ok=True)
        bundle = f"deployments/{self.entry.name}/bundle"
        program = [each.replace(SOCKET, Path(self.socket).name) for each in self.entry.program]
        with self.folder.log(self.entry.name).open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                *(program or server.command(bundle, self.socket, self.entry.limits, self.entry.engine)),
                stdin=asyncio.subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=server.environment(
                    self.entry.threads, self.folder.root.name, self.entry.name, self.entry.bundle_hash
                ),
            )
        return self.process

    async def refresh(self) -> None:
        """Ask the server whether it is ready; one that does not listen yet is still starting."""
        try:
            status = json.loads((await self.wire.ask("GET", "/readyz", timeout=5)).content)
        except (OSError, ValueError):  # TimeoutError and ConnectionError are OSErrors
            return
        self.state, self.reason, self.engine = status["status"], status["reason"], status.get("engine", "")

    async def look_at(self, seconds: float = 60.0) -> dict[str, Any]:
        """What the server answered in the last seconds, and how busy it is; empty if it does not say."""
        try:
            answer = await self.wire.ask("GET", f"{COUNTS}?seconds={seconds:g}", timeout=2.0)
            return dict(json.loads(answer.content)) if answer.status == 200 else {}
        except (OSError, ValueError):
            return {}

    async def measures(self, seconds: float) -> Measures:
        """What it did over the last seconds: requests as this process saw them, and answers as its server counted them."""
        seen = self.counts.measures(seconds)
        answers = (await self.look_at(seconds)).get("lately")
        if not answers:
            return seen
        counted = live_counts.from_json(answers)
        return replace(seen, classes=counted.classes, confidence=counted.confidence, unsure=counted.unsure)

    async def probe(self, patience: float) -> bool:
        """Whether its model answers anything within so many seconds: of silence, where it has requests, or from now on."""
        begun = self.silent_since if self.in_flight else time.monotonic()
        try:
            answer = await self.wire.ask("GET", PROBE, timeout=max(begun + patience - time.monotonic(), 0.1))
        except TimeoutError:
            return self.silent_since > begun  # it has answered something else
        except OSError:  # its process is ending: that is seen elsewhere
            return True
        if answer.status < 500:
            self.silent_since = time.monotonic()
        return True

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
