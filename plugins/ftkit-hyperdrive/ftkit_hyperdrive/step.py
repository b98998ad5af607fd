"""HyperDrive as one of its own jobs sees it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ftkit_azure.step import RUN

from ftkit.errors import StageError
from ftkit_hyperdrive import trials
from ftkit_hyperdrive.graph import STEPS


def connect() -> HyperDriveJob:
    """The job that this process runs in, for the scripts of the steps."""
    from azureml.core import Run

    return HyperDriveJob(Run.get_context())


class HyperDriveJob:
    """What `ftkit_azure.step.Job` needs, by SDK v1."""

    def __init__(self, azure: Any) -> None:
        self.azure = azure
        self.run: str = azure.id

    @property
    def pipeline(self) -> str:
        """Identifier of the pipeline's run. Only its steps ask for it: a trial would have to read all of HyperDrive's run."""
        return str(self.azure.parent.id if self.azure.parent is not None else self.azure.id)

    def log(self, numbers: Mapping[str, float]) -> None:
        """Log an evaluation of a trial."""
        for name, value in numbers.items():
            self.azure.log(name, value)
        self.azure.flush()

    def search(self) -> Any:
        """The run whose children are the trials. Raises: StageError."""
        search = trials.search_run(self._step(STEPS.search))
        if search is None:
            raise StageError("the search has left no run", where=STEPS.search)
        return search

    def fetch(self, run: Any, folder: Path) -> None:
        """Download a trial's outputs into an empty folder. Raises: StageError."""
        trials.fetch(run, folder)

    def fetch_decision(self, folder: Path) -> None:
        """Download the run's folder that the decision has left into an empty folder. Raises: StageError."""
        self._step(STEPS.decide).download_files(prefix=f"{RUN}/", output_directory=str(folder), append_prefix=False)

    def _step(self, name: str) -> Any:
        """The run of another step of the same pipeline. Raises: StageError."""
        step = next((each for each in self.azure.parent.get_children() if each.name == name), None)
        if step is None:
            raise StageError(f"the pipeline has no step {name}", where=self.pipeline)
        return step
