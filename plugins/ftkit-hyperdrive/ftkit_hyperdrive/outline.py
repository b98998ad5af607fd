"""The pipeline as `ftkit plan` shows it, made without the SDK and without asking a service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ftkit import steps
from ftkit.errors import FtkitError
from ftkit_hyperdrive import search, travel
from ftkit_hyperdrive.graph import DECIDE, DEPLOY, SEARCH, decision_cluster

if TYPE_CHECKING:
    from ftkit.plan import Plan
    from ftkit_hyperdrive.platform import HyperDrive


def outline(platform: HyperDrive, plan: Plan) -> Sequence[tuple[str, str]]:
    """Titles and sentences."""
    left = steps.left_over(plan)
    here = {
        "decide": "the promotion tests, the registry and the rollout: this machine has the registry",
        "deploy": "the rollout: the endpoint is on this machine",
        "": "nothing: the steps do all of it",
    }
    place = f"{platform.resource_group}/{platform.workspace}" if platform.workspace else "that of config.json"
    return [
        ("workspace", place),
        (SEARCH, f"on {platform.gpu_cluster}: {_search(plan)}"),
        (DECIDE, f"on {decision_cluster(plan, platform)}: {_decision(plan, left)}"),
        (DEPLOY, f"on {platform.cpu_cluster}: {_rollout(plan, left)}"),
        ("here", here[left]),
        *((f"data {key}", f"the registered Dataset {said}") for key, said in sorted(platform.data.items())),
        ("environment", _environment(platform, plan)),
    ]


def _search(plan: Plan) -> str:
    space = ", ".join(f"{name} {_expression(*each)}" for name, each in search.space_of(plan).items())
    policy = dict(search.policy(plan))
    name = policy.pop("class")
    said = f"{name}({', '.join(f'{key}={value}' for key, value in policy.items())})"
    return (
        f"{search.sampler(plan)} over {space}; {search.goal(plan)} {plan.search.metric}; {said}; "
        f"{plan.search.trials} runs, {min(plan.search.concurrency, plan.search.trials)} at a time"
    )


def _expression(kind: str, values: Sequence[Any]) -> str:
    given = values[0] if kind == "choice" else values
    return f"{kind}({', '.join(f'{each:g}' if isinstance(each, float) else str(each) for each in given)})"


def _decision(plan: Plan, left: str) -> str:
    said = (
        "the best trials again with other seeds, the best mean becomes the bundle"
        if plan.search.confirm
        else "the best trial becomes the bundle"
    )
    if left == "decide":
        return said
    tests = ", ".join(each.name for each in plan.promote) or "none"
    registry = f", then {plan.registry.name} as {plan.registry.model}" if plan.registry else ""
    return f"{said}; promotion tests: {tests}{registry}"


def _rollout(plan: Plan, left: str) -> str:
    if left:
        return "nothing is left to it"
    return f"to {plan.deploy.endpoint} by {plan.deploy.name}" if plan.deploy else "nowhere"


def _environment(platform: HyperDrive, plan: Plan) -> str:
    try:
        needed = travel.needs(plan)
    except FtkitError as error:
        return error.what
    wheels = ", ".join(f"{each.name} {each.version}" for each in needed.sources)
    return (
        f"Python {travel.python()} on {platform.image}, {len(needed.pins)} packages pinned as they are installed here"
        + (f"; as wheels in the snapshot: {wheels}" if wheels else "")
    )
