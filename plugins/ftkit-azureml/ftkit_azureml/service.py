"""The pipeline at the service: submitted, found again, watched, and its run fetched."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit_azure.monitor import Watch
from ftkit_azure.step import RUN, scripts

from ftkit import remote
from ftkit.contracts import Emit
from ftkit.contracts.plan import Plan
from ftkit.errors import FtkitError, StageError
from ftkit.events import Noticed
from ftkit.remote import snapshot
from ftkit_azureml import assets, client, clusters, job, refusals, runs

if TYPE_CHECKING:
    from ftkit_azureml.platform import AzurePipelines

WELL, BADLY = ("Finished", "Completed"), ("Failed", "Canceled", "NotResponding")
SCOPE = "https://management.azure.com/.default"


class Service:
    """A plan's pipeline in one workspace: what `ftkit.remote.attend` needs."""

    def __init__(self, platform: AzurePipelines, plan: Plan, emit: Emit, azure: Any, services: runs.Services) -> None:
        self.platform = platform
        self.plan = plan
        self.emit = emit
        self.azure = azure
        self.services = services
        self.experiment = platform.experiment or re.sub(r"[^\w-]", "-", plan.name)

    @classmethod
    def reached(cls, platform: AzurePipelines, plan: Plan, emit: Emit) -> Service:
        """Sign in and open the workspace, before anything is created. Raises: FtkitError."""
        place = platform.place
        with platform.opened(StageError, str(place)) as azure:
            found = azure.workspaces.get(place.name)
        credential = client.signed_in(platform.credential)
        services = runs.Services(
            runs.host_of(found.discovery_url), place, lambda: str(credential.get_token(SCOPE).token)
        )
        return cls(platform, plan, emit, azure, services)

    def submit(self, run: str) -> Mapping[str, str]:
        """Upload and submit the pipeline. Raises: FtkitError."""
        from azure.ai.ml.entities import PipelineJob, PipelineJobSettings

        with tempfile.TemporaryDirectory(prefix="ftkit-azureml-") as folder, self._asking("the pipeline"):
            nodes = self._nodes(Path(folder) / "steps")
            made = self.azure.jobs.create_or_update(
                PipelineJob(
                    name=self._name(run, self._attempts(run) + 1),
                    display_name=self.plan.name,
                    experiment_name=self.experiment,
                    description=f"ftkit run of the recipe {self.plan.name}",
                    inputs={"run": run},
                    jobs=nodes,
                    settings=PipelineJobSettings(
                        default_compute=self.platform.cpu_cluster,
                        continue_on_step_failure=False,
                        force_rerun=self.plan.fresh or not self.platform.reuse,
                    ),
                    tags={"ftkit.run": run, "ftkit.recipe": self.plan.name, **self.platform.tags},
                )
            )
        return self._known(made.name)

    def find(self, run: str) -> Mapping[str, str] | None:
        """The pipeline of a run that was submitted by a client which did not live to write it down. Raises: StageError."""
        attempts = self._attempts(run)
        return self._known(self._name(run, attempts)) if attempts else None

    def follow(self, submitted: Mapping[str, str], emit: Emit) -> str:
        """Tell what the pipeline does until it has ended; returns why it did not end well. Raises: StageError."""
        name, where = submitted["pipeline"], submitted["where"]
        emit(Noticed(f"The pipeline is {name} of the experiment {submitted['experiment']}: {where}"))
        watch: Watch | None = None
        since = time.monotonic()
        while True:
            try:
                pipeline = self.services.run(name)
                watch = watch or Watch(self.plan, pipeline, emit, job.STEPS, runs.search_of)
                status = pipeline.status  # asked before the look at the steps, so that nothing is told after the end
                watch.look()
                if status in (*WELL, *BADLY):
                    return "" if status in WELL else watch.why(status)
                since = time.monotonic()
            except FtkitError as error:
                if time.monotonic() - since > 60 * self.platform.patience_minutes:
                    raise StageError(
                        f"the service has not answered for {self.platform.patience_minutes:g} minutes: {error.what}",
                        where=where,
                        hint="The pipeline goes on; the same command attends it again.",
                    ) from error
                if watch:
                    watch.trouble(error.what)
            time.sleep(self.platform.poll)

    def fetch(self, submitted: Mapping[str, str], folder: Path) -> Path:
        """Bring what the last step left. Raises: StageError."""
        children = self.services.run(submitted["pipeline"]).get_children()
        last = next(each for each in children if each.name == job.STEPS.deploy)
        last.download_below(RUN, folder)
        return folder

    def publish(self) -> Mapping[str, str]:
        """Register the pipeline as a component; returns its name, version and identifier. Raises: FtkitError."""
        from azure.ai.ml import Input
        from azure.ai.ml.entities import PipelineComponent

        if left := remote.client_part(self.plan):
            after = "the selection" if left == "decide" else "the decision"
            what = "registry" if left == "decide" else "deployment target"
            said = f"Started by itself, the pipeline ends after {after}: its recipe names a {what} of this machine."
            self.emit(Noticed(said, warning=True))
        name = f"ftkit_{re.sub(r'[^A-Za-z0-9_]', '_', self.plan.name)}"
        with tempfile.TemporaryDirectory(prefix="ftkit-azureml-") as folder, self._asking("the component"):
            nodes = self._nodes(Path(folder) / "steps")
            known = assets.existing(lambda: list(self.azure.components.list(name))) or []
            newest = max((int(each.version) for each in known if each.version.isdigit()), default=0)
            made = self.azure.components.create_or_update(
                PipelineComponent(
                    name=name,
                    version=str(newest + 1),
                    display_name=self.plan.name,
                    description=f"ftkit recipe {self.plan.name}",
                    inputs={"run": Input(type="string", optional=True)},
                    jobs=nodes,
                )
            )
        return {"name": made.name, "version": made.version, "component": str(made.id)}

    def _nodes(self, folder: Path) -> dict[str, Any]:
        clusters.require(self.azure, self.platform, self.emit)
        packed = snapshot.pack(
            self.plan,
            folder,
            snapshot.needs(self.plan),
            scripts=scripts("ftkit_azureml.step"),
            replaced=self.platform.data,
            most_mb=self.platform.snapshot_mb,
            hint="Register large data as a data asset and name it in run.data, or raise run.snapshot_mb (300 at most).",
        )
        self.emit(Noticed(packed.sentence))
        return job.nodes(self.azure, self.plan, self.platform, packed)

    def _attempts(self, run: str) -> int:
        """How many pipelines were submitted for a run."""
        count = 0
        with self._asking("the pipeline"):
            while assets.existing(lambda: self.azure.jobs.get(self._name(run, count + 1))) is not None:  # noqa: B023
                count += 1
        return count

    @staticmethod
    def _name(run: str, attempt: int) -> str:
        """The pipeline's own name, by which it is found again."""
        return f"ftkit-{re.sub(r'[^A-Za-z0-9_-]', '-', run)}-{attempt}"

    def _known(self, name: str) -> Mapping[str, str]:
        where = runs.address(self.platform.place, name)
        return {"pipeline": name, "experiment": self.experiment, "where": where}

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        with refusals.told(StageError, f"{what} in {self.platform.place}"):
            yield
