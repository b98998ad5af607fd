"""The platform `azureml`: what it does with a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ftkit_azureml.options import SweepOptions

if TYPE_CHECKING:
    from ftkit.contracts import Emit, Outcome
    from ftkit.contracts.plan import Plan
    from ftkit.options import Mistake


@dataclass(frozen=True, kw_only=True)
class AzurePipelines(SweepOptions):
    """Runs the recipe as a pipeline of Azure Machine Learning: a sweep searches, two more steps decide and deploy."""

    name: ClassVar[str] = "azureml"
    confirms: ClassVar[bool] = True
    checkpoints: ClassVar[bool] = True

    def refusals(self, plan: Plan) -> Sequence[Mistake]:
        """What a sweep cannot express of a recipe."""
        from ftkit_azure.snapshot import data_mistakes

        from ftkit_azureml.sweep import refusals

        return [*refusals(plan), *data_mistakes(plan, self)]

    def run(self, plan: Plan, emit: Emit) -> Outcome:
        """Submit the pipeline or follow the one under way, and end as a local run does. Raises: FtkitError."""
        from ftkit import remote
        from ftkit_azureml.pipeline import SweepPipeline

        return remote.attend(plan, emit, SweepPipeline.connect(self, plan, emit))

    def outline(self, plan: Plan) -> Sequence[tuple[str, str]]:
        """The pipeline as it would be submitted; asks no service."""
        from ftkit_azure.outline import outline

        from ftkit_azureml.job import STEPS
        from ftkit_azureml.sweep import described

        return outline(self, plan, STEPS, described(plan))

    def publish(self, plan: Plan, emit: Emit) -> Mapping[str, str]:
        """Register the pipeline as a component of the workspace, which others start or build upon. Raises: FtkitError."""
        from ftkit_azureml.pipeline import SweepPipeline

        return SweepPipeline.connect(self, plan, emit).publish()
