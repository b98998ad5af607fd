"""The options of a platform that carries out a recipe as a pipeline of Azure Machine Learning."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from ftkit_azure.images import IMAGE
from ftkit_azure.workspace import InWorkspace

Tier = Literal["dedicated", "low-priority"]
"""What Azure promises of a cluster's machines: to leave them, or nothing."""

_CLUSTER = re.compile(r"[A-Za-z](?:[A-Za-z0-9-]{0,22}[A-Za-z0-9])")
_EXPERIMENT = re.compile(r"[A-Za-z0-9][\w-]{0,254}", re.ASCII)
_DATA = re.compile(r"[A-Za-z0-9][\w.-]*(:\w+)?(/.*)?")


@dataclass(frozen=True, kw_only=True)
class PipelineOptions(InWorkspace):
    """What every such platform lets a recipe choose; a platform adds what its SDK alone has."""

    data_noun: ClassVar[str] = "data asset"
    """What the SDK calls registered data."""

    gpu_cluster: str = "gpu-cluster"
    """Cluster that trains: the trials, and the repeats of `[search] confirm`."""
    cpu_cluster: str = "cpu-cluster"
    """Cluster that tests, registers and deploys; its managed identity is who does so."""
    create_clusters: bool = False
    """Create a cluster that the workspace does not have, with a managed identity of its own."""
    gpu_size: str = "Standard_NC4as_T4_v3"
    """Size of the machines of a GPU cluster that is created."""
    cpu_size: str = "Standard_DS3_v2"
    """Size of the machines of a CPU cluster that is created."""
    tier: Tier = "dedicated"
    """Machines of a GPU cluster that is created: `dedicated`, or `low-priority`, which cost less and which Azure may take away at any
    time: with `[search] checkpoint` a trial goes on from its latest checkpoint then. A CPU cluster is always dedicated."""
    max_nodes: int = 4
    """Most machines of a cluster that is created; it shrinks to none when idle."""
    processes: int = 1
    """Processes that train the model of each trial together, on one machine: each has a GPU of its own, or they share its cores."""
    experiment: str = ""
    """Experiment in which the pipeline runs; named as the recipe when left out."""
    image: str = IMAGE
    """Image that the environment is built upon; it must bring conda. Packages have the versions that are installed here."""
    data: Mapping[str, str] = field(default_factory=dict)
    """Data assets by the option that names their files: `{ "dataset.path" = "reviews:3/reviews_Automotive_5.json.gz" }` is
    a file of version 3 of the asset `reviews`; without a version it is the latest."""
    search_minutes: int = 10080
    """End the search after so many minutes; the trials that finished count."""
    trial_minutes: int = 1440
    """End a trial that takes longer than this."""
    step_minutes: int = 1440
    """End the step that decides, or the one that deploys, when it takes longer than this."""
    reuse: bool = True
    """Take the trials of an earlier pipeline of the workspace, where recipe and code are the same to the byte; never with --fresh."""
    snapshot_mb: float = 50.0
    """Refuse to upload more than this for the steps."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags of the pipeline."""
    poll: float = 10.0
    """Seconds between two looks at the pipeline."""
    patience_minutes: float = 30.0
    """How long the service may give no answer before the client stops following; the pipeline continues."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for option in ("gpu_cluster", "cpu_cluster"):
            if not _CLUSTER.fullmatch(getattr(self, option)):
                raise ValueError(
                    f"{option} must be a name of 2 to 24 letters, digits and dashes that begins with a letter "
                    "and does not end with a dash"
                )
        if self.experiment and not _EXPERIMENT.fullmatch(self.experiment):
            raise ValueError(
                "experiment must be letters, digits, dashes and underscores, and begin with a letter or digit"
            )
        for option in ("max_nodes", "processes", "search_minutes", "trial_minutes", "step_minutes"):
            if getattr(self, option) < 1:
                raise ValueError(f"{option} must be at least 1")
        for option in ("snapshot_mb", "poll", "patience_minutes"):
            if getattr(self, option) <= 0:
                raise ValueError(f"{option} must be above 0")
        if self.snapshot_mb > 300:
            raise ValueError("snapshot_mb must be at most 300, which is what Azure Machine Learning takes")
        for key, named in self.data.items():
            if not re.fullmatch(r"(dataset|backbone)\.\w+", key):
                raise ValueError(f"data names options such as dataset.path, not {key!r}")
            if not _DATA.fullmatch(named):
                raise ValueError(f"data.{key} must be NAME, NAME:VERSION or NAME:VERSION/FILE, not {named!r}")


def data_parts(named: str) -> tuple[str, str, str]:
    """Name, version and file of what `data` names; version and file may be empty."""
    title, _, file = named.partition("/")
    name, _, version = title.partition(":")
    return name, version, file
