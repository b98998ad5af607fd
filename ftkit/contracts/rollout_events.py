"""The events of a rollout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ftkit.contracts.copies import Comparison
from ftkit.contracts.event import Event
from ftkit.contracts.measures import Measures


@dataclass(frozen=True)
class DeploymentChanged(Event):
    """A completed step of a rollout: `created`, `became ready`, `passed the smoke test`, `retired`, …"""

    endpoint: str
    """Name of the endpoint."""
    deployment: str
    """Name of the deployment."""
    step: str
    """What was done."""
    detail: str = ""
    """More about it, if there is more."""


@dataclass(frozen=True)
class TrafficMoved(Event):
    """The traffic of an endpoint was shared out anew."""

    endpoint: str
    """Name of the endpoint."""
    shares: Mapping[str, int]
    """Percent by deployment."""


@dataclass(frozen=True)
class DeploymentJudged(Event):
    """A look at the live requests of a new deployment, beside those of the old one."""

    endpoint: str
    """Name of the endpoint."""
    deployment: str
    """Name of the new deployment."""
    state: Literal["healthy", "unhealthy", "inconclusive"]
    """`inconclusive` where there were too few requests."""
    sentence: str
    """Why."""
    numbers: Mapping[str, float] = field(default_factory=dict)
    """What it was judged by."""


@dataclass(frozen=True)
class CopiesCompared(Event):
    """How a new deployment answered copies of the live traffic, beside the old one; without the texts."""

    endpoint: str
    """Name of the endpoint."""
    deployment: str
    """Name of the new deployment."""
    comparison: Comparison
    """How the answers differ."""


@dataclass(frozen=True)
class TrafficMeasured(Event):
    """What each deployment did in a step of a rollout, by its name."""

    endpoint: str
    """Name of the endpoint."""
    measures: Mapping[str, Measures]
    """What each did, by its name."""
