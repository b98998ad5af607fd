"""One SQLite registry and one MLflow server for all tests of a process; each test names a model of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from ftkit.bundle.bundle import Bundle
from ftkit.testing.bundles import toy_bundle


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a SQLite file whose tables are made once, which takes a second."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real MLflow server, started by the first test that asks for one."""
    folder = tmp_path_factory.mktemp("server")
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += [
        "--backend-store-uri",
        f"sqlite:///{folder / 'server.db'}",
        "--artifacts-destination",
        str(folder / "artifacts"),
    ]
    with started(command, folder / "log") as process:
        wait_until_it_answers(f"http://127.0.0.1:{port}/health", process, folder / "log")
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def helpers() -> SimpleNamespace:
    """Functions that start processes and wait for them."""
    return SimpleNamespace(free_port=free_port, started=started, wait_until_it_answers=wait_until_it_answers)


@pytest.fixture
def model() -> str:
    """A model name that no other test uses."""
    return f"reviews-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """A bundle to register."""
    return toy_bundle(tmp_path / "kit" / "bundle")


def free_port() -> int:
    """A free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(command: list[str], log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process and its children, ended when the block ends."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdout=file,
            stderr=file,
            start_new_session=True,
            cwd=log.parent,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "OMP_NUM_THREADS": "1", **environment},
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)


def wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 120) -> None:
    """Return as soon as the address answers; fail with the log when the process ends or time is up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"{url} does not answer:\n{log.read_text(errors='replace')[-3000:]}")
