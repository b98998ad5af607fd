"""The run's data and the installed versions on every node, by one actor a node."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.errors import StageError, in_one_line
from ftkit.runs import provenance, stored_data
from ftkit_ray.keeper import Keeper, versions
from ftkit_ray.relay import PART

if TYPE_CHECKING:
    import ray

    from ftkit_ray.cluster import Cluster
    from ftkit_ray.options import RayOptions

SECONDS = 120.0
"""How long a node may take to start a process and list what is installed."""


class Keepers:
    """The actors that hold a run's data, one on each node, until the search is over."""

    def __init__(self, run: Path, plugins: Sequence[str], platform: RayOptions, cluster: Cluster) -> None:
        """`plugins` are the distributions that the recipe needs: their versions have to be the same on every node."""
        self._run, self._plugins = run, plugins
        self._platform, self._cluster = platform, cluster
        self._names = sorted({"ftkit", *plugins, *provenance.MATTER})
        self._here = versions(self._names, {})
        self._lock = threading.Lock()
        self._keepers: dict[str, Any] = {}
        self._parts: list[tuple[str, ray.ObjectRef[bytes]]] = []

    def prepare(self) -> list[str]:
        """Compare the versions of all nodes with those here, then put the data where nodes fetch it.

        Returns a sentence for each node with other versions that do not prevent the search. Raises: StageError.
        """
        import ray

        asked = {node: self._begin(node) for node in self._cluster.nodes}
        warnings = [warning for node, reference in asked.items() if (warning := self._compared(node, reference))]
        self._parts = [(name, ray.put(part)) for name, part in _parts(self._run)]
        return warnings

    def check_shared(self, folder: str) -> None:
        """Raises: StageError unless all nodes write into one and the same folder, which is made."""
        import ray

        keepers = dict(self._keepers)
        try:
            ray.get([keeper.mark.remote(folder, node) for node, keeper in keepers.items()])
            seen = ray.get([keeper.marks.remote(folder) for keeper in keepers.values()])
        except ray.exceptions.RayError as error:
            cause = error.cause if isinstance(error, ray.exceptions.RayTaskError) else error
            raise StageError(
                f"a node cannot write checkpoints: {in_one_line(cause)}",
                where=folder,
                hint="Set run.storage to a folder that all nodes share and can write to.",
            ) from error
        if apart := apart_from_others(dict(zip(keepers, seen, strict=True))):
            title = self._cluster.title(apart[0])
            raise StageError(
                f"the nodes do not share the folder for checkpoints: {title} does not see what others write",
                where=folder,
                hint="Set run.storage to a folder that all nodes share, or remove checkpoint from [search].",
            )

    def remove(self, folder: str) -> None:
        """Have a folder that all nodes share removed, by one of them."""
        import ray

        keeper = next(iter(self._keepers.values()))
        ray.wait([keeper.remove.remote(folder)], timeout=SECONDS)

    def data(self, node: str) -> str:
        """The folder of the run's data on a node, which are brought there once. Raises: StageError; RayError."""
        import ray

        with self._lock:
            if node not in self._keepers:
                self._compared(node, self._begin(node))
            keeper = self._keepers[node]
        try:
            return ray.get(keeper.unpacked.remote(self._run.name, self._platform.storage, self._parts))
        except ray.exceptions.RayTaskError as error:
            raise StageError(
                f"{self._cluster.title(node)} cannot store the run's data: {in_one_line(error.cause)}",
                where=self._platform.storage or "its folder for temporary files",
                hint="Set run.storage to a folder with room that every node can write to.",
            ) from error
        except ray.exceptions.RayError:
            with self._lock:
                self._keepers.pop(node, None)  # the next attempt there gets another
            raise

    def _begin(self, node: str) -> ray.ObjectRef[dict[str, str]]:
        """Start the keeper of a node, and ask it for the versions there."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        there = NodeAffinitySchedulingStrategy(node, soft=False)
        keeper: Any = ray.remote(Keeper).options(num_cpus=0, max_restarts=0, scheduling_strategy=there).remote()
        self._keepers[node] = keeper
        return keeper.versions.remote(self._names, dict(self._platform.environment))

    def _compared(self, node: str, reference: ray.ObjectRef[dict[str, str]]) -> str:
        """A sentence on versions that differ and may. Raises: StageError for those that must not."""
        import ray

        title = self._cluster.title(node)
        try:
            there = ray.get(reference, timeout=SECONDS)
        except ray.exceptions.RayError as error:
            reason = " ".join(str(error).split())
            raise StageError(
                f"{title} cannot run trials: {reason[-300:]}",
                where=self._platform.address or "this machine",
                hint="Install ftkit, ftkit-ray and the recipe's plugins on every node, in the Python that Ray was started with.",
            ) from error
        if different := differences(self._here, there, ("Python", "ftkit", *self._plugins)):
            raise StageError(
                f"{title} has other versions than this machine: {', '.join(different)}",
                where=self._platform.address or "this machine",
                hint="Install the same versions of Python, ftkit and plugins here and on every node.",
            )
        different = differences(self._here, there, provenance.MATTER)
        return f"{title} has other versions, so results may differ from node to node: {', '.join(different)}" * bool(
            different
        )


def apart_from_others(seen: Mapping[str, set[str]]) -> list[str]:
    """The nodes that do not see the marks of all, by what each of them sees."""
    return [node for node, marks in seen.items() if seen.keys() - marks]


def differences(here: Mapping[str, str], there: Mapping[str, str], names: Sequence[str]) -> list[str]:
    """What is not the same on two machines; of Python, the third number may differ."""
    different = []
    for name in names:
        ours, theirs = here.get(name, "none"), there.get(name, "none")
        if ours != theirs and (name != "Python" or ours.split(".")[:2] != theirs.split(".")[:2]):
            different.append(f"{name} {theirs} for {ours}")
    return different


def _parts(run: Path) -> Iterator[tuple[str, bytes]]:
    """The files of a run that a training needs, by name and in parts."""
    for path in stored_data.training_files(run):
        with path.open("rb") as file:
            while part := file.read(PART):
                yield path.relative_to(run).as_posix(), part
