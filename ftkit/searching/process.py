"""One attempt of a trial as a process of its own: its start, its messages, and its end with all its children."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Inbox = queue.SimpleQueue[tuple["TrialProcess", dict[str, Any]]]
"""Messages of all processes; the last of each is `{"kind": "exited", "code": …}`."""


@dataclass(frozen=True)
class Surroundings:
    """What a trial's process may use."""

    variables: Mapping[str, str] = field(default_factory=dict)
    """Added to the environment."""
    devices: Sequence[str] | None = None
    """GPUs, as CUDA_VISIBLE_DEVICES names them; None leaves that variable alone."""

    @property
    def environment(self) -> dict[str, str]:
        environment = {**os.environ, **self.variables, "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}
        if self.devices is not None:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(self.devices)
            environment.setdefault(
                "CUDA_DEVICE_ORDER", "PCI_BUS_ID"
            )  # numbers mean the same to CUDA and to the sampler
        return environment


class TrialProcess:
    """A running worker. Two threads wait for its messages and its end, and put both into the inbox; nothing polls."""

    def __init__(self, job: Mapping[str, Any], log: Path, surroundings: Surroundings, inbox: Inbox) -> None:
        """Start it. Raises: OSError when no process can be started or the log cannot be written."""
        self.killed = ""
        """Why this process killed it; empty when it did not."""
        self.started = time.monotonic()
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        self._socket, worker_end = socket.socketpair()
        try:
            with worker_end, log.open("ab") as output:
                self._log_from = output.tell()
                self._process = subprocess.Popen(
                    # -P: what lies in the working directory must not shadow an installed module.
                    [sys.executable, "-P", "-m", "ftkit.searching.worker", str(worker_end.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=surroundings.environment,
                    pass_fds=(worker_end.fileno(),),
                    # Ctrl-C reaches the parent alone, and the whole family can be ended by its group.
                    start_new_session=True,
                )
        except BaseException:
            self._socket.close()
            raise
        self.pid = self._process.pid
        self._reader = threading.Thread(target=self._read, args=(inbox,), daemon=True)
        self._waiter = threading.Thread(target=self._wait, args=(inbox,), daemon=True)
        self._reader.start()
        self._waiter.start()
        self.send(job)

    def send(self, message: Mapping[str, Any]) -> None:
        """Send the worker a message; that it is dead, the inbox reports."""
        with contextlib.suppress(OSError):
            self._socket.sendall(json.dumps(message).encode() + b"\n")

    def kill(self, reason: str) -> None:
        """End it at once, with everything it started."""
        self.killed = self.killed or reason
        self._signal(signal.SIGKILL)

    def last_line(self) -> str:
        """The last line that this attempt wrote into its log."""
        with contextlib.suppress(OSError), self.log.open("rb") as file:
            file.seek(max(self._log_from, file.seek(0, os.SEEK_END) - 65536))
            lines = file.read().decode(errors="replace").split("\n")
            return next((line.strip() for line in reversed(lines) if line.strip()), "")
        return ""

    def _read(self, inbox: Inbox) -> None:
        with contextlib.suppress(OSError), self._socket.makefile("rb") as lines:
            for line in lines:
                with contextlib.suppress(ValueError):  # a line torn by a kill
                    inbox.put((self, json.loads(line)))

    def _wait(self, inbox: Inbox) -> None:
        code = self._process.wait()
        self._signal(signal.SIGKILL)  # children that outlived it, which may hold its end of the socket
        self._reader.join(timeout=10)
        self._socket.close()
        inbox.put((self, {"kind": "exited", "code": code}))

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def end(processes: Sequence[TrialProcess], patience: float = 5.0) -> None:
    """End processes in their order: by SIGTERM, and by SIGKILL those that still run after `patience` seconds."""
    for process in processes:
        process.killed = process.killed or "the search ended"
        process._signal(signal.SIGTERM)
    deadline = time.monotonic() + patience
    for process in processes:
        process._waiter.join(max(0.0, deadline - time.monotonic()))
        if process._waiter.is_alive():
            process.kill("the search ended")
            process._waiter.join(patience)
