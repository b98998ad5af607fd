"""One attempt of a trial as a process of its own: its start, its messages, and its end with all its children."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit import formatting
from ftkit.encoders.process_environment import process_environment
from ftkit.errors import StageError
from ftkit.searching import failures, usage
from ftkit.searching.attempts import Attempt, Inbox, Job, Sample
from ftkit.searching.usage import Meter

if TYPE_CHECKING:
    from ftkit.searching.options import ProcessOptions


@dataclass(frozen=True)
class Surroundings:
    """What a trial's process may use."""

    variables: Mapping[str, str] = field(default_factory=dict)
    """Added to the environment."""
    devices: Sequence[str] | None = None
    """GPUs, as CUDA_VISIBLE_DEVICES names them; None leaves that variable alone."""
    measured: Sequence[str] = ()
    """GPUs of which samples are taken."""

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
    """A worker on this machine, as an attempt. Two threads wait for its messages and its end; nothing polls."""

    node = ""

    def __init__(self, job: Job, log: Path, surroundings: Surroundings, inbox: Inbox) -> None:
        """Start it. Raises: OSError when no process can be started or the log cannot be written."""
        self.killed = ""
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
        self._meter = Meter(self.pid, surroundings.measured)
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

    def sample(self) -> Sample | None:
        """What the worker and its children use now."""
        return self._meter.sample()

    def resources(self, usage: Mapping[str, float]) -> dict[str, float]:
        """Means and peaks; what the worker counted itself replaces what was sampled."""
        return self._meter.resources(**usage)

    def collect(self, *, model: bool) -> None:
        """All is there already."""

    def release(self) -> None:
        """Nothing is left of a process that has ended."""

    def end(self, patience: float) -> None:
        """Wait until it has ended, and kill it after so many seconds."""
        self._waiter.join(max(0.0, patience))
        if self._waiter.is_alive():
            self.kill("the search ended")
            self._waiter.join(5.0)

    def terminate(self) -> None:
        """Ask it to end."""
        self.killed = self.killed or "the search ended"
        self._signal(signal.SIGTERM)

    def _last_line(self) -> str:
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
        inbox.put((self, {"kind": "exited", "error": failures.cause(code, self._last_line(), self.killed)}))

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


class ProcessWorkers:
    """Attempts as processes on this machine, which share its cores and GPUs evenly."""

    node_retries = 0

    def __init__(self, options: ProcessOptions, at_a_time: int, patience: float = 5.0) -> None:
        """`at_a_time` attempts at most run at the same time: it decides what each may use.

        `patience` is how many seconds they may take to end when the search is over.
        """
        self._patience = patience
        devices = usage.gpus() if options.devices is None else options.devices
        self._devices = usage.deal(devices, at_a_time)
        if shortest := min(map(len, self._devices)):
            check_devices(shortest, options.processes)
        self._choose_devices = options.devices is not None or len(devices) > 1
        cores = options.threads or max(1, usage.cores() // at_a_time)
        self._variables = process_environment(max(1, cores // options.processes))

    def start(self, job: Job, log: Path, slot: int, inbox: Inbox) -> TrialProcess:
        """Start the process of an attempt. Raises: OSError."""
        devices = self._devices[slot]
        visible = devices if self._choose_devices else None
        return TrialProcess(job, log, Surroundings(self._variables, visible, devices), inbox)

    def end(self, attempts: Sequence[Attempt]) -> None:
        """End processes in their order: by SIGTERM, and by SIGKILL those that still run when patience is at its end."""
        processes = [attempt for attempt in attempts if isinstance(attempt, TrialProcess)]
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + self._patience
        for process in processes:
            process.end(deadline - time.monotonic())


def check_devices(devices: int, processes: int) -> None:
    """Raises: StageError where a trial has GPUs, but not one for each of its processes."""
    if devices < processes and processes > 1:
        raise StageError(
            f"a trial of {processes} processes needs as many GPUs, and gets {formatting.count(devices, 'GPU')}",
            where="run.processes",
            hint="Lower run.processes or search.concurrency, or set run.devices = [] to train on the cores.",
        )
