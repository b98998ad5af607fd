"""An endpoint as Azure has it: looked at, waited for and given its traffic by the SDK's client."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ftkit_azure import refusals

from ftkit.errors import DeployError
from ftkit_azureml import assets

STARTING = ("Creating", "Updating", "Scaling")
"""States in which Azure is working on an endpoint or a deployment that stays."""
GOING = ("Deleting",)
"""States of what is about to be gone."""

_PAUSE = 1.0
"""Seconds between two looks at something that somebody else has begun."""


def state_of(resource: Any) -> str:
    """The state of an endpoint or a deployment, which the SDK gives as a text or as an enumeration."""
    state = resource.provisioning_state
    return str(state.value if isinstance(state, enum.Enum) else state)


@dataclass(frozen=True)
class Online:
    """One endpoint of a workspace. Its methods raise what the SDK raises, and DeployError."""

    azure: Any
    name: str
    patience: float
    """Seconds to wait for something that Azure is working on."""

    def current(self) -> Any | None:
        """The endpoint, or None."""
        return assets.existing(lambda: self.azure.online_endpoints.get(self.name))

    def settled(self) -> Any | None:
        """The endpoint once nobody is working on it: an interrupted run may have begun to create or to delete it."""
        return self._wait(self.current, (*STARTING, *GOING))

    def settled_deployment(self, deployment: str, busy: Collection[str]) -> Any | None:
        """The deployment, or None, once it is in none of these states."""
        return self._wait(lambda: self.deployment(deployment), busy)

    def deployment(self, deployment: str) -> Any | None:
        """A deployment of the endpoint, or None."""
        return assets.existing(lambda: self.azure.online_deployments.get(deployment, self.name))

    def deployments(self) -> list[Any]:
        """The endpoint's deployments, without those that are about to be gone."""
        listed = assets.existing(lambda: list(self.azure.online_deployments.list(self.name)))
        return [each for each in listed or () if each.provisioning_state not in GOING]

    def route(self, traffic: Mapping[str, int], mirror: Mapping[str, int]) -> None:
        """Give deployments their percent of the traffic, and of copies of it, all at once."""
        endpoint = self.settled()
        if endpoint is None:
            raise self.missing()
        endpoint.traffic = dict(traffic)
        endpoint.mirror_traffic = dict(mirror)
        self.azure.online_endpoints.begin_create_or_update(endpoint).result()

    def log(self, deployment: str, lines: int) -> str:
        """The end of the container's log; before it runs, of what brings the model to it."""
        from ftkit.redaction import redacted

        if lines < 1:
            return ""
        for container in ("inference-server", "storage-initializer"):
            try:
                log = self.azure.online_deployments.get_logs(deployment, self.name, lines, container_type=container)
            except Exception as error:  # there is no log before there is a container
                if refusals.read(error).status is None:
                    raise
                continue
            if log.strip():
                return redacted("\n".join(log.rstrip("\n").splitlines()[-lines:]))
        return ""

    def key(self) -> str:
        """What callers send where the endpoint takes keys."""
        return str(self.azure.online_endpoints.get_keys(self.name).primary_key)

    def missing(self) -> DeployError:
        """The error about an endpoint that does not exist."""
        return DeployError("there is no endpoint of this name", self.name, "`ftkit run RECIPE` makes one.")

    def unknown(self, deployment: str) -> DeployError:
        """The error about a deployment that does not exist, with those that do."""
        known = ", ".join(each.name for each in self.deployments())
        return DeployError(f"there is no deployment {deployment!r}", self.name, f"There are: {known or 'none'}.")

    def _wait(self, look: Callable[[], Any | None], busy: Collection[str]) -> Any | None:
        deadline = time.monotonic() + self.patience
        while (current := look()) is not None and current.provisioning_state in busy:
            if time.monotonic() > deadline:
                raise DeployError(
                    f"Azure has been {current.provisioning_state.lower()} it for {self.patience:g} s",
                    current.name,
                    "Look at it in Azure's studio; delete it there if need be.",
                )
            time.sleep(_PAUSE)
        return current
