"""Signing in, the workspace, and its clusters."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.contracts import Emit
from ftkit.errors import StageError, UsageError
from ftkit.events import Noticed
from ftkit_hyperdrive import sdk

if TYPE_CHECKING:
    from azureml.core import Workspace

    from ftkit_hyperdrive.platform import HyperDrive

PRINCIPAL = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")


def connect(platform: HyperDrive) -> Workspace:
    """Sign in and open the workspace. Raises: UsageError, StageError, PluginError."""
    place = _place(platform)  # before the SDK, which takes seconds to load
    credential = _kind(platform)
    sdk.require()
    from azureml.core import Workspace

    where = f"{place['resource_group']}/{place['workspace_name']}"
    try:
        with sdk.silent():
            return Workspace.get(
                place["workspace_name"],
                auth=_authentication(credential),
                subscription_id=place["subscription_id"],
                resource_group=place["resource_group"],
            )
    except Exception as error:  # of the SDK, and of the three libraries that it signs in with
        raise _refusal(error, credential, where) from error


def _refusal(error: Exception, credential: str, where: str) -> StageError:
    """Why the workspace could not be opened: for want of rights, because it is not there, or because Azure does not answer."""
    from azureml.exceptions import AuthenticationException, ProjectSystemException, WorkspaceException

    said = sdk.said(error)
    kind = type(error).__name__
    if (
        isinstance(error, AuthenticationException)
        or "AADSTS" in said
        or "uthentication" in kind
        or "Credential" in kind
    ):
        return StageError(f"the sign-in to Azure was refused: {said}", f"credential {credential!r}", _MEND[credential])
    if isinstance(error, ProjectSystemException | WorkspaceException):
        hint = "Compare subscription, resource group and name with the portal, and see that the account may read the workspace."
        return StageError(f"the workspace cannot be opened: {said}", where, hint)
    return StageError(f"Azure cannot be reached: {said}", where, "Give the same command again.")


def require_clusters(workspace: Workspace, platform: HyperDrive, emit: Emit) -> None:
    """See that both clusters are there, creating what is missing where asked for. Raises: StageError."""
    with sdk.asking("the clusters cannot be listed", workspace.name):
        there = set(workspace.compute_targets)
    wanted = {platform.gpu_cluster: platform.gpu_size, platform.cpu_cluster: platform.cpu_size}
    for name in sorted(set(wanted) - there):
        if not platform.create_clusters:
            raise StageError(
                f"the workspace has no cluster {name!r}",
                where=workspace.name,
                hint=f"It has: {', '.join(sorted(there)) or 'none'}. Name one of them in run.gpu_cluster and run.cpu_cluster, "
                "or set run.create_clusters = true.",
            )
        _create(workspace, name, wanted[name], platform.max_nodes, emit)


def _create(workspace: Workspace, name: str, size: str, nodes: int, emit: Emit) -> None:
    from azureml.core.compute import AmlCompute, ComputeTarget

    emit(Noticed(f"Creating the cluster {name}: up to {nodes} machines of {size}, none when idle."))
    with sdk.asking(
        f"the cluster {name!r} cannot be created", workspace.name, f"Ask for quota of {size}, or name another size."
    ):
        settings = AmlCompute.provisioning_configuration(vm_size=size, min_nodes=0, max_nodes=nodes)
        ComputeTarget.create(workspace, name, settings).wait_for_completion(show_output=False)


def _place(platform: HyperDrive) -> dict[str, str]:
    """Subscription, resource group and name of the workspace. Raises: UsageError."""
    if platform.workspace:
        return {
            "subscription_id": platform.subscription,
            "resource_group": platform.resource_group,
            "workspace_name": platform.workspace,
        }
    above = [Path.cwd(), *Path.cwd().parents]
    found = next((path for each in above for path in _configurations(each) if path.is_file()), None)
    hint = "Download config.json from the workspace's page in the portal, or set subscription, resource_group and workspace in [run]."
    if found is None:
        raise UsageError("no workspace is named", where=str(Path.cwd()), hint=hint)
    try:
        read: Any = json.loads(found.read_text(encoding="utf-8-sig"))
        return {key: str(read[key]) for key in ("subscription_id", "resource_group", "workspace_name")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"the workspace's configuration cannot be read: {error!r}", where=str(found), hint=hint
        ) from error


def _configurations(folder: Path) -> list[Path]:
    return [folder / ".azureml" / "config.json", folder / "config.json", folder / "aml_config" / "config.json"]


def _kind(platform: HyperDrive) -> str:
    """Which credential is used, seeing that what it needs is there. Raises: UsageError."""
    absent = [name for name in PRINCIPAL if not os.environ.get(name)]
    if platform.credential == "service-principal" or (platform.credential == "auto" and not absent):
        if absent:
            raise UsageError(
                f"the service principal is not complete: {', '.join(absent)} not set",
                where="the environment",
                hint=_MEND["service-principal"],
            )
        return "service-principal"
    if platform.credential == "auto":
        if not (Path.home() / ".azure" / "azureProfile.json").is_file():
            raise UsageError(
                "there is no credential for Azure",
                where="the environment",
                hint="Set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, or give `az login`, or set run.credential "
                'to "managed-identity" or "interactive".',
            )
        return "cli"
    return platform.credential


_MEND = {
    "service-principal": "Set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET to a service principal that may use the workspace.",
    "managed-identity": "Give this machine's managed identity a role in the workspace, or set run.credential.",
    "cli": "Give `az login`, or set run.credential.",
    "interactive": "Sign in in the browser that opens, or set run.credential.",
}


def _authentication(kind: str) -> Any:
    from azureml.core import authentication

    if kind == "service-principal":
        tenant, client, secret = (os.environ[name] for name in PRINCIPAL)
        return authentication.ServicePrincipalAuthentication(tenant, client, secret)
    if kind == "managed-identity":
        return authentication.MsiAuthentication()
    if kind == "cli":
        return authentication.TokenAuthentication(_tokens_of_cli())
    return authentication.InteractiveLoginAuthentication()


def _tokens_of_cli() -> Callable[[str], str]:
    """Tokens of the `az` command, by audience, each asked for again shortly before it ends.

    The SDK's own way needs the whole package azure-cli in the same environment.
    """
    from azure.identity import AzureCliCredential

    credential = AzureCliCredential()
    kept: dict[str, Any] = {}

    def token(audience: str) -> str:
        found = kept.get(audience)
        if found is None or found.expires_on < time.time() + 300:
            found = kept[audience] = credential.get_token(f"{audience.rstrip('/')}/.default")
        return str(found.token)

    return token
