"""The platform `hyperdrive`: what it does with a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ftkit_hyperdrive.options import HyperDriveOptions

if TYPE_CHECKING:
    from ftkit.contracts import Emit, Outcome
    from ftkit.contracts.plan import Plan
    from ftkit.options import Mistake


@dataclass(frozen=True, kw_only=True)
class HyperDrive(HyperDriveOptions):
    """Runs the recipe as a pipeline of Azure Machine Learning, by its SDK v1: HyperDrive searches, two more steps decide and deploy.

    Microsoft's support for SDK v1 ended on 2026-06-30; the platform `azureml` is its successor.
    """

    name: ClassVar[str] = "hyperdrive"
    confirms: ClassVar[bool] = True
    checkpoints: ClassVar[bool] = True
    successor: ClassVar[str] = "azureml"

    def refusals(self, plan: Plan) -> Sequence[Mistake]:
        """What HyperDrive cannot express of a recipe."""
        from ftkit_azure.snapshot import data_mistakes

        from ftkit_hyperdrive.search import refusals

        return [*refusals(plan), *data_mistakes(plan, self)]

    def run(self, plan: Plan, emit: Emit) -> Outcome:
        """Submit the pipeline or follow the one under way, and end as a local run does. Raises: FtkitError."""
        from ftkit import remote
        from ftkit_hyperdrive.pipeline import HyperDrivePipeline

        return remote.attend(plan, emit, HyperDrivePipeline.connect(self, plan, emit))

    def outline(self, plan: Plan) -> Sequence[tuple[str, str]]:
        """The pipeline as it would be submitted; asks no service."""
        from ftkit_azure.outline import outline

        from ftkit_hyperdrive.graph import STEPS
        from ftkit_hyperdrive.sdk import CLIENT_ONLY
        from ftkit_hyperdrive.search import described

        return outline(self, plan, STEPS, described(plan), CLIENT_ONLY)

    def publish(self, plan: Plan, emit: Emit) -> Mapping[str, str]:
        """Publish the pipeline for others to start. Raises: FtkitError."""
        from ftkit_hyperdrive.pipeline import HyperDrivePipeline

        return HyperDrivePipeline.connect(self, plan, emit).publish()
