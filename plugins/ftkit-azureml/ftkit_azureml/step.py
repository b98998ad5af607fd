"""The service as one of its own jobs sees it: with the job's own token, which needs no identity of the cluster."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ftkit_azure.runs import OUTPUTS, Run
from ftkit_azure.step import RUN

from ftkit.errors import StageError
from ftkit_azureml import runs
from ftkit_azureml.job import STEPS
from ftkit_azureml.workspace import Workspace


def enter() -> Inside:
    """The service, for the scripts that travel with the pipeline. Raises: StageError."""
    try:
        place = Workspace(
            os.environ["AZUREML_ARM_SUBSCRIPTION"],
            os.environ["AZUREML_ARM_RESOURCEGROUP"],
            os.environ["AZUREML_ARM_WORKSPACE_NAME"],
        )
        host = runs.host_of(os.environ["AZUREML_SERVICE_ENDPOINT"])
        services = runs.Services(host, place, lambda: os.environ["AZUREML_RUN_TOKEN"])
        return Inside(services, os.environ["AZUREML_RUN_ID"], os.environ["AZUREML_ROOT_RUN_ID"])
    except KeyError as error:
        raise StageError(f"this is no job of Azure Machine Learning: {error} is not set") from None


class Inside:
    """A job of the pipeline, from within."""

    def __init__(self, services: runs.Services, run: str, pipeline: str) -> None:
        self.services = services
        self.run = run
        self.pipeline = pipeline
        self._logged = 0

    def log(self, numbers: Mapping[str, float]) -> None:
        """Log an evaluation of a trial."""
        self._logged += 1
        runs.log(self.services, self.run, numbers, self._logged)

    def search(self) -> Run:
        """The run whose children are the trials. Raises: StageError."""
        found = runs.search_of(self._sibling(STEPS.search))
        if found is None:
            raise StageError("the search has left no run", where=STEPS.search)
        return found

    def fetch(self, run: Run, folder: Path) -> None:
        """Bring a trial's outputs into an empty folder. Raises: StageError."""
        assert isinstance(run, runs.Run)
        run.download_below(OUTPUTS, folder)

    def decided(self, folder: Path) -> None:
        """Bring the run that the decision has left into an empty folder. Raises: StageError."""
        self._sibling(STEPS.decide).download_below(RUN, folder)

    def _sibling(self, name: str) -> runs.Run:
        """The run of another step of the same pipeline. Raises: StageError."""
        children = self.services.run(self.pipeline).get_children()
        found = next((each for each in children if each.name == name), None)
        if found is None:
            raise StageError(f"the pipeline has no step {name}", where=self.pipeline)
        return found
