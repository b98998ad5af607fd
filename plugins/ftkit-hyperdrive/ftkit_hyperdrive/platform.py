"""The platform `hyperdrive`: its options, and what of a recipe it cannot express."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from ftkit.contracts import Emit, Outcome
    from ftkit.contracts.plan import Plan
    from ftkit.options import Mistake


@dataclass(frozen=True, kw_only=True)
class HyperDrive:
    """Runs the recipe as a pipeline of Azure Machine Learning, by its SDK v1: HyperDrive searches, two more steps decide and deploy.

    Microsoft's support for SDK v1 ended on 2026-06-30; the platform `azureml` is its successor.
    """

    name: ClassVar[str] = "hyperdrive"
    confirms: ClassVar[bool] = True
    subscription: str = ""
    """Subscription id of the workspace; with resource_group and workspace instead of a config.json."""
    resource_group: str = ""
    """Resource group of the workspace."""
    workspace: str = ""
    """Name of the workspace; left out, Azure's own config.json is read, in the working directory or one above it."""
    credential: Literal["auto", "service-principal", "managed-identity", "cli", "interactive"] = "auto"
    """How to sign in: `auto` is the service principal of AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET where these are set,
    and the Azure CLI's login otherwise."""
    gpu_cluster: str = "gpu-cluster"
    """Cluster that trains: the trials, and the repeats of `[search] confirm`."""
    cpu_cluster: str = "cpu-cluster"
    """Cluster that tests, registers and deploys."""
    create_clusters: bool = False
    """Create a cluster that the workspace does not have."""
    gpu_size: str = "Standard_NC4as_T4_v3"
    """Size of the machines of a GPU cluster that is created."""
    cpu_size: str = "Standard_DS3_v2"
    """Size of the machines of a CPU cluster that is created."""
    max_nodes: int = 4
    """Most machines of a cluster that is created; it shrinks to none when idle."""
    experiment: str = ""
    """Experiment in which the pipeline runs; named as the recipe when left out."""
    image: str = "mcr.microsoft.com/azureml/openmpi4.1.0-cuda11.8-cudnn8-ubuntu22.04"
    """Base image of the environment; packages are installed into it by the versions that are installed here."""
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    """Variables for every step. They are stored in the workspace for all to read, so a secret does not belong here."""
    data: Mapping[str, str] = field(default_factory=dict)
    """Registered Datasets by the option that names their files: `{ "dataset.path" = "reviews:3/reviews_Automotive_5.json.gz" }` is
    a file of version 3 of the Dataset `reviews`; without a version it is the latest."""
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
    """Tags of the pipeline's run."""
    poll: float = 10.0
    """Seconds between two looks at the pipeline."""
    patience_minutes: float = 30.0
    """How long the service may give no answer before the client stops watching; the pipeline goes on."""

    def __post_init__(self) -> None:
        given = [name for name in ("subscription", "resource_group", "workspace") if getattr(self, name)]
        if given and len(given) < 3:
            raise ValueError("give subscription, resource_group and workspace together, or none of them")
        for option in ("gpu_cluster", "cpu_cluster"):
            if not re.fullmatch(r"[A-Za-z](?:[A-Za-z0-9-]{0,22}[A-Za-z0-9])", getattr(self, option)):
                raise ValueError(
                    f"{option} must be a name of 2 to 24 letters, digits and dashes that begins with a letter "
                    "and does not end with a dash"
                )
        if self.experiment and not re.fullmatch(r"[A-Za-z0-9][\w-]{0,254}", self.experiment):
            raise ValueError(
                "experiment must be letters, digits, dashes and underscores, and begin with a letter or digit"
            )
        for option in ("max_nodes", "search_minutes", "trial_minutes", "step_minutes"):
            if getattr(self, option) < 1:
                raise ValueError(f"{option} must be at least 1")
        if self.search_minutes > 10080:
            raise ValueError("search_minutes must be at most 10080, which is where HyperDrive ends a search")
        for option in ("snapshot_mb", "poll", "patience_minutes"):
            if getattr(self, option) <= 0:
                raise ValueError(f"{option} must be above 0")
        if self.snapshot_mb > 300:
            raise ValueError("snapshot_mb must be at most 300, which is what Azure Machine Learning takes")
        for key, said in self.data.items():
            if not re.fullmatch(r"(dataset|backbone)\.\w+", key):
                raise ValueError(f"data names options such as dataset.path, not {key!r}")
            if not re.fullmatch(r"[A-Za-z0-9][\w.-]*(:\d+)?(/.*)?", said):
                raise ValueError(f"data.{key} must be NAME, NAME:VERSION or NAME:VERSION/FILE, not {said!r}")

    def refusals(self, plan: Plan) -> Sequence[Mistake]:
        """What HyperDrive cannot express of a recipe."""
        from ftkit.remote.snapshot import missing
        from ftkit_hyperdrive.search import refusals

        return [*refusals(plan), *missing(plan, self.data)]

    def run(self, plan: Plan, emit: Emit) -> Outcome:
        """Submit the pipeline or attend the one under way, and end as a local run does. Raises: FtkitError."""
        from ftkit import remote
        from ftkit_hyperdrive.service import Service

        return remote.attend(plan, emit, Service.opened(self, plan, emit))

    def outline(self, plan: Plan) -> Sequence[tuple[str, str]]:
        """The pipeline as it would be submitted; asks no service."""
        from ftkit_hyperdrive.outline import outline

        return outline(self, plan)

    def publish(self, plan: Plan, emit: Emit) -> Mapping[str, str]:
        """Publish the pipeline for others to start. Raises: FtkitError."""
        from ftkit_hyperdrive.service import Service

        return Service.opened(self, plan, emit).publish()
