"""What a pipeline and its parts are called, where its steps run, and what the client says about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from ftkit.contracts.plan import Plan
from ftkit.events import Noticed
from ftkit.remote.decision import client_part
from ftkit_azure.options import PipelineOptions

CHECKPOINTS = "ftkit/checkpoints"
"""The folder in the workspace's default datastore where trials write their checkpoints, each in a folder named by its run."""


class StepNames(NamedTuple):
    """What the steps of a pipeline are called, in their order."""

    search: str
    decide: str
    deploy: str


def experiment(options: PipelineOptions, plan: Plan) -> str:
    """The experiment in which the pipeline runs."""
    return options.experiment or re.sub(r"[^\w-]", "-", plan.name)


def description(plan: Plan) -> str:
    """What a person reads about the pipeline in the studio."""
    return f"ftkit run of the recipe {plan.name}"


def tags(options: PipelineOptions, plan: Plan, run: str) -> dict[str, str]:
    """The tags of a pipeline, by which a person finds it again."""
    return {"ftkit.run": run, "ftkit.recipe": plan.name, **options.tags}


def decision_cluster(options: PipelineOptions, plan: Plan) -> str:
    """Where the decision is made: on the GPU cluster when it has repeats to train."""
    return options.gpu_cluster if plan.search.confirm else options.cpu_cluster


def submitted_notice(submitted: Mapping[str, str]) -> Noticed:
    """What the client says about the pipeline that it follows."""
    return Noticed(
        f"The pipeline is {submitted['pipeline']} of the experiment {submitted['experiment']}: {submitted['where']}"
    )


def incomplete_notice(plan: Plan) -> Noticed | None:
    """The warning about a published pipeline whose last steps need this machine, or None where they do not."""
    left = client_part(plan)
    if not left:
        return None
    end, part = ("the selection", "registry") if left == "decide" else ("the decision", "deployment target")
    text = f"Started by itself, the published pipeline ends after {end}: its recipe names a {part} of this machine."
    return Noticed(text, warning=True)
