"""HyperDrive as one of its own runs sees it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ftkit_azure.step import RUN

from ftkit.errors import StageError
from ftkit_hyperdrive import trials
from ftkit_hyperdrive.graph import DECIDE, SEARCH


def enter() -> Inside:
    """The service, for the scripts of the snapshot."""
    from azureml.core import Run

    return Inside(Run.get_context())


class Inside:
    """A run of the pipeline, from within."""

    def __init__(self, azure: Any) -> None:
        self.azure = azure
        self.run: str = azure.id

    @property
    def pipeline(self) -> str:
        """The pipeline's run; asked only by its steps, since a trial would have to read all of HyperDrive's run for it."""
        return str(self.azure.parent.id if self.azure.parent is not None else self.azure.id)

    def log(self, numbers: Mapping[str, float]) -> None:
        """Log an evaluation of a trial."""
        for name, value in numbers.items():
            self.azure.log(name, value)
        self.azure.flush()

    def search(self) -> Any:
        """The run whose children are the trials. Raises: StageError."""
        found = trials.search_run(self._sibling(SEARCH))
        if found is None:
            raise StageError("the search has left no run", where=SEARCH)
        return found

    def fetch(self, run: Any, folder: Path) -> None:
        """Bring a trial's outputs into an empty folder. Raises: StageError."""
        trials.fetch(run, folder)

    def decided(self, folder: Path) -> None:
        """Bring the run that the decision has left into an empty folder. Raises: StageError."""
        self._sibling(DECIDE).download_files(prefix=f"{RUN}/", output_directory=str(folder), append_prefix=False)

    def _sibling(self, name: str) -> Any:
        """The run of another step of the same pipeline. Raises: StageError."""
        found = next((each for each in self.azure.parent.get_children() if each.name == name), None)
        if found is None:
            raise StageError(f"the pipeline has no step {name}", where=self.pipeline)
        return found
