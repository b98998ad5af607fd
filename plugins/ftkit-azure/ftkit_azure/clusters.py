"""The clusters of a workspace: found, or created."""

from __future__ import annotations

from collections.abc import Callable, Collection

from ftkit.contracts import Emit
from ftkit.errors import StageError
from ftkit.events import Noticed
from ftkit_azure.options import PipelineOptions


def require(
    options: PipelineOptions,
    existing: Collection[str],
    create: Callable[[str, str], None],
    where: str,
    emit: Emit,
) -> None:
    """Ensure that both clusters exist; `create`, given name and size, makes one where the options allow it. Raises: StageError."""
    sizes = {options.gpu_cluster: options.gpu_size, options.cpu_cluster: options.cpu_size}
    for name in sorted(set(sizes) - set(existing)):
        if not options.create_clusters:
            raise StageError(
                f"the workspace has no cluster {name!r}",
                where=where,
                hint=f"It has: {', '.join(sorted(existing)) or 'none'}. Name one of them in run.gpu_cluster and run.cpu_cluster, "
                "or set run.create_clusters = true.",
            )
        machines = f"up to {options.max_nodes} machines of {sizes[name]}, none when idle"
        emit(Noticed(f"Creating the cluster {name}: {machines}."))
        create(name, sizes[name])
