"""The seam between a search and the place where it runs: one attempt of a trial, and what starts it somewhere."""

from __future__ import annotations

import queue
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypedDict


class Job(TypedDict):
    """What a worker is told first; it crosses to other machines as JSON."""

    recipe: str
    """The recipe's own text."""
    run: str
    """The folder of the run, with its data, as the worker sees it."""
    number: int
    """Number of the trial."""
    attempt: int
    """Which attempt of the trial this is, from 1."""
    values: Mapping[str, Any]
    """The trial's values of the space."""
    seed: int
    """The trial's seed."""
    processes: int
    """Processes that train its model together: the worker starts the others."""


@dataclass(frozen=True)
class Sample:
    """What a trial uses at one time; GPU numbers are None where it has no GPU."""

    cpu_percent: float
    """100 is one core."""
    memory_mb: float
    """Megabytes of its process and those that it started."""
    gpu_percent: float | None = None
    """Of the GPUs that it was given, in the mean."""
    gpu_memory_mb: float | None = None
    """Megabytes of GPU memory."""


class PlaceLost(Exception):
    """The place where a trial ran is gone, and what it left there with it: the trial is started again."""


class Attempt(Protocol):
    """One attempt of a trial, wherever it runs.

    It puts what its worker says into the inbox, each message as (attempt, message), and as the last of all
    `{"kind": "exited", "error": …, "lost": …}`: why it ended, if it ended without a message of its own, and whether the place where it
    ran was lost. One that had to wait for its place puts `{"kind": "started"}` there first. Only what the search calls is listed here.
    """

    @property
    def node(self) -> str:
        """Name of the machine that it runs on; empty where that is this one."""

    @property
    def pid(self) -> int:
        """Process that trains, on its machine."""

    @property
    def started(self) -> float:
        """When it began to run, by `time.monotonic` of this process; infinite while it waits for its place."""

    @property
    def killed(self) -> str:
        """Why the search killed it; empty where it did not."""

    def send(self, message: Mapping[str, Any]) -> None:
        """Send the worker a message. That it is gone, the inbox tells."""

    def kill(self, reason: str) -> None:
        """End it at once, with all that it started."""

    def sample(self) -> Sample | None:
        """What it uses now, or None where nobody knows."""

    def resources(self, usage: Mapping[str, float]) -> dict[str, float]:
        """What it used in all; `usage` is what its worker counted itself."""

    def collect(self, *, model: bool) -> None:
        """Bring what a finished or stopped trial has left to its folder in the run: its probabilities and, if asked for, its model.

        Raises: PlaceLost; OSError.
        """

    def release(self) -> None:
        """Let go of what it holds where it ran; nothing is called after this."""


class Workers(Protocol):
    """Where the attempts of a search run."""

    @property
    def node_retries(self) -> int:
        """How often a trial is started again because its place was lost; this is no fault of the trial."""
        ...

    def start(self, job: Job, log: Path, slot: int, inbox: Inbox) -> Attempt:
        """Start the worker of a trial's next attempt, its output going to the end of `log`.

        `slot` is its place among the trials that run at a time, from 0. Raises: FtkitError; OSError.
        """

    def end(self, attempts: Sequence[Attempt]) -> None:
        """End all of these, which still run: the search is over."""


Inbox = queue.SimpleQueue[tuple[Attempt, Mapping[str, Any]]]
"""Messages of all attempts."""
