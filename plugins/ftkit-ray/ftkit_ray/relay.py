"""What runs on a node for each attempt of a trial: an actor that starts the trial's process there and passes on what it says.

A crash of the training costs its process alone, not the actor. When the actor is gone, the process sees its socket close and ends itself.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.searching.attempts import Inbox, Job
from ftkit.searching.process import Surroundings, TrialProcess
from ftkit.stages.checkpoints import FOLDER as CHECKPOINTS
from ftkit.stages.trial import LOG

if TYPE_CHECKING:
    from ftkit_ray.options import RayOptions

PART = 2**25
"""Bytes of a file that are sent at a time."""


class Relay:
    """One attempt of one trial on this node."""

    def __init__(self) -> None:
        self._process: TrialProcess | None = None
        self._folder: Path | None = None
        self._checkpoints: Path | None = None
        self._ended = False
        """Whether the trial has ended for good, so that nothing goes on from its checkpoints."""

    def node(self) -> str:
        """Identifier of the node that this actor was placed on."""
        import ray

        return ray.get_runtime_context().get_node_id()

    def run(
        self, job: Job, data: str, checkpoints: str, threads: int, platform: RayOptions
    ) -> Iterator[dict[str, Any]]:
        """All messages of the attempt until it has ended.

        `data` is the folder of the run's data on this node, `checkpoints` that of the trial's checkpoints or empty. Raises: OSError.
        """
        from ftkit.encoders.process_environment import process_environment
        from ftkit.runs.ledger import Ledger

        with contextlib.suppress(
            OSError
        ):  # where memory runs out, the system shall kill the training, which can be tried again
            Path("/proc/self/oom_score_adj").write_text("0", encoding="ascii")
        self._folder = Path(data) / f"{job['number']:03d}-{job['attempt']}"
        run = self._folder / Path(job["run"]).name
        run.mkdir(parents=True)
        for name in ("data", "cache"):
            (run / name).symlink_to(Path(data) / name)
        log = Ledger(run).trial_folder(job["number"]) / LOG
        if checkpoints:
            self._checkpoints = Path(checkpoints)
            self._checkpoints.mkdir(parents=True, exist_ok=True)
            log.parent.mkdir(parents=True)
            (log.parent / CHECKPOINTS).symlink_to(self._checkpoints)
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "") if platform.gpus else ""
        devices = tuple(filter(None, visible.split(",")))
        surroundings = Surroundings(
            {**process_environment(max(1, threads // platform.processes)), **platform.environment}, devices, devices
        )
        inbox: Inbox = queue.SimpleQueue()
        self._process = process = TrialProcess({**job, "run": str(run)}, log, surroundings, inbox)
        yield {"kind": "started", "pid": process.pid}
        usage: Mapping[str, float] = {}
        next_sample = time.monotonic() + platform.sample_seconds
        with log.open("rb") as output:
            while True:
                message: dict[str, Any] = {"kind": "sample"}
                with contextlib.suppress(queue.Empty):
                    message = dict(inbox.get(timeout=max(0.0, next_sample - time.monotonic()))[1])
                if text := output.read():
                    yield {"kind": "log", "text": text}
                if message["kind"] == "sample":
                    next_sample = time.monotonic() + platform.sample_seconds
                    yield {"kind": "sample", "sample": process.sample()}
                elif message["kind"] == "exited":
                    yield {**message, "resources": process.resources(usage)}
                    return
                else:
                    usage = message.get("usage", usage)
                    self._ended = message["kind"] in ("finished", "stopped")
                    yield message

    def send(self, message: Mapping[str, Any]) -> None:
        """Send the trial's process a message."""
        if self._process is not None:
            self._process.send(message)

    def kill(self, reason: str) -> None:
        """End the trial's process at once."""
        if self._process is not None:
            self._process.kill(reason)

    def end(self, patience: float) -> None:
        """End the trial's process: by SIGTERM, and by SIGKILL if it still runs after so many seconds."""
        if self._process is not None:
            self._process.terminate()
            self._process.end(patience)

    def files(self, *, model: bool) -> Iterator[tuple[str, bytes]]:
        """What the trial has left besides its log, file by file in parts; its model only if asked for. Raises: OSError."""
        assert self._process is not None
        folder = self._process.log.parent
        paths = [path for path in folder.iterdir() if path.is_file() and path.name != LOG]
        for path in sorted(paths) + (sorted((folder / "model").rglob("*")) if model else []):
            if not path.is_file():
                continue
            with path.open("rb") as file:
                name = path.relative_to(folder).as_posix()
                yield name, file.read(PART)
                while part := file.read(PART):
                    yield name, part

    def leave(self) -> None:
        """Remove the attempt's files, and end the actor."""
        import ray

        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        if self._checkpoints is not None and self._ended:
            shutil.rmtree(self._checkpoints, ignore_errors=True)
        ray.actor.exit_actor()
