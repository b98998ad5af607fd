"""The platform `azureml`: its options, and what of a recipe it cannot express."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from ftkit_azureml.scoring import IMAGE
from ftkit_azureml.workspace import InWorkspace

if TYPE_CHECKING:
    from ftkit.contracts import Emit, Outcome
    from ftkit.contracts.plan import Plan
    from ftkit.options import Mistake


@dataclass(frozen=True, kw_only=True)
class AzurePipelines(InWorkspace):
    """Runs the recipe as a pipeline of Azure Machine Learning: a sweep searches, two more steps decide and deploy."""

    name: ClassVar[str] = "azureml"
    confirms: ClassVar[bool] = True
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
    max_nodes: int = 4
    """Most machines of a cluster that is created; it shrinks to none when idle."""
    experiment: str = ""
    """Experiment in which the pipeline runs; named as the recipe when left out."""
    image: str = IMAGE
    """Image that the environment is built upon; it must bring conda. Packages have the versions that are installed here."""
    indexes: tuple[str, ...] = ()
    """Further package indexes for the environment."""
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
    """Take the trials of an earlier pipeline of the workspace, where recipe and code are the same; never with --fresh."""
    snapshot_mb: float = 50.0
    """Refuse to upload more than this for the steps."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags of the pipeline."""
    poll: float = 10.0
    """Seconds between two looks at the pipeline."""
    patience_minutes: float = 30.0
    """How long the service may give no answer before the client stops watching; the pipeline goes on."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for option in ("gpu_cluster", "cpu_cluster"):
            if not re.fullmatch(r"[A-Za-z](?:[A-Za-z0-9-]{0,22}[A-Za-z0-9])", getattr(self, option)):
                raise ValueError(
                    f"{option} must be a name of 2 to 24 letters, digits and dashes that begins with a letter "
                    "and does not end with a dash"
                )
        if self.experiment and not re.fullmatch(r"[A-Za-z0-9][\w-]{0,254}", self.experiment, re.ASCII):
            raise ValueError(
                "experiment must be letters, digits, dashes and underscores, and begin with a letter or digit"
            )
        for option in ("max_nodes", "search_minutes", "trial_minutes", "step_minutes"):
            if getattr(self, option) < 1:
                raise ValueError(f"{option} must be at least 1")
        for option in ("snapshot_mb", "poll", "patience_minutes"):
            if getattr(self, option) <= 0:
                raise ValueError(f"{option} must be above 0")
        if self.snapshot_mb > 300:
            raise ValueError("snapshot_mb must be at most 300, which is what Azure Machine Learning takes")
        for key, said in self.data.items():
            if not re.fullmatch(r"(dataset|backbone)\.\w+", key):
                raise ValueError(f"data names options such as dataset.path, not {key!r}")
            if not re.fullmatch(r"[A-Za-z0-9][\w.-]*(:\w+)?(/[^']*)?", said):
                raise ValueError(f"data.{key} must be NAME, NAME:VERSION or NAME:VERSION/FILE, not {said!r}")

    def refusals(self, plan: Plan) -> Sequence[Mistake]:
        """What a sweep cannot express of a recipe."""
        from ftkit.remote.snapshot import missing
        from ftkit_azureml.sweep import refusals

        return [*refusals(plan), *missing(plan, self.data, "data asset")]

    def run(self, plan: Plan, emit: Emit) -> Outcome:
        """Submit the pipeline or attend the one under way, and end as a local run does. Raises: FtkitError."""
        from ftkit import remote
        from ftkit_azureml.service import Service

        return remote.attend(plan, emit, Service.reached(self, plan, emit))

    def outline(self, plan: Plan) -> Sequence[tuple[str, str]]:
        """The pipeline as it would be submitted; asks no service."""
        from ftkit.remote import outline
        from ftkit_azureml.job import STEPS, decision_cluster
        from ftkit_azureml.sweep import described

        place = f"{self.resource_group}/{self.workspace}" if self.workspace else "that of config.json"
        return [
            ("workspace", place),
            (STEPS.search, f"on {self.gpu_cluster}: {described(plan)}"),
            (STEPS.decide, f"on {decision_cluster(plan, self)}: {outline.decision(plan)}"),
            (STEPS.deploy, f"on {self.cpu_cluster}: {outline.rollout(plan)}"),
            ("here", outline.here(plan)),
            *((f"data {key}", f"the data asset {said}") for key, said in sorted(self.data.items())),
            ("environment", outline.environment(plan, self.image)),
        ]

    def publish(self, plan: Plan, emit: Emit) -> Mapping[str, str]:
        """Register the pipeline as a component of the workspace, which others start or build upon. Raises: FtkitError."""
        from ftkit_azureml.service import Service

        return Service.reached(self, plan, emit).publish()
