"""The clusters of a workspace: found, or created."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ftkit.contracts import Emit
from ftkit.errors import StageError
from ftkit.events import Noticed
from ftkit_azure.options import PipelineOptions, Tier


def require(
    options: PipelineOptions,
    existing: Mapping[str, str],
    create: Callable[[str, str, Tier], None],
    where: str,
    emit: Emit,
) -> None:
    """Ensure that both clusters exist; `create`, given name, size and tier, makes one where the options allow it.

    `existing` has the tier of each cluster as its SDK writes it, empty where it has none. Raises: StageError.
    """
    for name in sorted({options.gpu_cluster, options.cpu_cluster} - set(existing)):
        if not options.create_clusters:
            raise StageError(
                f"the workspace has no cluster {name!r}",
                where=where,
                hint=f"It has: {', '.join(sorted(existing)) or 'none'}. Name one of them in run.gpu_cluster and run.cpu_cluster, "
                "or set run.create_clusters = true.",
            )
        emit(Noticed(f"Creating the cluster {name}: {described(options, name)}, none when idle."))
        create(name, _size(options, name), _tier(options, name))
    if tier := existing.get(options.gpu_cluster):
        present = "low-priority" if "low" in tier.lower() else "dedicated"
        if present != options.tier:
            machines = f"The cluster {options.gpu_cluster} has {present} machines"
            emit(Noticed(f"{machines}, and run.tier is {options.tier}: it is used as it is.", warning=True))


def described(options: PipelineOptions, name: str) -> str:
    """The machines of a cluster that is created."""
    return f"up to {options.max_nodes} {_tier(options, name)} machines of {_size(options, name)}"


def _size(options: PipelineOptions, name: str) -> str:
    return options.cpu_size if name == options.cpu_cluster else options.gpu_size


def _tier(options: PipelineOptions, name: str) -> Tier:
    """The tier of a cluster that is created: what decides and deploys is not to be taken away."""
    return options.tier if name == options.gpu_cluster else "dedicated"
