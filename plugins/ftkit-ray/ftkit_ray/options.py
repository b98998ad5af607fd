"""The recipe options of the platform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ftkit.searching import TrialOptions


@dataclass(frozen=True, kw_only=True)
class RayOptions(TrialOptions):
    """Which cluster a search uses, and what each of its trials takes of it."""

    address: str = ""
    """The cluster: HOST:PORT of its head, or `auto` for the one that this machine belongs to. By default a Ray of the run's own is
    started on this machine, and ended with the search."""
    cpus: int | None = None
    """Cores for each trial; by default the cluster's cores are shared evenly among the trials that run at a time."""
    gpus: float = 0.0
    """GPUs for each trial; several trials share one where this is below 1. With 0 a trial sees none."""
    resources: Mapping[str, float] = field(default_factory=dict)
    """Further resources that a trial takes from its node, by the names that the cluster gives them."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Environment variables for the processes of the trials. They are stored with the recipe, so they are no place for secrets."""
    storage: str = ""
    """Folder on each node for the data and models of a search while it lasts; by default the node's folder for temporary files.
    With `[search] checkpoint`, all nodes of a cluster must share it, for a trial goes on from its checkpoint on any node."""
    node_retries: int = 10
    """How many more attempts a trial gets when the node that it ran on is lost; these count apart from `retries`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if "://" in self.address:
            raise ValueError(
                "address must be HOST:PORT of the cluster's head, or `auto`: this machine has to be a node of the cluster"
                " (`ray start --address=HOST:PORT --num-cpus=0` makes it one), since a trial's data and models go through Ray's object store"
            )
        host, colon, port = self.address.rpartition(":")
        if self.address not in ("", "auto") and not (host and colon and port.isdigit() and 0 < int(port) < 65536):
            raise ValueError("address must be HOST:PORT of the cluster's head, `auto`, or empty")
        if self.cpus is not None and self.cpus < 1:
            raise ValueError("cpus must be at least 1")
        if self.gpus < 0 or (self.gpus > 1 and self.gpus != int(self.gpus)):
            raise ValueError("gpus must be a whole number, or from 0 to 1")
        if 0 < self.gpus < self.processes and self.processes > 1:
            raise ValueError(f"gpus must be at least {self.processes}, one for each of the processes, or 0")
        for name, amount in self.resources.items():
            if name in ("CPU", "GPU"):
                raise ValueError(f"resources must not name {name}: set {name.lower()}s")
            if amount <= 0 or (amount > 1 and amount != int(amount)):
                raise ValueError(f"resources must be whole numbers, or above 0 and below 1; {name!r} is {amount:g}")
        if self.storage and not self.storage.startswith("/"):
            raise ValueError("storage must be an absolute path")
        if self.node_retries < 0:
            raise ValueError("node_retries must not be negative")
