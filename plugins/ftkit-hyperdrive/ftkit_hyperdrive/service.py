"""The pipeline at the service: submitted, found again, watched, and its run fetched."""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit_azure.monitor import Watch
from ftkit_azure.step import RUN

from ftkit import remote
from ftkit.contracts import Emit
from ftkit.contracts.plan import Plan
from ftkit.errors import StageError
from ftkit.events import Noticed
from ftkit_hyperdrive import graph, sdk, travel, trials, workspace

if TYPE_CHECKING:
    from azureml.core import Workspace

    from ftkit_hyperdrive.platform import HyperDrive

WELL, BADLY = ("Finished", "Completed"), ("Failed", "Canceled")
STRANGE = 5
"""So many looks in a row may fail for what is not known to pass."""
LOOKED_AT = 200
"""How many of an experiment's latest runs are searched for one whose submission was interrupted."""


class Service:
    """A plan's pipeline in one workspace: what `ftkit.remote.attend` needs."""

    def __init__(self, platform: HyperDrive, plan: Plan, emit: Emit, azure: Workspace) -> None:
        self.platform = platform
        self.plan = plan
        self.emit = emit
        self.azure = azure
        self.experiment = platform.experiment or re.sub(r"[^\w-]", "-", plan.name)

    @classmethod
    def opened(cls, platform: HyperDrive, plan: Plan, emit: Emit) -> Service:
        """Sign in and see that all is there that the pipeline needs, before anything is created. Raises: FtkitError."""
        sdk.require()
        return cls(platform, plan, emit, workspace.connect(platform))

    def submit(self, run: str) -> Mapping[str, str]:
        """Upload and submit the pipeline. Raises: FtkitError."""
        with tempfile.TemporaryDirectory(prefix="ftkit-hyperdrive-") as folder:
            pipeline = self._built(Path(folder) / "steps")

            def submit() -> Mapping[str, str]:
                with sdk.asking("the pipeline cannot be submitted", self.azure.name):
                    made = pipeline.submit(
                        self.experiment,
                        pipeline_parameters={graph.RUN: run},
                        continue_on_step_failure=False,
                        regenerate_outputs=self.plan.fresh or not self.platform.reuse,
                    )
                return self._known(made)

            # An answer that was lost may have been a yes: what is there is not submitted twice.
            submitted = sdk.persistently(submit, lambda: self.find(run))
        with sdk.asking("the pipeline cannot be tagged", submitted["where"]):
            tags = {"ftkit.run": run, "ftkit.recipe": self.plan.name, **self.platform.tags}
            self._pipeline(submitted).set_tags(tags)
        return submitted

    def find(self, run: str) -> Mapping[str, str] | None:
        """The pipeline of a run that was submitted by a client which did not live to write it down. Raises: StageError."""
        from azureml.core import Experiment

        with sdk.asking("the runs of the experiment cannot be listed", self.experiment):
            for index, each in enumerate(Experiment(self.azure, self.experiment).get_runs()):
                if index >= LOOKED_AT:
                    break
                given = json.loads(each.properties.get("azureml.parameters") or "{}")
                if given.get(graph.RUN) == run:
                    return self._known(each)
        return None

    def follow(self, submitted: Mapping[str, str], emit: Emit) -> str:
        """Tell what the pipeline does until it has ended; returns why it did not end well. Raises: StageError."""
        emit(
            Noticed(
                f"The pipeline is {submitted['pipeline']} of the experiment {submitted['experiment']}: {submitted['where']}"
            )
        )
        pipeline = self._pipeline(submitted)
        watch = Watch(self.plan, pipeline, emit, graph.STEPS, trials.search_run)
        since, strange = time.monotonic(), 0
        while True:
            try:
                status = self._status(pipeline, watch)
                if status in (*WELL, *BADLY):
                    return "" if status in WELL else watch.why(status)
                since, strange = time.monotonic(), 0
            except Exception as error:
                strange += not sdk.passing(error)
                if strange > STRANGE:
                    raise StageError(
                        f"the pipeline cannot be watched: {sdk.said(error)}",
                        where=submitted["where"],
                        hint="The pipeline goes on; its page shows how it does. The same command attends it again.",
                    ) from error
                if time.monotonic() - since > 60 * self.platform.patience_minutes:
                    raise StageError(
                        f"the service has not answered for {self.platform.patience_minutes:g} minutes: {sdk.said(error)}",
                        where=submitted["where"],
                        hint="The pipeline goes on; the same command attends it again.",
                    ) from error
                watch.trouble(sdk.said(error))
            time.sleep(self.platform.poll)

    @staticmethod
    def _status(pipeline: Any, watch: Watch) -> str:
        """How the pipeline stands, asked before the look at its steps, so that nothing is told after its end."""
        with sdk.silent():
            status = str(pipeline.get_status())
        watch.look()
        return status

    def fetch(self, submitted: Mapping[str, str], folder: Path) -> Path:
        """Bring what the last step left. Raises: StageError."""
        with sdk.asking("the run cannot be fetched", submitted["where"]):
            last = next(each for each in self._pipeline(submitted).get_children() if each.name == graph.DEPLOY)
            last.download_files(prefix=f"{RUN}/", output_directory=str(folder), append_prefix=False)
        return folder

    def publish(self) -> Mapping[str, str]:
        """Publish the pipeline; returns its name, identifier and address. Raises: FtkitError."""
        if left := remote.client_part(self.plan):
            after = "the selection" if left == "decide" else "the decision"
            self.emit(
                Noticed(
                    f"Started by itself, the published pipeline ends after {after}: its recipe names a "
                    f"{'registry' if left == 'decide' else 'deployment target'} of this machine.",
                    warning=True,
                )
            )
        with tempfile.TemporaryDirectory(prefix="ftkit-hyperdrive-") as folder:
            pipeline = self._built(Path(folder) / "steps")
            with sdk.asking("the pipeline cannot be published", self.azure.name):
                made = pipeline.publish(
                    name=self.plan.name,
                    description=f"ftkit recipe {self.plan.name}",
                    version="1",
                    continue_on_step_failure=False,
                )
                return {"name": self.plan.name, "pipeline": made.id, "endpoint": made.endpoint}

    def _built(self, folder: Path) -> Any:
        self.emit(Noticed(sdk.NOTICE, warning=True))
        workspace.require_clusters(self.azure, self.platform, self.emit)
        luggage = travel.pack(self.plan, self.platform, folder)
        self.emit(Noticed(luggage.sentence))
        return sdk.persistently(lambda: graph.build(self.azure, self.plan, self.platform, luggage))

    def _pipeline(self, submitted: Mapping[str, str]) -> Any:
        from azureml.core import Experiment
        from azureml.pipeline.core import PipelineRun

        with sdk.asking("the pipeline cannot be found", submitted["where"]):
            return PipelineRun(Experiment(self.azure, submitted["experiment"]), submitted["pipeline"])

    def _known(self, run: Any) -> Mapping[str, str]:
        return {"pipeline": run.id, "experiment": self.experiment, "where": run.get_portal_url()}
