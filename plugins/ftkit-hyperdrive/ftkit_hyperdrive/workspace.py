"""Signing in, the workspace, and its clusters."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ftkit_azure import clusters, refusals
from ftkit_azure.options import Tier
from ftkit_azure.sign_in import signed_in

from ftkit.contracts import Emit
from ftkit.errors import FtkitError, StageError
from ftkit_hyperdrive import sdk
from ftkit_hyperdrive.options import HyperDriveOptions

if TYPE_CHECKING:
    from azureml.core import Workspace

_HINT = "Compare subscription, resource_group and workspace with the workspace's page in Azure's portal."


def connect(options: HyperDriveOptions) -> Workspace:
    """Sign in and open the workspace. Raises: UsageError, StageError, PluginError."""
    place = options.place  # before the SDK, which takes seconds to load
    credential = signed_in(options.credential)
    sdk.require()
    from azureml.core import Workspace
    from azureml.core.authentication import TokenAuthentication

    try:
        with sdk.silent():
            return Workspace.get(
                place.name,
                auth=TokenAuthentication(_tokens(credential)),
                subscription_id=place.subscription,
                resource_group=place.resource_group,
            )
    except FtkitError:
        raise
    except Exception as error:  # of the SDK, and of the libraries that it signs in with
        raise refusals.as_error(error, StageError, str(place), hint=_HINT) from error


def require_clusters(workspace: Workspace, options: HyperDriveOptions, emit: Emit) -> None:
    """Ensure that both clusters exist, creating them where the options allow it. Raises: StageError."""
    from azureml.core.compute import AmlCompute, ComputeTarget

    with sdk.calling("the clusters cannot be listed", workspace.name):
        targets = workspace.compute_targets
    existing = {
        name: str(target.vm_priority) if isinstance(target, AmlCompute) else "" for name, target in targets.items()
    }

    def create(name: str, size: str, tier: Tier) -> None:
        with sdk.calling(f"the cluster {name!r} cannot be created", workspace.name):
            settings = AmlCompute.provisioning_configuration(
                vm_size=size,
                vm_priority=tier.replace("-", ""),
                min_nodes=0,
                max_nodes=options.max_nodes,
                identity_type="SystemAssigned",
            )
            ComputeTarget.create(workspace, name, settings).wait_for_completion(show_output=False)

    clusters.require(options, existing, create, workspace.name, emit)


def _tokens(credential: Any) -> Callable[[str], str]:
    """Tokens of a credential by audience, each fetched again shortly before it expires.

    The SDK's own ways to sign in know no certificates, and need the whole package azure-cli for its login.
    """
    tokens: dict[str, Any] = {}

    def token(audience: str) -> str:
        current = tokens.get(audience)
        if current is None or current.expires_on < time.time() + 300:
            current = tokens[audience] = credential.get_token(f"{audience.rstrip('/')}/.default")
        return str(current.token)

    return token
