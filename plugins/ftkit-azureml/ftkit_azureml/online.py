"""An endpoint as Azure has it: looked at, waited for and given its traffic by the SDK's client."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ftkit.errors import DeployError
from ftkit_azureml import assets, refusals

STARTING = ("Creating", "Updating", "Scaling")
"""States in which Azure is working on an endpoint or a deployment that stays."""
GOING = ("Deleting",)
"""States of what is about to be gone."""

_PAUSE = 1.0
"""Seconds between two looks at something that somebody else has begun."""


@dataclass(frozen=True)
class Online:
    """One endpoint of a workspace. Its methods raise what the SDK raises, and DeployError."""

    client: Any
    name: str
    patience: float
    """Seconds to wait for something that Azure is working on."""

    def found(self) -> Any | None:
        """The endpoint, or None."""
        return assets.existing(lambda: self.client.online_endpoints.get(self.name))

    def settled(self) -> Any | None:
        """The endpoint once nobody is working on it: an interrupted run may have asked for it, or for its end."""
        return self._waited(self.found, (*STARTING, *GOING))

    def at_rest(self, deployment: str, busy: Collection[str]) -> Any | None:
        """The deployment, or None, once it is in none of these states."""
        return self._waited(lambda: self.get(deployment), busy)

    def get(self, deployment: str) -> Any | None:
        """A deployment of it, or None."""
        return assets.existing(lambda: self.client.online_deployments.get(deployment, self.name))

    def deployments(self) -> list[Any]:
        """Its deployments, without those that are about to be gone."""
        found = assets.existing(lambda: list(self.client.online_deployments.list(self.name)))
        return [each for each in found or () if each.provisioning_state not in GOING]

    def route(self, traffic: Mapping[str, int], mirror: Mapping[str, int]) -> None:
        """Give deployments their percent of the traffic, and of copies of it, all at once."""
        found = self.settled()
        if found is None:
            raise DeployError("there is no endpoint of this name", self.name)
        found.traffic = dict(traffic)
        found.mirror_traffic = dict(mirror)
        self.client.online_endpoints.begin_create_or_update(found).result()

    def log(self, deployment: str, lines: int) -> str:
        """The end of the container's log; before it runs, of what brings the model to it."""
        if lines < 1:
            return ""
        for container in ("inference-server", "storage-initializer"):
            try:
                said = self.client.online_deployments.get_logs(deployment, self.name, lines, container_type=container)
            except Exception as error:  # there is no log before there is a container
                if not getattr(error, "status_code", None):
                    raise
                continue
            if said.strip():
                return refusals.clean("\n".join(said.rstrip("\n").splitlines()[-lines:]))
        return ""

    def key(self) -> str:
        """What callers send where the endpoint takes keys."""
        return str(self.client.online_endpoints.get_keys(self.name).primary_key)

    def unknown(self, deployment: str) -> DeployError:
        """The error about a deployment that is not there, with those that are."""
        known = ", ".join(each.name for each in self.deployments())
        return DeployError(f"there is no deployment {deployment!r}", self.name, f"There are: {known or 'none'}.")

    def _waited(self, look: Callable[[], Any | None], busy: Collection[str]) -> Any | None:
        ends = time.monotonic() + self.patience
        while (found := look()) is not None and found.provisioning_state in busy:
            if time.monotonic() > ends:
                said = f"Azure has been {found.provisioning_state.lower()} it for {self.patience:g} s"
                raise DeployError(said, found.name, "Look at it in Azure's studio; delete it there if need be.")
            time.sleep(_PAUSE)
        return found
