"""A platform for ftkit: a command starts every trial, on another machine or on this one."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ftkit import hookimpl, runner, searching

if TYPE_CHECKING:
    from ftkit.contracts import Emit, Outcome
    from ftkit.contracts.plan import Plan


class Started:
    """An attempt of a trial behind a command, which passes standard input and output on."""

    node = killed = ""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path | None, log: Path) -> None:
        self.started = time.monotonic()
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env=environment,
                cwd=folder,
                start_new_session=True,  # Ctrl-C reaches ftkit alone, which then ends its trials
            )
        self.pid = self._process.pid

    def listen(self, inbox: searching.Inbox) -> None:
        """Put what the worker says into the inbox, and at last that it has ended."""
        assert self._process.stdout is not None
        with contextlib.suppress(ValueError):  # a line that was cut off by a kill
            for line in self._process.stdout:
                inbox.put((self, json.loads(line)))
        code = self._process.wait()
        inbox.put((self, {"kind": "exited", "error": self.killed or f"the command ended with exit code {code}"}))

    def send(self, message: Mapping[str, Any]) -> None:
        """Send the worker a message; that it is gone, the inbox tells."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()

    def kill(self, reason: str) -> None:
        """End it; a worker ends itself as well when nobody speaks to it any more."""
        assert self._process.stdin is not None
        self.killed = reason
        with contextlib.suppress(OSError):
            self._process.stdin.close()
            self._process.send_signal(signal.SIGTERM)

    def sample(self) -> None:
        """What it uses elsewhere, nobody here knows."""

    def resources(self, usage: Mapping[str, float]) -> dict[str, float]:
        """What the worker has counted itself."""
        return {"memory_peak_mb": usage["memory_peak_mb"]} if usage else {}

    def collect(self, *, model: bool) -> None:
        """The folder is shared: everything is here."""

    def release(self) -> None:
        """Nothing is left there."""


@dataclass(frozen=True, kw_only=True)
class Seedling(searching.TrialOptions):
    """Starts every trial by a command."""

    name: ClassVar[str] = "seedling"
    confirms: ClassVar[bool] = True  # it trains the repeats of `[search] confirm`
    node_retries: ClassVar[int] = 0
    command: tuple[str, ...] = ()
    """What starts a process elsewhere, such as `ssh` and a machine; the worker's own command is added to it."""
    python: str = "python"
    """The Python there, in whose environment ftkit and its plugins are."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Environment variables of the command."""
    folder: Path | None = None
    """The folder in which the command runs."""
    priority: Literal["usual", "low"] = "usual"
    """Whether the trials give way to other work on the machine of the command."""

    def run(self, plan: Plan, emit: Emit) -> Outcome:
        """Carry out the plan here, all but its trials."""
        return runner.carry_out(
            plan, emit, lambda plan, ledger, emit: searching.run_trials(plan, ledger, emit, self, self)
        )

    def start(self, job: searching.Job, log: Path, slot: int, inbox: searching.Inbox) -> searching.Attempt:
        """Start a trial, and listen to it."""
        low = ["nice", "-n", "10"] if self.priority == "low" else []
        worker = [self.python, "-P", "-m", "ftkit.searching.worker", "-"]
        attempt = Started([*low, *self.command, *worker], {**os.environ, **self.environment}, self.folder, log)
        threading.Thread(target=attempt.listen, args=(inbox,), daemon=True).start()
        attempt.send(job)
        return attempt

    def end(self, attempts: Sequence[searching.Attempt]) -> None:
        """End all trials."""
        for attempt in attempts:
            attempt.kill("the search ended")


@hookimpl
def platforms() -> list[type[Seedling]]:
    """The platforms of this plugin."""
    return [Seedling]
