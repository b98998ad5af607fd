"""The service as one of its own jobs sees it: with the job's own token, which needs no identity of the cluster."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ftkit_azure.runs import OUTPUTS, Run
from ftkit_azure.step import RUN
from ftkit_azure.workspace import job_workspace

from ftkit.errors import StageError
from ftkit_azureml import runs
from ftkit_azureml.job import STEPS


def connect() -> SweepJob:
    """The job that this process runs in, for the scripts of the steps. Raises: StageError."""
    try:
        host = runs.host_of(os.environ["AZUREML_SERVICE_ENDPOINT"])
        services = runs.Services(host, job_workspace(), lambda: os.environ["AZUREML_RUN_TOKEN"])
        return SweepJob(services, os.environ["AZUREML_RUN_ID"], os.environ["AZUREML_ROOT_RUN_ID"])
    except KeyError as error:
        raise StageError(f"this is no job of Azure Machine Learning: {error} is not set") from None


class SweepJob:
    """What `ftkit_azure.step.Job` needs, by the services of the workspace."""

    def __init__(self, services: runs.Services, run: str, pipeline: str) -> None:
        self.services = services
        self.run = run
        self.pipeline = pipeline

    def log(self, numbers: Mapping[str, float]) -> None:
        """Log an evaluation of a trial."""
        runs.log(self.services, self.run, numbers, int(numbers["epoch"]))

    def search(self) -> Run:
        """The run whose children are the trials. Raises: StageError."""
        search = runs.search_run(self._step(STEPS.search))
        if search is None:
            raise StageError("the search has left no run", where=STEPS.search)
        return search

    def fetch(self, run: Run, folder: Path) -> None:
        """Download a trial's outputs into an empty folder. Raises: StageError."""
        assert isinstance(run, runs.Run)
        run.download_below(OUTPUTS, folder)

    def fetch_decision(self, folder: Path) -> None:
        """Download the run's folder that the decision has left into an empty folder. Raises: StageError."""
        self._step(STEPS.decide).download_below(RUN, folder)

    def _step(self, name: str) -> runs.Run:
        """The run of another step of the same pipeline. Raises: StageError."""
        steps = self.services.named(self.pipeline).get_children()
        step = next((each for each in steps if each.name == name), None)
        if step is None:
            raise StageError(f"the pipeline has no step {name}", where=self.pipeline)
        return step
