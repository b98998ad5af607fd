"""The further processes of a trial of several: they train with the first one, which alone reports and saves.

Started as `python -m ftkit.searching.followers` with the worker's job on standard input. They end with the worker, and it with them.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.searching import failures

if TYPE_CHECKING:
    from ftkit.contracts.plan import Plan
    from ftkit.stages.checkpoints import TrialCheckpoints

PATIENCE = 10.0
"""Seconds in which a worker should notice by itself that a process which trains with it is gone, before it is ended."""

END_SECONDS = 60.0
"""Seconds that the further processes may take to end after the first one."""


class Followers:
    """The further processes of this worker's trial."""

    def __init__(self, job: Mapping[str, Any], lost: Callable[[str], None]) -> None:
        """Start them, and set this process's environment; `lost` is called with why one failed if this process goes on nevertheless."""
        count = job["processes"]
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "WORLD_SIZE": str(count)}
        if sys.platform == "linux":  # gloo looks for the host's own address, which a container may not know
            shared["GLOO_SOCKET_IFNAME"] = os.environ.get("GLOO_SOCKET_IFNAME", "lo")
        self.failure = ""
        """Why one of them failed; empty while none has."""
        self._count, self._lost = count, lost
        self._over = False
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-P", "-m", "ftkit.searching.followers"],
                stdin=subprocess.PIPE,
                env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            )
            for rank in range(1, count)
        ]
        os.environ.update(shared, RANK="0", LOCAL_RANK="0")
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(json.dumps(job).encode())
            process.stdin.close()
        self._threads = [
            threading.Thread(target=self._wait, args=(rank, process), daemon=True)
            for rank, process in enumerate(self._processes, 1)
        ]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Wait until they have ended, now that the training is over."""
        self._over = True
        deadline = time.monotonic() + END_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def reason(self) -> str:
        """Why one of them failed, given a moment to do so: what this process meets may come of it."""
        deadline = time.monotonic() + 1.0
        while not self.failure and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.failure

    def _wait(self, rank: int, process: subprocess.Popen[bytes]) -> None:
        code = process.wait()
        if not code or self._over:
            return
        self.failure = self.failure or f"process {rank + 1} of {self._count}: {failures.cause(code, '')}"
        time.sleep(PATIENCE)
        if not self._over:
            self._lost(self.failure)


def main() -> None:
    """Train with the first process of a trial, and end without a word."""
    from ftkit.disclosure import redact_output
    from ftkit.recipe import loader
    from ftkit.runs.ledger import Ledger
    from ftkit.stages import trial

    redact_output()
    job = json.loads(sys.stdin.read())
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)
    plan = loader.loads(job["recipe"])
    if plan.search.checkpoint:  # the first process writes the last checkpoint, and then tells this one to end
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ledger = Ledger(Path(job["run"]))
    folder = ledger.trial_folder(job["number"])
    data = ledger.data(("train", "valid"))
    trial.follow(plan, data, job["values"], job["seed"], checkpoints_of(job, plan, folder))
    sys.stderr.flush()
    os._exit(0)  # gloo's threads abort some processes when the interpreter ends


def checkpoints_of(
    job: Mapping[str, Any], plan: Plan, folder: Path, send: Callable[..., None] = lambda **_: None
) -> TrialCheckpoints | None:
    """The checkpoints of a trial, given its folder, where the recipe asks for some; what happens to them is sent."""
    if not (seconds := plan.search.checkpoint_seconds):
        return None
    from ftkit.stages import checkpoints

    return checkpoints.TrialCheckpoints(
        folder,
        checkpoints.key_of(Path(job["run"]).name, job["number"], job["values"], job["seed"]),
        seconds,
        notice=lambda text: send(kind="noticed", text=text),
        resumed=lambda history: send(kind="resumed", history=history),
    )


def _free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
