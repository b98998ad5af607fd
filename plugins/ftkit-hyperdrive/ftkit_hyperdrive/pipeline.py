"""The pipeline at the service: submitted, found again, followed, fetched, published."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit_azure import snapshot
from ftkit_azure.follow import follow
from ftkit_azure.monitor import PipelineMonitor
from ftkit_azure.pipeline import description, experiment, incomplete_notice, submitted_notice, tags
from ftkit_azure.step import RUN

from ftkit import scratch
from ftkit.contracts import Emit
from ftkit.contracts.plan import Plan
from ftkit.events import Noticed
from ftkit_hyperdrive import graph, sdk, trials, workspace
from ftkit_hyperdrive.options import HyperDriveOptions

if TYPE_CHECKING:
    from azureml.core import Workspace

SEARCHED_RUNS = 200
"""How many of an experiment's latest runs are searched for one whose submission was interrupted."""


class HyperDrivePipeline:
    """A plan's pipeline in one workspace: what `ftkit.remote.attend` needs."""

    def __init__(self, options: HyperDriveOptions, plan: Plan, emit: Emit, azure: Workspace) -> None:
        self.options = options
        self.plan = plan
        self.emit = emit
        self.azure = azure
        self.experiment = experiment(options, plan)

    @classmethod
    def connect(cls, options: HyperDriveOptions, plan: Plan, emit: Emit) -> HyperDrivePipeline:
        """Sign in and open the workspace, before anything is created. Raises: FtkitError."""
        return cls(options, plan, emit, workspace.connect(options))

    def submit(self, run: str) -> Mapping[str, str]:
        """Upload and submit the pipeline. Raises: FtkitError."""
        with scratch.folder() as folder:
            pipeline = self._built(folder / "steps")

            def submit() -> Mapping[str, str]:
                with sdk.calling("the pipeline cannot be submitted", self.azure.name):
                    submitted_run = pipeline.submit(
                        self.experiment,
                        pipeline_parameters={graph.RUN: run},
                        continue_on_step_failure=False,
                        regenerate_outputs=self.plan.fresh or not self.options.reuse,
                    )
                return self._facts(submitted_run)

            # The answer that was lost may have been a success: what exists is not submitted twice.
            submitted = sdk.retry(submit, lambda: self.find(run))
        with sdk.calling("the pipeline cannot be tagged", submitted["where"]):
            self._pipeline(submitted).set_tags(tags(self.options, self.plan, run))
        return submitted

    def find(self, run: str) -> Mapping[str, str] | None:
        """The pipeline of a run whose client was killed before it could write it down. Raises: StageError."""
        from azureml.core import Experiment

        with sdk.calling("the runs of the experiment cannot be listed", self.experiment):
            latest = itertools.islice(Experiment(self.azure, self.experiment).get_runs(), SEARCHED_RUNS)
            for candidate in latest:
                parameters = json.loads(candidate.properties.get("azureml.parameters") or "{}")
                if parameters.get(graph.RUN) == run:
                    return self._facts(candidate)
        return None

    def follow(self, submitted: Mapping[str, str], emit: Emit) -> str:
        """Emit what the pipeline does until it has ended; returns why it did not succeed. Raises: StageError."""
        emit(submitted_notice(submitted))
        pipeline = self._pipeline(submitted)

        def status() -> str:
            with sdk.silent():
                return str(pipeline.get_status())

        monitor = PipelineMonitor(self.plan, pipeline, emit, graph.STEPS, trials.search_run)
        return follow(monitor, status, self.options, submitted["where"])

    def fetch(self, submitted: Mapping[str, str], folder: Path) -> Path:
        """Download what the last step left. Raises: StageError."""
        with sdk.calling("the run cannot be downloaded", submitted["where"]):
            last = next(each for each in self._pipeline(submitted).get_children() if each.name == graph.STEPS.deploy)
            last.download_files(prefix=f"{RUN}/", output_directory=str(folder), append_prefix=False)
        return folder

    def publish(self) -> Mapping[str, str]:
        """Publish the pipeline; returns its name, identifier and address. Raises: FtkitError."""
        if notice := incomplete_notice(self.plan):
            self.emit(notice)
        with scratch.folder() as folder:
            pipeline = self._built(folder / "steps")
            with sdk.calling("the pipeline cannot be published", self.azure.name):
                published = pipeline.publish(
                    name=self.plan.name,
                    description=description(self.plan),
                    version="1",
                    continue_on_step_failure=False,
                )
                return {"name": self.plan.name, "pipeline": published.id, "endpoint": published.endpoint}

    def _built(self, folder: Path) -> Any:
        self.emit(Noticed(sdk.NOTICE, warning=True))
        workspace.require_clusters(self.azure, self.options, self.emit)
        packed = snapshot.pack(self.plan, self.options, folder, "ftkit_hyperdrive.step", sdk.CLIENT_ONLY)
        self.emit(Noticed(packed.sentence))
        return sdk.retry(lambda: graph.build(self.azure, self.plan, self.options, packed))

    def _pipeline(self, submitted: Mapping[str, str]) -> Any:
        from azureml.core import Experiment
        from azureml.pipeline.core import PipelineRun

        with sdk.calling("the pipeline cannot be opened", submitted["where"]):
            return PipelineRun(Experiment(self.azure, submitted["experiment"]), submitted["pipeline"])

    def _facts(self, run: Any) -> Mapping[str, str]:
        return {"pipeline": run.id, "experiment": self.experiment, "where": run.get_portal_url()}
