"""Which workspace is meant, and who is asking: options that every component of this plugin has."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ftkit.errors import StageError, UsageError

Credential = Literal["auto", "service-principal", "managed-identity", "cli", "interactive"]

_CONFIG = ("subscription_id", "resource_group", "workspace_name")
_IN_JOBS = ("AZUREML_ARM_SUBSCRIPTION", "AZUREML_ARM_RESOURCEGROUP", "AZUREML_ARM_WORKSPACE_NAME")
"""Variables that every job of a workspace finds in its environment."""

_MEND = (
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
    """Who signs in: the `service-principal` of AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, the `managed-identity` of a
    machine in Azure, whoever is signed in to the Azure `cli`, or you in a browser (`interactive`); `auto` takes the first of the first
    three that there is."""

    def __post_init__(self) -> None:
        given = [each for each in (self.subscription, self.resource_group, self.workspace) if each is not None]
        if given and len(given) < 3:
            raise ValueError("subscription, resource_group and workspace go together: set all three, or none")
        if self.subscription is not None and not re.fullmatch(
            r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", self.subscription
        ):
            raise ValueError(
                f"subscription must be an id such as 00000000-0000-0000-0000-000000000000, not {self.subscription!r}"
            )

    @property
    def place(self) -> Workspace:
        """The workspace that is meant. Raises: UsageError when nothing says which."""
        if self.subscription and self.resource_group and self.workspace:
            return Workspace(self.subscription, self.resource_group, self.workspace)
        said = [os.environ.get(name, "") for name in _IN_JOBS]
        return Workspace(*said) if all(said) else configured(Path.cwd())

    @contextmanager
    def opened(self, error: type[StageError], where: str) -> Iterator[Any]:
        """The SDK's client, and its exceptions as errors of this kind at this place. Raises: PluginError, UsageError."""
        from ftkit_azureml import client, refusals

        with refusals.told(error, where):
            yield client.opened(self.place, self.credential)


def configured(folder: Path) -> Workspace:
    """The workspace of the nearest config.json, as the SDK looks for it: here, in .azureml, and in the folders above.

    Raises: UsageError.
    """
    for above in (folder, *folder.parents):
        for path in (above / "config.json", above / ".azureml" / "config.json"):
            if path.is_file():
                return _read(path)
    raise UsageError("no Azure workspace is named", where=str(folder / "config.json"), hint=_MEND)


def _read(path: Path) -> Workspace:
    try:
        table = json.loads(path.read_text(encoding="utf-8-sig"))
        values = [table.get(key) for key in _CONFIG]
    except (OSError, ValueError, AttributeError) as error:
        raise UsageError("the workspace's config.json cannot be read", where=str(path), hint=_MEND) from error
    if missing := [key for key, value in zip(_CONFIG, values, strict=True) if not value or not isinstance(value, str)]:
        raise UsageError(f"config.json does not say {', '.join(missing)}", where=str(path), hint=_MEND)
    return Workspace(*values)
