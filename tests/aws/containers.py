"""Containers of production variants: processes that run ftkit's program for SageMaker on an unpacked model.tar.gz."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import requests

PATIENCE = 60.0


class Container:
    """What SageMaker starts on a machine, without its image: the program, the model's folder and the variables."""

    def __init__(self, folder: Path, model: bytes, variables: Mapping[str, str]) -> None:
        self.folder = folder
        self.log = folder / "log.txt"
        self.shown = 0
        """Lines of the log that CloudWatch has."""
        with tarfile.open(fileobj=io.BytesIO(model)) as archive:
            archive.extractall(folder / "model", filter="data")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.port = taken.getsockname()[1]
        places = {"SM_MODEL_DIR": str(folder / "model"), "SAGEMAKER_BIND_TO_PORT": str(self.port)}
        aws = ("AWS_", "PYTEST_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(aws)}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ftkit_sagemaker.serve", "serve"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**inherited, "PYTHONUNBUFFERED": "1", **variables, **places},
            )
        self._lock = threading.Condition()
        self._in_flight = 0
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=32))

    def answers_ping(self) -> bool:
        """Whether it is ready; waits until it is, or has ended."""
        ends = time.monotonic() + PATIENCE
        while self._process.poll() is None and time.monotonic() < ends:
            try:
                if self._session.get(f"http://127.0.0.1:{self.port}/ping", timeout=2).status_code == 200:
                    return True
            except requests.RequestException:
                pass
            time.sleep(0.02)
        return False

    def begin(self) -> None:
        """Count a request that is about to be sent; it is not stopped before the answer."""
        with self._lock:
            self._in_flight += 1

    def invoke(self, body: bytes, headers: Mapping[str, str]) -> requests.Response:
        """Send a request that was counted."""
        try:
            address = f"http://127.0.0.1:{self.port}/invocations"
            return self._session.post(address, body, headers=dict(headers), timeout=60)
        finally:
            with self._lock:
                self._in_flight -= 1
                self._lock.notify_all()

    def stop(self) -> None:
        """End the process once its requests are answered."""
        with self._lock:
            self._lock.wait_for(lambda: not self._in_flight, timeout=30)
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._session.close()
