"""Deployments and their requests, as watchers of live traffic get them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from ftkit.contracts.deciding import AnswerRule
from ftkit.contracts.types import Task

ENDPOINT = "FTKIT_ENDPOINT"
"""Environment variable of a server process: its endpoint."""
DEPLOYMENT = "FTKIT_DEPLOYMENT"
"""Environment variable of a server process: its deployment. A server without one, such as those of promotion tests, is not
watched."""
BUNDLE_HASH = "FTKIT_BUNDLE"
"""Environment variable of a server process: the hash of the bundle that it must serve; it refuses another one."""

TRACE = ("traceparent", "tracestate")
"""Headers with the caller's trace context. Source: W3C Trace Context, chapter 3."""


@dataclass(frozen=True)
class Profile:
    """How predictions are distributed: rows by predicted class, and by confidence, the probability of the predicted class.

    Of multi-label models a row counts for each of its labels, and its confidence is the probability of its least sure decision.
    """

    classes: Mapping[str, int]
    """Rows by predicted class; classes that were never predicted have 0."""
    edges: tuple[float, ...]
    """The inner edges of the confidence bins, ascending; a row on an edge belongs to the upper bin."""
    confidence: tuple[int, ...]
    """Rows by bin; there is one bin more than edges."""

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(self.confidence)


@dataclass(frozen=True)
class Served:
    """A deployment that answers requests."""

    endpoint: str
    """Name of the endpoint."""
    deployment: str
    """Empty if the endpoint itself refuses requests because no deployment can answer; the rest is empty as well then."""
    bundle: str
    """The hash of the deployed bundle."""
    name: str
    """The name of the recipe that made the model."""
    run: str
    """The run that made the model."""
    engine: str
    """The engine of the bundle that answers."""
    classes: tuple[str, ...]
    """Names of the classes."""
    profile: Profile | None
    """The profile of the predictions on the test split; None if the promotion record has none."""
    task: Task = "single-label"
    """What is asked of a text."""
    rule: AnswerRule | None = None
    """How the model decides on answers, if not as every model does."""

    @property
    def version(self) -> str:
        """The registered version in the deployment's name; empty if it has none."""
        return version_of(self.deployment)


@dataclass(frozen=True)
class ServedRequest:
    """One request to a deployment and its result."""

    served: Served
    """The deployment that got it."""
    began: int
    """Time of arrival: nanoseconds since 1970, UTC."""
    seconds: float
    """From reading its headers to having its answer."""
    status: int
    """The HTTP status of the answer; 499 if the caller disconnected before."""
    labels: Sequence[str | tuple[str, ...]] = ()
    """The predicted label of each row, with the task `multi-label` the tuple of its labels; empty if the request was refused.

    A row that was not answered, because the model was unsure, has the label that it would have got.
    """
    confidences: Sequence[float] = ()
    """The confidence of each row, as in `Profile`."""
    tokens: int | None = None
    """Tokens that the model read, with special tokens and without padding; None if the model does not count them."""
    waited: float = 0.0
    """Seconds in the queue for the model."""
    computed: float = 0.0
    """Seconds of the model's calls in whose batches this request was."""
    trace: Mapping[str, str] = field(default_factory=dict)
    """The caller's trace context: the unchanged headers `traceparent` and `tracestate`."""
    texts: Sequence[str] = field(default=(), repr=False)
    """The texts of the request. A watcher must not send them anywhere unless the operator of the endpoint has allowed it."""
    unsure: int = 0
    """How many rows were not answered."""


class Watcher(Protocol):
    """Observes every request to a deployment, one at a time, on a thread for which no caller waits."""

    def tell(self, request: ServedRequest) -> None:
        """Take a request that was answered or refused. What this raises is logged and affects no request; nothing is returned."""
        ...

    def close(self) -> None:
        """Send what is queued, because the deployment ends. The process waits for a few seconds at most."""
        ...


def deployment_name(version: str | None, began: datetime) -> str:
    """The name of a new deployment: of its version and the start of its run."""
    return f"v{version}-{began:%Y%m%d-%H%M%S}" if version else f"d-{began:%Y%m%d-%H%M%S}"


def version_of(deployment: str) -> str:
    """The registered version in a deployment's name; empty if it has none."""
    match = re.fullmatch(r"v(.+)-\d{8}-\d{6}", deployment)
    return match[1] if match else ""
