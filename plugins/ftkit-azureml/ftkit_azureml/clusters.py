"""The clusters of a workspace: seen to be there, or created."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftkit.contracts import Emit
from ftkit.errors import StageError
from ftkit.events import Noticed

if TYPE_CHECKING:
    from ftkit_azureml.platform import AzurePipelines


def require(client: Any, platform: AzurePipelines, emit: Emit) -> None:
    """See that both clusters are there, creating what is missing where asked for. Raises: StageError."""
    there = {each.name for each in client.compute.list()}
    wanted = {platform.gpu_cluster: platform.gpu_size, platform.cpu_cluster: platform.cpu_size}
    for name in sorted(set(wanted) - there):
        if not platform.create_clusters:
            raise StageError(
                f"the workspace has no cluster {name!r}",
                where=str(platform.place),
                hint=f"It has: {', '.join(sorted(there)) or 'none'}. Name one of them in run.gpu_cluster and run.cpu_cluster, "
                "or set run.create_clusters = true.",
            )
        _create(client, name, wanted[name], platform.max_nodes, emit)


def _create(client: Any, name: str, size: str, nodes: int, emit: Emit) -> None:
    from azure.ai.ml.entities import AmlCompute, IdentityConfiguration

    emit(Noticed(f"Creating the cluster {name}: up to {nodes} machines of {size}, none when idle."))
    identity = IdentityConfiguration(type="system_assigned")
    made = AmlCompute(name=name, size=size, min_instances=0, max_instances=nodes, identity=identity)
    client.compute.begin_create_or_update(made).result()
