"""The processes that train one trial together on a machine: each learns when another has ended, and waits for none in vain.

The service starts the same script several times. The first process listens on a socket and the others connect to it. The socket is an
abstract one of Linux: it leaves no file behind, and its connections end with a process however that ends.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import NoReturn

from ftkit import formatting, hardware
from ftkit.errors import ExitCode, StageError
from ftkit.searching import usage

PATIENCE = 10.0
"""Seconds in which a process should notice by itself that another is gone, before it is ended."""


def count() -> int:
    """How many processes the service has started for this job, this one included."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def share_machine() -> None:
    """Let the processes share the cores and find each other; before torch is imported."""
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, hardware.cores() // count())))
    if sys.platform == "linux":  # gloo looks for the host's own address, which a container may not know
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")


def check_gpus() -> None:
    """Raises: StageError where the machine has GPUs, but not one for each of the processes."""
    if 0 < (gpus := len(usage.gpus())) < count():
        raise StageError(
            f"a trial of {count()} processes needs as many GPUs, and the machine has {formatting.count(gpus, 'GPU')}",
            where="run.processes",
            hint="Lower run.processes, or name a cluster with larger machines as run.gpu_cluster.",
        )


class First:
    """The first process, which reports and saves: it knows when another is gone, and tells all how it ends itself."""

    def __init__(self, give_up: Callable[[str], None]) -> None:
        """`give_up` is called with which process is gone if this one goes on nevertheless; then this process ends."""
        self._give_up = give_up
        self._over = False
        self._lost: list[str] = []
        self._connections: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(_address())
        self._listener.listen(count())
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def lost(self) -> str:
        """Which process is gone, given a moment to end: what this process meets may come of it; empty while all are there."""
        deadline = time.monotonic() + 1.0
        while not self._lost and time.monotonic() < deadline:
            time.sleep(0.05)
        return self._lost[0] if self._lost else ""

    def end(self, work: Callable[[], int]) -> NoReturn:
        """Do the work and end with its exit code, as all the others then do."""
        code = _code_of(work)
        self._over = True
        self._accepting.join(PATIENCE)
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.sendall(bytes([code]))
        _leave(code)

    def _accept(self) -> None:
        for _ in range(count() - 1):
            connection, _ = self._listener.accept()
            self._connections.append(connection)
            threading.Thread(target=self._watch, args=(connection,), daemon=True).start()

    def _watch(self, connection: socket.socket) -> None:
        rank = 0
        with contextlib.suppress(OSError):
            while received := connection.recv(2):  # its rank, and then nothing until it ends
                rank = int.from_bytes(received)
        if self._over:
            return
        self._lost.append(f"process {rank + 1} of {count()} has ended before the trial; its own log says why")
        time.sleep(PATIENCE)
        if not self._over:
            self._give_up(self._lost[0])
            _leave(int(ExitCode.STAGE))


class Follower:
    """Any other process: it ends as the first one does, and never after it."""

    def __init__(self) -> None:
        self._code: int | None = None
        self._is_connected = False
        self._first_ended = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def leave_signals_to_the_first(self) -> None:
        """At SIGTERM, go on: the first process writes a checkpoint, and then all end."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def end(self, work: Callable[[], int]) -> NoReturn:
        """Do the work and end with the exit code of the first process, or with that of the work where it gives none."""
        code = _code_of(work)
        # A failure of this process alone must not keep the first one waiting for it.
        patience = PATIENCE if code or not self._is_connected else None
        _leave(self._exit_code() if self._first_ended.wait(patience) else code)

    def _exit_code(self) -> int:
        """How the first process has ended; it says nothing where a signal ended it."""
        return int(ExitCode.TERMINATED) if self._code is None else self._code

    def _watch(self) -> None:
        connection = socket.socket(socket.AF_UNIX)
        while True:
            try:
                connection.connect(_address())
                break
            except OSError:  # it does not listen yet
                time.sleep(0.1)
        self._is_connected = True
        with contextlib.suppress(OSError):
            connection.sendall(int(os.environ["RANK"]).to_bytes(2))
            if code := connection.recv(1):
                self._code = code[0]
        self._first_ended.set()
        time.sleep(PATIENCE)
        _leave(self._exit_code())  # the training waits for the first process


def _address() -> str:
    """The socket's name: no other job on the machine has it, and no other start of this one while its processes live."""
    own = f"{os.environ.get('AZUREML_RUN_ID', '')} {os.environ['MASTER_PORT']}"
    return f"\0ftkit-{hashlib.sha256(own.encode()).hexdigest()[:32]}"


def _code_of(work: Callable[[], int]) -> int:
    try:
        return work()
    except BaseException:
        traceback.print_exc()
        return 1


def _leave(code: int) -> NoReturn:
    """End at once: the threads of torch's communication abort some processes when the interpreter ends."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
