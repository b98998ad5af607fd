"""What a deployment is and what became of a request to it: the values that those are told who watch live traffic."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

ENDPOINT = "FTKIT_ENDPOINT"
"""Environment variable of a server process: the endpoint it belongs to."""
DEPLOYMENT = "FTKIT_DEPLOYMENT"
"""Environment variable of a server process: the deployment it is. A server without one, as promotion tests start
them, has no traffic worth watching."""

TRACE = ("traceparent", "tracestate")
"""Headers by which a caller says what its request is part of. Source: W3C Trace Context, chapter 3."""


@dataclass(frozen=True)
class Profile:
    """Rows by predicted class, and by confidence: the probability of the predicted class."""

    classes: Mapping[str, int]
    """Rows by the class that was predicted, those never predicted included."""
    edges: tuple[float, ...]
    """Where a bin of confidence ends and the next begins, ascending; a row on an edge is in the upper bin."""
    confidence: tuple[int, ...]
    """Rows of each bin, one more than there are edges."""

    @property
    def rows(self) -> int:
        """How many rows it was taken from."""
        return sum(self.confidence)


@dataclass(frozen=True)
class Served:
    """A deployment that answers requests."""

    endpoint: str
    deployment: str
    """Empty for what an endpoint itself refuses, because no deployment can answer: then the rest is empty, too."""
    bundle: str
    """The hash of the bundle that answers."""
    name: str
    """The name of the recipe that made the model."""
    run: str
    """The run that made the model."""
    engine: str
    classes: tuple[str, ...]
    profile: Profile | None
    """How the answers to the test split are spread; None for a bundle whose record does not say."""

    @property
    def version(self) -> str:
        """The registered version, as the deployment's name tells it; empty where there is none."""
        return version_of(self.deployment)


@dataclass(frozen=True)
class ServedRequest:
    """One request to a deployment, and what became of it."""

    served: Served
    began: int
    """When it came: nanoseconds since 1970, UTC."""
    seconds: float
    """From when its headers were read until its answer was ready."""
    status: int
    """The HTTP status of the answer; 499 when the caller left before there was one."""
    labels: Sequence[str] = ()
    """What was predicted, row by row; empty when the request was refused."""
    confidences: Sequence[float] = ()
    """The probability of each predicted label."""
    tokens: int | None = None
    """Tokens that the model read, special ones included and padding not; None when the model does not tell."""
    waited: float = 0.0
    """Seconds in the queue for the model."""
    computed: float = 0.0
    """Seconds of the model's calls that this request was part of."""
    trace: Mapping[str, str] = field(default_factory=dict)
    """The caller's trace context: the headers `traceparent` and `tracestate` as they came."""
    texts: Sequence[str] = field(default=(), repr=False)
    """What was asked. It leaves this process only when whoever runs the endpoint has asked for that."""


class Watcher(Protocol):
    """Is told of every request to a deployment, one after another, on a thread that no caller waits for."""

    def tell(self, request: ServedRequest) -> None:
        """A request was answered or refused. What this raises is logged and costs nobody anything."""
        ...

    def close(self) -> None:
        """The deployment ends: send what is left. The process does not wait for longer than a moment."""
        ...


def deployment_name(version: str | None, began: datetime) -> str:
    """What a rollout calls a new deployment, after the version it deploys and the time its run began."""
    return f"v{version}-{began:%Y%m%d-%H%M%S}" if version else f"d-{began:%Y%m%d-%H%M%S}"


def version_of(deployment: str) -> str:
    """The registered version in a deployment's name, or nothing."""
    found = re.fullmatch(r"v(.+)-\d{8}-\d{6}", deployment)
    return found[1] if found else ""
