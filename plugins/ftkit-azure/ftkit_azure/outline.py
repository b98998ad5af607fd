"""A pipeline as `ftkit plan` shows it, made without an SDK and without asking the service."""

from __future__ import annotations

from collections.abc import Collection

from ftkit.contracts.plan import Plan
from ftkit.remote import outline as parts
from ftkit_azure import clusters
from ftkit_azure.options import PipelineOptions
from ftkit_azure.pipeline import CHECKPOINTS, StepNames, decision_cluster


def outline(
    options: PipelineOptions, plan: Plan, names: StepNames, search: str, client_only: Collection[str] = ()
) -> list[tuple[str, str]]:
    """Titles and sentences; `search` describes the search in the words of the SDK."""
    return [
        ("workspace", options.place_shown),
        (names.search, f"on {options.gpu_cluster}: {search}{_processes(options)}"),
        (names.decide, f"on {decision_cluster(options, plan)}: {parts.decision(plan)}"),
        (names.deploy, f"on {options.cpu_cluster}: {parts.rollout(plan)}"),
        ("here", parts.here(plan)),
        *_clusters(options),
        *_checkpoints(options, plan),
        *((f"data {key}", f"the {options.data_noun} {named}") for key, named in sorted(options.data.items())),
        ("environment", parts.environment(plan, options.image, client_only)),
    ]


def _processes(options: PipelineOptions) -> str:
    return f", each in {options.processes} processes" if options.processes > 1 else ""


def _clusters(options: PipelineOptions) -> list[tuple[str, str]]:
    if options.create_clusters:
        names = dict.fromkeys((options.gpu_cluster, options.cpu_cluster))
        each = "; ".join(f"{name} with {clusters.described(options, name)}" for name in names)
        return [("clusters", f"created where they are missing: {each}")]
    if options.tier != "dedicated":
        return [("clusters", f"{options.gpu_cluster} is taken to have {options.tier} machines")]
    return []


def _checkpoints(options: PipelineOptions, plan: Plan) -> list[tuple[str, str]]:
    """What happens to a trial whose machine is taken away."""
    if plan.search.checkpoint:
        where = f"in {CHECKPOINTS} of the workspace's default datastore"
        return [
            ("checkpoints", f"every {plan.search.checkpoint} {where}; a trial that is started again goes on from there")
        ]
    if options.tier != "dedicated":
        return [
            ("checkpoints", "none: a trial whose machine is taken away begins anew; [search] checkpoint prevents it")
        ]
    return []
