"""A pipeline as `ftkit plan` shows it, made without an SDK and without asking the service."""

from __future__ import annotations

from collections.abc import Collection

from ftkit.contracts.plan import Plan
from ftkit.remote import outline as parts
from ftkit_azure.options import PipelineOptions
from ftkit_azure.pipeline import StepNames, decision_cluster


def outline(
    options: PipelineOptions, plan: Plan, names: StepNames, search: str, client_only: Collection[str] = ()
) -> list[tuple[str, str]]:
    """Titles and sentences; `search` describes the search in the words of the SDK."""
    return [
        ("workspace", options.place_shown),
        (names.search, f"on {options.gpu_cluster}: {search}"),
        (names.decide, f"on {decision_cluster(options, plan)}: {parts.decision(plan)}"),
        (names.deploy, f"on {options.cpu_cluster}: {parts.rollout(plan)}"),
        ("here", parts.here(plan)),
        *((f"data {key}", f"the {options.data_noun} {named}") for key, named in sorted(options.data.items())),
        ("environment", parts.environment(plan, options.image, client_only)),
    ]
