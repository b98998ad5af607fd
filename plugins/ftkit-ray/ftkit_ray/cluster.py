"""The cluster of a search: started here or joined, with nodes that have what a trial needs."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit import formatting
from ftkit.errors import StageError
from ftkit.searching import usage
from ftkit_ray import access, environment
from ftkit_ray.janitor import Janitor

if TYPE_CHECKING:
    from ftkit_ray.options import RayOptions

_LONGEST_SCRATCH = 40
"""Characters of a scratch folder below which Ray's sockets get paths that the system allows."""

MISSED_SECONDS = 20.0
"""Within this time Ray misses a node that does not answer any more, by its default settings."""


@dataclass
class Cluster:
    """Nodes that can take a trial, by identifier, and what each trial takes of them."""

    own: bool
    """Whether it was started here for this search alone."""
    cpus: int
    """Cores of each trial."""
    nodes: Mapping[str, str]
    """Names of the nodes that have what a trial needs."""
    gpus: float = 0.0
    """GPUs of all these nodes together."""
    _names: dict[str, str] = field(default_factory=dict)

    def title(self, node: str) -> str:
        """A node in a sentence."""
        return "this machine" if self.own else f"the node {self._name(node)}"

    def shown(self, node: str) -> str:
        """A node's name as the display shows it; empty where that is this machine."""
        return "" if self.own else self._name(node)

    def why(self, node: str, error: BaseException) -> tuple[str, bool]:
        """Why an attempt ended without a message, in one line, and whether its node is gone, or was never reached."""
        detail = " ".join(str(error).split())
        if "low on memory" in detail or "OUT_OF_MEMORY" in detail:
            return f"Ray ended it, since {self.title(node)} was low on memory", False
        if not node:
            return f"it got no place: {formatting.beginning(detail, 160)}", True
        ends = time.monotonic() + MISSED_SECONDS
        while time.monotonic() < ends:
            if node not in {each["NodeID"] for each in alive()}:
                return f"{self.title(node)} was lost", True
            time.sleep(0.2)
        reason = detail.partition("Worker exit detail: ")[2] or detail
        return f"its actor on {self.title(node)} ended: {formatting.beginning(reason, 160)}", False

    def _name(self, node: str) -> str:
        if node not in self.nodes and node not in self._names:  # it came later
            self._names |= {each["NodeID"]: each["NodeName"] for each in alive()}
        return self.nodes.get(node) or self._names.get(node) or node[:8]


def alive() -> list[dict[str, Any]]:
    """Ray's own description of every node that is there."""
    import ray

    return [node for node in ray.nodes() if node["Alive"]]


@contextmanager
def joined(platform: RayOptions, at_a_time: int) -> Iterator[Cluster]:
    """The cluster for as long as a search lasts, for so many trials at a time. Raises: StageError."""
    names = ("RAY_USAGE_STATS_ENABLED", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN")
    before = {name: os.environ.get(name) for name in names}
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        with _started(platform, at_a_time) if not platform.address else _attached(platform):
            yield _fit(platform, alive(), at_a_time)
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def _started(platform: RayOptions, at_a_time: int) -> Iterator[None]:
    """A Ray of the search's own on this machine; a token keeps others out of its ports, which listen on every address."""
    scratch = Path(tempfile.mkdtemp(prefix="ftkit-ray-", dir=_scratch_parent()))
    janitor = Janitor(scratch)
    os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(16))
    settings: dict[str, Any] = {
        "address": "local",
        # Without a number in the recipe, so many trials run at a time as on the platform `local`, however few the cores are.
        "num_cpus": usage.cores() if platform.cpus else max(usage.cores(), at_a_time),
        "include_dashboard": False,
        "_temp_dir": str(scratch),
    }
    if sys.platform == "linux":
        settings["_node_ip_address"] = "127.0.0.2"  # Ray replaces 127.0.0.1 by an address that others reach
    try:
        with _connected("this machine", settings):
            yield
    finally:
        janitor.remove()
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _attached(platform: RayOptions) -> Iterator[None]:
    """A cluster that is there already."""
    address = access.current() if platform.address == "auto" else platform.address
    address, mode = access.admitted(address)
    os.environ["RAY_AUTH_MODE"] = mode
    settings = {"address": address}
    if address.startswith("127."):
        settings["_node_ip_address"] = address.rpartition(":")[0]
    with _connected(address, settings):
        yield


@contextmanager
def _connected(where: str, settings: Mapping[str, Any]) -> Iterator[None]:
    """Ray's client. Raises: StageError."""
    import ray

    ray._private.worker._worker_logs_enabled = False  # else Ray prints onto the display that an actor of ours has ended
    try:
        try:
            environment.join(**settings)
        except (ConnectionError, RuntimeError, ValueError, OSError, ray.exceptions.RayError) as error:
            raise _refused(where, error) from error
        yield
    finally:
        ray.shutdown()


def _refused(where: str, error: BaseException) -> StageError:
    text = " ".join(str(error).split())
    if "Version mismatch" in text:
        return StageError(
            f"the Ray cluster has another Ray or Python than this machine: {text[:300]}",
            where=where,
            hint="Install the same Ray and Python here and on every node.",
        )
    return StageError(
        f"the Ray cluster cannot be joined: {text[:300]}",
        where=where,
        hint="This machine must be a node of the cluster: `ray start --address=HOST:PORT --num-cpus=0` makes it one.",
    )


def _fit(platform: RayOptions, nodes: Sequence[Mapping[str, Any]], at_a_time: int) -> Cluster:
    """The nodes that have what a trial needs, by their totals. Raises: StageError when none has: Ray would wait for one for ever."""
    cpus = platform.cpus or shared_cores([int(node["Resources"].get("CPU", 0)) for node in nodes], at_a_time)
    needed = {"CPU": float(cpus), "GPU": platform.gpus, **platform.resources}
    able = [node for node in nodes if all(node["Resources"].get(name, 0) >= needed[name] for name in needed)]
    if able:
        names = {node["NodeID"]: node["NodeName"] for node in able}
        return Cluster(not platform.address, cpus, names, sum(node["Resources"].get("GPU", 0) for node in able))
    wanted = ", ".join(f"{amount:g} {name}" for name, amount in needed.items() if amount)
    totals = [
        f"{node['NodeName']} has " + " and ".join(f"{node['Resources'].get(name, 0):g} {name}" for name in needed)
        for node in nodes
    ]
    raise StageError(
        f"no node has what a trial needs: {wanted}",
        where=platform.address or "this machine",
        hint=f"Lower run.cpus, run.gpus or run.resources, or add a node. {formatting.listing(totals, 5)}.",
    )


def shared_cores(nodes: Sequence[int], at_a_time: int) -> int:
    """Cores for each of so many trials at a time, as many as let all of them run on nodes with these cores; at least 1."""
    most = max(nodes, default=0)
    return next((cores for cores in range(most, 1, -1) if sum(node // cores for node in nodes) >= at_a_time), 1)


def _scratch_parent() -> str:
    """Folder for temporary files with a path so short that Ray can make sockets below it. Raises: StageError."""
    for folder in (tempfile.gettempdir(), "/tmp"):  # noqa: S108  # the folder in it is made safely
        if len(folder) + len("/ftkit-ray-12345678") <= _LONGEST_SCRATCH and os.access(folder, os.W_OK):
            return folder
    raise StageError(
        "Ray needs a folder for temporary files with a short path",
        where=tempfile.gettempdir(),
        hint=f"Set TMPDIR to a folder of at most {_LONGEST_SCRATCH - 19} characters.",
    )
