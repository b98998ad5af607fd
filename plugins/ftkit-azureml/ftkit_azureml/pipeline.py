"""The pipeline at the service: submitted, found again, followed, fetched, published."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ftkit_azure import clusters, snapshot
from ftkit_azure.follow import follow
from ftkit_azure.monitor import PipelineMonitor
from ftkit_azure.options import Tier
from ftkit_azure.pipeline import description, experiment, incomplete_notice, submitted_notice, tags
from ftkit_azure.sign_in import signed_in
from ftkit_azure.step import RUN

from ftkit import scratch
from ftkit.contracts import Emit
from ftkit.contracts.plan import Plan
from ftkit.errors import StageError
from ftkit.events import Noticed
from ftkit_azureml import assets, client, job, runs
from ftkit_azureml.options import SweepOptions

SCOPE = "https://management.azure.com/.default"
"""Whom the tokens of the client are for."""


class SweepPipeline:
    """A plan's pipeline in one workspace: what `ftkit.remote.attend` needs."""

    def __init__(self, options: SweepOptions, plan: Plan, emit: Emit, azure: Any, services: runs.Services) -> None:
        self.options = options
        self.plan = plan
        self.emit = emit
        self.azure = azure
        self.services = services
        self.experiment = experiment(options, plan)

    @classmethod
    def connect(cls, options: SweepOptions, plan: Plan, emit: Emit) -> SweepPipeline:
        """Sign in and open the workspace, before anything is created. Raises: FtkitError."""
        place = options.place
        with client.connected(options, StageError, str(place)) as azure:
            workspace = azure.workspaces.get(place.name)
        credential = signed_in(options.credential)
        services = runs.Services(
            runs.host_of(workspace.discovery_url), place, lambda: str(credential.get_token(SCOPE).token)
        )
        return cls(options, plan, emit, azure, services)

    def submit(self, run: str) -> Mapping[str, str]:
        """Upload and submit the pipeline. Raises: FtkitError."""
        from azure.ai.ml.entities import PipelineJob, PipelineJobSettings

        with scratch.folder() as folder, self._translated("the pipeline"):
            nodes = self._nodes(folder / "steps")
            submitted = self.azure.jobs.create_or_update(
                PipelineJob(
                    name=self._name(run, self._attempts(run) + 1),
                    display_name=self.plan.name,
                    experiment_name=self.experiment,
                    description=description(self.plan),
                    inputs={"run": run},
                    jobs=nodes,
                    settings=PipelineJobSettings(
                        default_compute=self.options.cpu_cluster,
                        continue_on_step_failure=False,
                        force_rerun=self.plan.fresh or not self.options.reuse,
                    ),
                    tags=tags(self.options, self.plan, run),
                )
            )
        return self._facts(submitted.name)

    def find(self, run: str) -> Mapping[str, str] | None:
        """The pipeline of a run whose client was killed before it could write it down. Raises: StageError."""
        attempts = self._attempts(run)
        return self._facts(self._name(run, attempts)) if attempts else None

    def follow(self, submitted: Mapping[str, str], emit: Emit) -> str:
        """Emit what the pipeline does until it has ended; returns why it did not succeed. Raises: StageError."""
        emit(submitted_notice(submitted))
        name = submitted["pipeline"]
        pipeline = self.services.named(name)
        monitor = PipelineMonitor(self.plan, pipeline, emit, job.STEPS, runs.search_run)
        return follow(monitor, lambda: self.services.run(name).status, self.options, submitted["where"])

    def fetch(self, submitted: Mapping[str, str], folder: Path) -> Path:
        """Download what the last step left. Raises: StageError."""
        steps = self.services.named(submitted["pipeline"]).get_children()
        last = next(step for step in steps if step.name == job.STEPS.deploy)
        last.download_below(RUN, folder)
        return folder

    def publish(self) -> Mapping[str, str]:
        """Register the pipeline as a component; returns its name, version and identifier. Raises: FtkitError."""
        from azure.ai.ml import Input
        from azure.ai.ml.entities import PipelineComponent

        if notice := incomplete_notice(self.plan):
            self.emit(notice)
        name = f"ftkit_{re.sub(r'[^A-Za-z0-9_]', '_', self.plan.name)}"
        with scratch.folder() as folder, self._translated("the component"):
            nodes = self._nodes(folder / "steps")
            versions = assets.existing(lambda: list(self.azure.components.list(name))) or []
            component = self.azure.components.create_or_update(
                PipelineComponent(
                    name=name,
                    version=str(assets.newest(versions) + 1),
                    display_name=self.plan.name,
                    description=description(self.plan),
                    inputs={"run": Input(type="string", optional=True)},
                    jobs=nodes,
                )
            )
        return {"name": component.name, "version": component.version, "component": str(component.id)}

    def _nodes(self, folder: Path) -> dict[str, Any]:
        from azure.ai.ml.entities import AmlCompute

        existing = {
            each.name: str(each.tier) if isinstance(each, AmlCompute) else "" for each in self.azure.compute.list()
        }
        clusters.require(self.options, existing, self._create_cluster, str(self.options.place), self.emit)
        packed = snapshot.pack(self.plan, self.options, folder, "ftkit_azureml.step")
        self.emit(Noticed(packed.sentence))
        return job.nodes(self.azure, self.plan, self.options, packed)

    def _create_cluster(self, name: str, size: str, tier: Tier) -> None:
        from azure.ai.ml.entities import AmlCompute, IdentityConfiguration

        identity = IdentityConfiguration(type="system_assigned")
        cluster = AmlCompute(
            name=name,
            size=size,
            tier=tier.replace("-", "_"),
            min_instances=0,
            max_instances=self.options.max_nodes,
            identity=identity,
        )
        self.azure.compute.begin_create_or_update(cluster).result()

    def _attempts(self, run: str) -> int:
        """How many pipelines were submitted for a run."""
        count = 0
        with self._translated("the pipeline"):
            while assets.existing(lambda: self.azure.jobs.get(self._name(run, count + 1))) is not None:  # noqa: B023
                count += 1
        return count

    @staticmethod
    def _name(run: str, attempt: int) -> str:
        """The pipeline's own name, by which it is found again."""
        return f"ftkit-{re.sub(r'[^A-Za-z0-9_-]', '-', run)}-{attempt}"

    def _facts(self, name: str) -> Mapping[str, str]:
        where = runs.address(self.options.place, name)
        return {"pipeline": name, "experiment": self.experiment, "where": where}

    @contextmanager
    def _translated(self, part: str) -> Iterator[None]:
        with client.translated(StageError, f"{part} in {self.options.place}"):
            yield
