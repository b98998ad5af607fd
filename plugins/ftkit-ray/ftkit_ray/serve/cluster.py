"""The cluster that an endpoint lives on: one that is joined by its address, or one on this machine that outlives the run."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from ftkit import files
from ftkit.errors import DeployError, StageError
from ftkit_ray import access, environment

START = 90.0
"""Seconds in which a cluster on this machine must be up."""
_lock = threading.RLock()
_joined: list[str] = []
"""The address that this process has joined, if any."""


def joined(address: str | None, begin: bool = True) -> bool:
    """Whether this process is connected to the cluster, connecting it where needed.

    Without an address, it is the cluster of this machine: started where there is none, unless `begin` is false.
    Raises: DeployError when it cannot be reached.
    """
    # Else a thread of Serve's that is left begins a Ray of its own.
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")
    import ray

    with _lock:
        own = OwnCluster(files.home() / "ray")
        target = address or (own.started() if begin else own.address())
        if not target:
            return False
        if ray.is_initialized():
            if _joined == [target]:
                return True
            ray.shutdown()
        _joined.clear()
        _connect(target, own=address is None)
        _joined.append(target)
        return True


def _connect(target: str, own: bool) -> None:
    """Raises: DeployError."""
    import ray

    try:
        address, mode = (target, "token") if own else access.admitted(target)
    except StageError as error:
        raise DeployError(error.what, error.where, error.hint.replace("run.address", "deploy.address")) from error
    os.environ |= {"RAY_AUTH_MODE": mode, "RAY_USAGE_STATS_ENABLED": "0"}
    host = address.rpartition(":")[0]
    node: dict[str, Any] = {"_node_ip_address": host} if host.startswith("127.") else {}
    try:
        environment.join(address=address, **node)
    except (ConnectionError, RuntimeError, ValueError, OSError, ray.exceptions.RayError) as error:
        raise DeployError(
            f"the Ray cluster cannot be joined: {' '.join(str(error).split())[:300]}",
            target,
            "This machine must be a node of the cluster, with the same Ray and Python: "
            "`ray start --address=HOST:PORT --num-cpus=0` makes it one.",
        ) from error


def leave() -> None:
    """Cut this process's connection to the cluster that it joined."""
    import ray

    with _lock:
        if _joined:
            ray.shutdown()
            _joined.clear()


def end() -> None:
    """End the cluster of this machine."""
    with _lock:
        leave()
        OwnCluster(files.home() / "ray").stop()


class OwnCluster:
    """A cluster of one node on this machine, that asks for Ray's token; all endpoints without an address share it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def address(self) -> str:
        """Where it listens; empty where it does not run."""
        state = self._read()
        return state.get("address", "") if state and _alive(state["pid"], state["begun"]) else ""

    def started(self) -> str:
        """Where it listens, after it was started if need be. Raises: DeployError."""
        import filelock

        self._root.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(self._root / "lock"):
            return self.address() or self._start()

    def stop(self) -> None:
        """End it with all its processes."""
        import psutil

        state = self._read()
        if not state or not _alive(state["pid"], state["begun"]):
            return
        head = psutil.Process(state["pid"])
        family = [head, *head.children(recursive=True)]
        with contextlib.suppress(ProcessLookupError):
            os.killpg(head.pid, signal.SIGTERM)
        _, left = psutil.wait_procs(family, timeout=15)
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        shutil.rmtree(state["scratch"], ignore_errors=True)
        (self._root / "cluster.json").unlink(missing_ok=True)

    def _start(self) -> str:
        import psutil

        if former := self._read():  # it ended with its machine
            shutil.rmtree(former["scratch"], ignore_errors=True)
        variables = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"}
        ray = [sys.executable, "-P", "-m", "ray.scripts.scripts"]
        # Ray's ports are open to other machines whatever its address is.
        subprocess.run([*ray, "get-auth-token", "--generate"], env=variables, capture_output=True, check=False)
        scratch = tempfile.mkdtemp(prefix="ftkit-ray-")  # short: it holds sockets, whose paths have a limit
        host, port = _loopback(), _free_port()
        command = [*ray, "start", "--head", "--block"]
        command += [f"--node-ip-address={host}", f"--port={port}", f"--temp-dir={scratch}", "--include-dashboard=false"]
        log = self._root / "cluster.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, "--disable-usage-stats", f"--ray-client-server-port={_free_port()}"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=variables,
                cwd="/",
                start_new_session=True,
            )
        deadline = time.monotonic() + START
        while b"Ray runtime started" not in log.read_bytes():
            if process.poll() is not None or time.monotonic() > deadline:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise DeployError(f"no Ray cluster could be started here: {files.tail(log, 3)}", str(log))
            time.sleep(0.1)
        begun = psutil.Process(process.pid).create_time()
        state = {"pid": process.pid, "begun": begun, "address": f"{host}:{port}", "scratch": scratch}
        files.write_json(self._root / "cluster.json", state)
        return f"{host}:{port}"

    def _read(self) -> dict[str, Any]:
        try:
            return json.loads((self._root / "cluster.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return {}


def _alive(pid: int, begun: float) -> bool:
    """Whether the process with this number is the one that began then."""
    import psutil

    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - begun) < 2 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _loopback() -> str:
    """A loopback address that Ray leaves as it is: it replaces 127.0.0.1 by the machine's own address."""
    return "127.0.0.2" if sys.platform == "linux" else "127.0.0.1"


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind((_loopback(), 0))
        return int(probe.getsockname()[1])
