"""What an endpoint's deployments did over a time: what a rollout judges a new deployment by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class Window:
    """A short part of the time, of the same length for all deployments of an endpoint."""

    begins: float
    """Seconds since 1970, UTC; the same for the windows of two deployments that belong together."""
    requests: int
    """Requests that were answered."""
    seconds: float
    """What they took, all together."""
    failed: int = 0
    """Requests that failed."""


@dataclass(frozen=True)
class Measures:
    """What one deployment did over a time."""

    requests: int = 0
    """Requests that it was sent, those included that failed."""
    errors: Mapping[str, int] = field(default_factory=dict)
    """Requests that failed through no fault of the caller, by kind, such as `500`, `timeout` or `disconnected`."""
    latency: Mapping[str, float] = field(default_factory=dict)
    """Seconds of an answered request: `mean`, and `p50` and `p95` where there were enough."""
    windows: Sequence[Window] = ()
    """The parts of the time in which it was sent a request, in their order."""
    classes: Mapping[str, int] = field(default_factory=dict)
    """Answered texts by predicted class."""
    confidence: Sequence[int] = ()
    """Answered texts by the probability of their predicted class, in ten bins of equal width; empty where it is not known."""
    unsure: int = 0
    """Answered texts of which the model said that it is unsure."""
    width: float = 1.0
    """Seconds of each window."""

    @property
    def failed(self) -> int:
        """Requests that failed, of all kinds."""
        return sum(self.errors.values())


@runtime_checkable
class Measuring(Protocol):
    """A deployer that knows what each deployment did lately. Nothing requires it: without it, a rollout is judged by health alone."""

    def measures(self, seconds: float) -> Mapping[str, Measures]:
        """What each deployment did over the last seconds, by its name; one that has not answered yet has none. Raises: DeployError."""
        ...

    @property
    def delay(self) -> float:
        """Seconds after which a request is surely part of what `measures` returns."""
        ...
