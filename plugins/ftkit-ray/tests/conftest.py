"""A Ray cluster on this machine for the tests of a module: a head without cores, and two nodes of one core.

The first node says that it has GPUs, which nothing looks for.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock
import psutil
import pytest

HOLDER = """
import os, sys
from ray._private.utils import get_ray_address_file
from ray.cluster_utils import Cluster

os.makedirs(os.path.dirname(get_ray_address_file(None)), exist_ok=True)  # Ray writes to it before it makes it
common = {
    "object_store_memory": 150 << 20, "node_ip_address": "127.0.0.2", "include_dashboard": False, "temp_dir": sys.argv[1],
}
# A node that is killed is missed after two seconds, not after fifteen.
quick = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 400, "health_check_failure_threshold": 5}
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "_system_config": quick, **common})
nodes = {"first": cluster.add_node(num_cpus=1, num_gpus=2, node_name="first", **common)}
nodes["second"] = cluster.add_node(num_cpus=1, node_name="second", **common)
print(cluster.address, flush=True)
for line in sys.stdin:
    word, name = line.split()
    if word == "kill":
        cluster.remove_node(nodes.pop(name), allow_graceful=False)
    else:
        nodes[name] = cluster.add_node(num_cpus=1, node_name=name, **common)
    print("done", flush=True)
cluster.shutdown()
"""


class RayCluster:
    """A cluster in a process of its own, which ends with its standard input."""

    def __init__(self, scratch: str, token: str) -> None:
        self.token = token
        mode = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token, "RAY_USAGE_STATS_ENABLED": "0"}
        with Path(scratch, "holder.txt").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", HOLDER, scratch],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **mode},
                text=True,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().strip()
        assert self.address, Path(scratch, "holder.txt").read_text()

    def order(self, command: str) -> None:
        """`kill NODE` or `add NODE`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"

    def close(self) -> None:
        family = psutil.Process(self._process.pid).children(recursive=True)
        self._process.communicate(timeout=60)
        for process in family:
            with contextlib.suppress(psutil.Error):
                process.kill()


@pytest.fixture(scope="session")
def one_ray_at_a_time(tmp_path_factory: pytest.TempPathFactory) -> filelock.FileLock:
    """Held by whoever runs a Ray: the processes that pytest-xdist starts share the cores."""
    root = tmp_path_factory.getbasetemp()
    return filelock.FileLock((root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "ray.lock")


@pytest.fixture(scope="module")
def ray_cluster(one_ray_at_a_time: filelock.FileLock) -> Iterator[RayCluster]:
    scratch = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # pytest's own folders are too long for sockets
    with one_ray_at_a_time:
        cluster = RayCluster(scratch, secrets.token_hex(16))
        try:
            yield cluster
        finally:
            cluster.close()
            shutil.rmtree(scratch, ignore_errors=True)


@pytest.fixture(scope="session")
def ray_eventually() -> Callable[[Callable[[], bool], str], None]:
    """Waits until a condition holds."""

    def wait(condition: Callable[[], bool], otherwise: str) -> None:
        ends = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < ends, otherwise
            time.sleep(0.05)

    return wait
