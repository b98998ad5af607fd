"""Which workspace is meant, and who signs in: the options that all components for Azure Machine Learning have."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ftkit import strict_json
from ftkit.errors import UsageError
from ftkit_azure.sign_in import Credential

_KEYS = ("subscription_id", "resource_group", "workspace_name")
_PLACES = (("config.json",), (".azureml", "config.json"), ("aml_config", "config.json"))
"""Where a folder may have the file, the first first: `aml_config` is where early versions of SDK v1 wrote it."""
_JOB = ("AZUREML_ARM_SUBSCRIPTION", "AZUREML_ARM_RESOURCEGROUP", "AZUREML_ARM_WORKSPACE_NAME")
"""Variables that every job of a workspace finds in its environment."""

_HINT = (
    "Put the workspace's config.json (Azure's portal and studio offer it for download) into the working directory, or set "
    "subscription, resource_group and workspace in the recipe."
)


@dataclass(frozen=True)
class Workspace:
    """One workspace of Azure Machine Learning."""

    subscription: str
    resource_group: str
    name: str

    def __str__(self) -> str:
        return f"{self.resource_group}/{self.name}"

    @property
    def id(self) -> str:
        """Its resource id, which the addresses of all that is in it begin with."""
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{self.name}"
        )


@dataclass(frozen=True, kw_only=True)
class InWorkspace:
    """Something in a workspace: left out, the workspace is that of the config.json in the working directory."""

    subscription: str | None = None
    """Id of the workspace's subscription; left out, config.json says it."""
    resource_group: str | None = None
    """The workspace's resource group; left out, config.json says it."""
    workspace: str | None = None
    """The workspace's name; left out, config.json says it."""
    credential: Credential = "auto"
    """Who signs in: the `service-principal` of AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET (or
    AZURE_CLIENT_CERTIFICATE_PATH), the `managed-identity` of a machine in Azure, whoever is signed in to the Azure `cli`, or you in a
    browser (`interactive`); `auto` takes the first of the first three that there is."""

    def __post_init__(self) -> None:
        named = [each for each in (self.subscription, self.resource_group, self.workspace) if each]
        if named and len(named) < 3:
            raise ValueError("subscription, resource_group and workspace go together: set all three, or none")
        if self.subscription and not re.fullmatch(
            r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", self.subscription
        ):
            raise ValueError(
                f"subscription must be an id such as 00000000-0000-0000-0000-000000000000, not {self.subscription!r}"
            )

    @property
    def place(self) -> Workspace:
        """The workspace that is meant. Raises: UsageError when nothing names one."""
        if self.subscription and self.resource_group and self.workspace:
            return Workspace(self.subscription, self.resource_group, self.workspace)
        variables = [os.environ.get(name, "") for name in _JOB]
        return Workspace(*variables) if all(variables) else configured(Path.cwd())

    @property
    def place_shown(self) -> str:
        """The workspace as an outline shows it, without reading a file."""
        return f"{self.resource_group}/{self.workspace}" if self.workspace else "that of config.json"


def configured(folder: Path) -> Workspace:
    """The workspace of the nearest config.json, where both SDKs look for it: in this folder, or in one above it.

    Raises: UsageError.
    """
    for above in (folder, *folder.parents):
        for parts in _PLACES:
            path = above.joinpath(*parts)
            if path.is_file():
                return _read(path)
    raise UsageError("no Azure workspace is named", where=str(folder / "config.json"), hint=_HINT)


def job_workspace() -> Workspace:
    """The workspace of the job that this process runs in. Raises: KeyError outside of a job."""
    subscription, resource_group, name = (os.environ[variable] for variable in _JOB)
    return Workspace(subscription, resource_group, name)


def _read(path: Path) -> Workspace:
    try:
        table = strict_json.parse_object(path.read_text(encoding="utf-8-sig"))
        values = [table.get(key) for key in _KEYS]
    except (OSError, ValueError) as error:
        raise UsageError("the workspace's config.json cannot be read", where=str(path), hint=_HINT) from error
    if missing := [key for key, value in zip(_KEYS, values, strict=True) if not value or not isinstance(value, str)]:
        raise UsageError(f"config.json does not say {', '.join(missing)}", where=str(path), hint=_HINT)
    return Workspace(*map(str, values))
