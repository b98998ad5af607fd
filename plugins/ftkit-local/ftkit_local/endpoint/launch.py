"""Starts an endpoint's front process, which outlives the process that starts it, and stops it."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Literal

from ftkit import files
from ftkit.errors import DeployError
from ftkit.files import tail
from ftkit_local.endpoint.client import NotRunning, ask
from ftkit_local.endpoint.folder import Folder, State, begin_log

PATIENCE = 60.0
"""Seconds for a front to answer, or to end."""


@contextmanager
def locked(folder: Folder, patience: float = 300.0) -> Iterator[None]:
    """Hold the endpoint's lock while its parts change. Raises: DeployError when another process holds it."""
    from filelock import FileLock, Timeout

    folder.make()
    try:
        with FileLock(folder.lock, timeout=patience):
            yield
    except Timeout as error:
        raise DeployError(
            f"another process has held the endpoint for {patience:g} s",
            str(folder.lock),
            "Let it finish, or end it; its lock goes with it.",
        ) from error


def is_running(folder: Folder) -> bool:
    """Whether a front lives: it holds a lock that the system releases when it dies."""
    from filelock import FileLock, Timeout

    if not folder.alive.exists():
        return False
    try:
        with FileLock(folder.alive, timeout=0):
            return False
    except Timeout:
        return True


def settled(folder: Folder) -> bool:
    """Whether a front lives, once one that is just ending has ended; call it while `locked`. Raises: DeployError."""
    _wait(lambda: not is_running(folder) or _answers(folder))
    return is_running(folder)


def start(folder: Folder, host: str, port: int, auth: Literal["key", "none"]) -> None:
    """Bring the endpoint up with all its deployments; to be called while `locked`. Raises: DeployError."""
    files.sweep(folder.root)
    state = folder.read() or State(host, 0, auth)
    listening = _listen(host, port or state.port, fallback=not port and not state.deployments)
    with listening:
        state = replace(state, host=host, port=listening.getsockname()[1], auth=auth)
        for leftover in folder.deployments.iterdir():
            if not state.named(leftover.name):
                folder.remove(leftover.name)
        folder.write(state)
        if auth == "key":
            folder.make_key()
        begin_log(folder.front_log)
        with folder.front_log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "ftkit_local.endpoint.front", str(folder.root), str(listening.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[listening.fileno()],
                start_new_session=True,
                cwd=folder.root,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"},
            )
    try:
        _wait(lambda: process.poll() is not None or _answers(folder))
    except BaseException:
        process.kill()
        process.wait()
        raise
    if process.poll() is not None:
        raise DeployError(
            f"the endpoint's front ended with exit code {process.returncode}; its log ends:\n{tail(folder.front_log, 20)}",
            str(folder.root),
        )
    process.returncode = 0  # it outlives this process on purpose: not a child to wait for


def stop(folder: Folder) -> None:
    """End the front and every server; to be called while `locked`. Raises: DeployError when it cannot be ended."""
    with suppress(DeployError):  # one that hangs is killed below
        ask(folder, "POST", "/stop")
    for number in (None, signal.SIGTERM, signal.SIGKILL):
        if number is not None:
            with suppress(FileNotFoundError, ValueError, ProcessLookupError):
                if 1 < (pid := int(folder.pid.read_text(encoding="ascii"))) < 2**31:  # others stand for many processes
                    os.kill(pid, number)
        try:
            _wait(lambda: not is_running(folder), 30 if number is None else 10)
            return
        except DeployError:
            if number == signal.SIGKILL:
                raise


def _answers(folder: Folder) -> bool:
    try:
        ask(folder, "GET", "/status", timeout=20)
    except NotRunning:
        return False
    return True


def _wait(condition: Callable[[], bool], patience: float = PATIENCE) -> None:
    ends = time.monotonic() + patience
    while not condition():
        if time.monotonic() > ends:
            raise DeployError(f"the endpoint's front did not answer or end within {patience:g} s")
        time.sleep(0.02)


def _listen(host: str, port: int, fallback: bool) -> socket.socket:
    """A listening socket; `fallback` allows another port when this one is taken. Raises: DeployError."""
    where = f"{host}:{port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise DeployError(
            f"{host!r} is no address: {error.strerror}", where, "Set host to an address of this machine."
        ) from error
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(1024)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            if fallback:
                return _listen(host, 0, fallback=False)
            raise DeployError(
                f"port {port} is taken",
                where,
                "End what listens there, or choose another port with --set deploy.port=NUMBER (0 takes a free one).",
            ) from error
        hint = {
            errno.EACCES: "Choose a port from 1024 on.",
            errno.EADDRNOTAVAIL: "Set host to an address of this machine, such as 127.0.0.1.",
        }
        raise DeployError(
            f"cannot listen: {error.strerror}", where, hint.get(error.errno or 0, "Choose another host or port.")
        ) from error
    return listening
