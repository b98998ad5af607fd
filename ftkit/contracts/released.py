"""What registries and deployers say of a model that was promoted: its version, its deployments and their endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Version:
    """One registered version of a model."""

    model: str
    """Name of the registered model."""
    version: str
    """Its name within the model, as the registry counts."""
    aliases: tuple[str, ...] = ()
    """`champion` for the one that is live, `challenger` for a new one, or none."""
    bundle_hash: str = ""
    """SHA-256 of its bundle."""
    run: str = ""
    """Identifier of the run that made it."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Test metrics of its lineage."""
    created: str = ""
    """ISO 8601, UTC."""


@dataclass(frozen=True)
class Health:
    """The state of one deployment."""

    state: Literal["starting", "ready", "failed"]
    """`starting` until it can answer; `failed` once it never will."""
    reason: str = ""
    """Why it is not ready, in a sentence."""
    log: str = ""
    """The last lines of the deployment's own log, when it failed."""


@dataclass(frozen=True)
class Deployment:
    """One version of a model behind an endpoint."""

    name: str
    """Its name within the endpoint."""
    traffic: int
    """Share of the endpoint's requests, in percent."""
    state: str
    """In a word, such as `ready`, as the target calls it."""
    bundle_hash: str = ""
    """SHA-256 of the bundle that it serves; empty if the target does not know it."""
    engine: str = ""
    """The engine that computes its answers, if it is known."""


@dataclass(frozen=True)
class Endpoint:
    """The state of an endpoint: its address, and each deployment's share of the traffic."""

    name: str
    """What the recipe calls it."""
    url: str
    """Address for POST requests; empty while there is none."""
    key: str = ""
    """Sent as `Authorization: Bearer KEY`; empty if the endpoint needs none."""
    deployments: tuple[Deployment, ...] = ()
    """All of them, those without traffic included."""
    key_command: str = ""
    """A shell command that prints the key, if the key itself must not be shown in a terminal."""
    command: str = ""
    """A shell command that sends a request, its body as the last argument, where callers need more than a key."""

    @property
    def traffic(self) -> dict[str, int]:
        """Percent by deployment, without those that get none."""
        return {each.name: each.traffic for each in self.deployments if each.traffic}
