"""What goes to HyperDrive with a pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ftkit_azure.step import scripts

from ftkit.remote import snapshot
from ftkit.remote.snapshot import Luggage

if TYPE_CHECKING:
    from ftkit.contracts.plan import Plan
    from ftkit_hyperdrive.platform import HyperDrive

CLIENT_ONLY = ("azureml-pipeline-steps", "azureml-pipeline-core", "azureml-train-core")
"""Parts of the SDK that build pipelines; a step needs azureml-core alone."""


def pack(plan: Plan, platform: HyperDrive, folder: Path) -> Luggage:
    """Fill an empty folder. Raises: PluginError; StageError when it is larger than the platform allows."""
    return snapshot.pack(
        plan,
        folder,
        snapshot.needs(plan, CLIENT_ONLY),
        scripts=scripts("ftkit_hyperdrive.step"),
        replaced=platform.data,
        most_mb=platform.snapshot_mb,
        hint="Register large data as a Dataset and name it in run.data, or raise run.snapshot_mb (300 at most).",
    )
