"""HyperDrive's run of a search, whose children are the trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ftkit_azure.runs import OUTPUTS

from ftkit_hyperdrive import sdk


def search_run(step: Any) -> Any | None:
    """HyperDrive's run of a step, or None while there is none; a step that was reused has that of an earlier pipeline."""
    from azureml.core import Run

    if reused := step.properties.get("azureml.reusedrunid"):
        step = Run(step.experiment, reused)
    return next((each for each in step.get_children() if each.type == "hyperdrive"), None)


def fetch(run: Any, folder: Path) -> None:
    """Download what a trial left into an empty folder. Raises: StageError."""
    with sdk.calling(f"the model of {run.id} cannot be downloaded"):
        run.download_files(prefix=f"{OUTPUTS}/", output_directory=str(folder), append_prefix=False)
