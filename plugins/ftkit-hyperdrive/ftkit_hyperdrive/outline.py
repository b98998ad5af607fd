"""The pipeline as `ftkit plan` shows it, made without the SDK and without asking a service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ftkit_azure import sampling

from ftkit.remote import outline as shared
from ftkit_hyperdrive import search
from ftkit_hyperdrive.graph import DECIDE, DEPLOY, SEARCH, decision_cluster
from ftkit_hyperdrive.travel import CLIENT_ONLY

if TYPE_CHECKING:
    from ftkit.contracts.plan import Plan
    from ftkit_hyperdrive.platform import HyperDrive


def outline(platform: HyperDrive, plan: Plan) -> Sequence[tuple[str, str]]:
    """Titles and sentences."""
    place = f"{platform.resource_group}/{platform.workspace}" if platform.workspace else "that of config.json"
    return [
        ("workspace", place),
        (SEARCH, f"on {platform.gpu_cluster}: {_search(plan)}"),
        (DECIDE, f"on {decision_cluster(plan, platform)}: {shared.decision(plan)}"),
        (DEPLOY, f"on {platform.cpu_cluster}: {shared.rollout(plan)}"),
        ("here", shared.here(plan)),
        *((f"data {key}", f"the registered Dataset {said}") for key, said in sorted(platform.data.items())),
        ("environment", shared.environment(plan, platform.image, CLIENT_ONLY)),
    ]


def _search(plan: Plan) -> str:
    space = ", ".join(f"{name} {sampling.shown(*each)}" for name, each in search.space_of(plan).items())
    policy = dict(search.policy(plan))
    name = policy.pop("class")
    said = f"{name}({', '.join(f'{key}={value}' for key, value in policy.items())})"
    return (
        f"{search.sampler(plan)} over {space}; {search.goal(plan)} {plan.search.metric}; {said}; "
        f"{plan.search.trials} runs, {min(plan.search.concurrency, plan.search.trials)} at a time"
    )
