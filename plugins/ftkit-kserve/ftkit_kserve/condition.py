"""How a deployment does, by what KServe and Kubernetes say of its InferenceService and its pods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftkit.redaction import redacted
from ftkit_kserve.manifests import CONTAINER

HOPELESS = (
    "ImagePullBackOff",
    "InvalidImageName",
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "RunContainerError",
)
"""Why a container waits that will not start by itself. Source: the kubelet's reasons."""
REFUSED = ("BlockedByFailedLoad", "InvalidSpec")
"""States of a model that KServe has given up. Source: pkg/apis/serving/v1beta1, TransitionStatus."""
GIVEN_UP = "ProgressDeadlineExceeded"
LONGEST = 600


@dataclass(frozen=True)
class Logged:
    """The container whose log tells how a pod does."""

    pod: str
    container: str
    previous: bool
    """Whether it is the one that ended, and another has taken its place."""


@dataclass(frozen=True)
class Condition:
    """What there is to say of a deployment."""

    state: str
    """`ready`, `starting` or `failed`."""
    reason: str = ""


def of(service: Mapping[str, Any], pods: Sequence[Mapping[str, Any]]) -> Condition:
    """The condition of a deployment, with the message of whoever knows most."""
    if service["metadata"].get("deletionTimestamp"):
        return Condition("starting", "it is being deleted")
    status = service.get("status") or {}
    conditions = {each["type"]: each for each in status.get("conditions", [])}
    generation = service["metadata"].get("generation", 0)
    seen = status.get("observedGeneration", generation) >= generation
    if conditions.get("Ready", {}).get("status") == "True" and seen:
        return Condition("ready")
    told = "; ".join(_told(conditions))
    model = status.get("modelStatus") or {}
    for pod in pods[:1]:
        for container in _containers(pod):
            waiting = (container.get("state") or {}).get("waiting") or {}
            if waiting.get("reason") in HOPELESS:
                what = f"{container['name']}: {waiting['reason']}: {waiting.get('message', '')}"
                return Condition("failed", _short("; ".join(filter(None, (what, told)))))
    failure = (model.get("lastFailureInfo") or {}).get("message", "")
    if model.get("transitionStatus") in REFUSED:
        return Condition("failed", _short("; ".join(filter(None, (failure, told))) or model["transitionStatus"]))
    if any(each.get("reason") == GIVEN_UP for each in conditions.values()):
        return Condition("failed", _short(told))
    return Condition("starting", _short(told or _scheduling(pods) or "KServe has not begun it yet"))


def logged(pods: Sequence[Mapping[str, Any]]) -> Logged | None:
    """The container to read the log of: of the newest pod the one that keeps it from answering, mostly the server's."""
    for pod in pods[:1]:
        name = pod["metadata"]["name"]
        for container in _containers(pod):
            waits = bool((container.get("state") or {}).get("waiting"))
            if container["name"] != CONTAINER and waits and container.get("restartCount"):
                return Logged(name, container["name"], previous=True)  # what brings the model is not done
            if container["name"] == CONTAINER:
                return Logged(name, CONTAINER, previous=waits and bool(container.get("restartCount")))
        return Logged(name, CONTAINER, previous=False)
    return None


def _told(conditions: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Of each condition that is not true its reason and message; of those that repeat another one nothing."""
    told = set()
    for name, each in sorted(conditions.items(), key=lambda item: item[0] == "Ready"):
        text = ": ".join(filter(None, (each.get("reason"), each.get("message"))))
        if each.get("status") != "True" and text and text not in told:
            told.add(text)
            yield f"{name}: {text}"


def _scheduling(pods: Sequence[Mapping[str, Any]]) -> str:
    conditions = (each for pod in pods[:1] for each in (pod.get("status") or {}).get("conditions", []))
    return next((each["message"] for each in conditions if each.get("message")), "")


def _containers(pod: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    status = pod.get("status") or {}
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]


def _short(text: str) -> str:
    return redacted(text)[:LONGEST]
