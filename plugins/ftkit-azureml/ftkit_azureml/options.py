"""The options of the platform `azureml` and of the deployer `managed-endpoint`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ftkit_azure.images import IMAGE
from ftkit_azure.options import PipelineOptions
from ftkit_azure.workspace import InWorkspace

from ftkit.serving.limits import ServerOptions

PROBE = 10
"""Seconds between two probes of a container, and before the first."""


@dataclass(frozen=True, kw_only=True)
class SweepOptions(PipelineOptions):
    """What a recipe lets the platform choose."""

    indexes: tuple[str, ...] = ()
    """Further package indexes for the environment."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for key, named in self.data.items():
            if "'" in named:
                raise ValueError(f"data.{key} must hold no single quote, which would end it in a shell: {named!r}")


@dataclass(frozen=True, kw_only=True)
class EndpointOptions(ServerOptions, InWorkspace):
    """What a recipe lets the deployer choose."""

    endpoint: str
    """Name of the endpoint, unique in its region: 3 to 32 letters, digits and hyphens, a letter first."""
    auth: Literal["key", "aad-token"] = "key"
    """What callers must send: the endpoint's `key`, or a token of Microsoft Entra for https://ml.azure.com (`aad-token`)."""
    instance_type: str = "Standard_DS3_v2"
    """Size of the machines."""
    instance_count: int = 1
    """Machines of each deployment."""
    concurrency: int = 8
    """Requests that one machine works on at a time; the model computes them together."""
    request_timeout: float = 60.0
    """Seconds within which a request must be answered; Azure allows 180."""
    startup_timeout: float = 900.0
    """Seconds that a container may take from its start to its first answer before Azure starts it anew."""
    probe_timeout: float = 30.0
    """Seconds within which a probe must be answered; a server answers none while it computes a large batch."""
    mirror: int = 0
    """Percent of the live traffic, up to 50, that a new deployment is sent copies of before it gets any; nobody waits for the answers."""
    image: str = IMAGE
    """Image that the environment is built upon; it must bring conda."""
    indexes: tuple[str, ...] = ()
    """Further package indexes for the environment, such as one that has torch for CPUs only."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Tags of the endpoint and of each deployment."""
    telemetry: bool = False
    """Send telemetry of requests to where APPLICATIONINSIGHTS_CONNECTION_STRING, or OTEL_EXPORTER_OTLP_ENDPOINT, points in the
    environment that deploys; needs ftkit-appinsights."""
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    """Further variables of a deployment's process, such as FTKIT_DRIFT_WINDOW. No place for secrets: a recipe goes into every bundle."""

    def __post_init__(self) -> None:
        InWorkspace.__post_init__(self)
        ServerOptions.__post_init__(self)
        check_name(self.endpoint, "endpoint")
        for option in ("instance_count", "concurrency"):
            if getattr(self, option) < 1:
                raise ValueError(f"{option} must be at least 1")
        if not 0 < self.request_timeout <= 180:
            raise ValueError("request_timeout must be above 0 and at most 180 seconds, which is Azure's limit")
        if self.startup_timeout < PROBE or self.probe_timeout <= 0:
            raise ValueError(f"startup_timeout must be at least {PROBE} seconds and probe_timeout above 0")
        if not 0 <= self.mirror <= 50:
            raise ValueError("mirror must be from 0 to 50: Azure copies no more than half of the traffic")
        if not re.fullmatch(r"[A-Za-z0-9_]+", self.instance_type):
            raise ValueError(f"instance_type must be a size such as Standard_DS3_v2, not {self.instance_type!r}")


def check_name(name: str, what: str) -> None:
    """Raises: ValueError for a name that Azure would not take. Source: Azure Machine Learning, limits of online endpoints."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{1,30}[A-Za-z0-9]", name):
        raise ValueError(
            f"{what} must be 3 to 32 letters, digits and hyphens, a letter first and no hyphen last, not {name!r}"
        )
