"""What a cluster refuses, as errors that say what to do."""

from __future__ import annotations

import json
from typing import Any

from ftkit.errors import DeployError
from ftkit.redaction import redacted

LONGEST = 400
"""Letters of a message that are shown."""


class Missing(DeployError):
    """There is no such object."""


class Taken(DeployError):
    """The name is in use, or the object has changed since it was read."""


class NotInstalled(DeployError):
    """The cluster has no objects of this kind."""


def of(error: Any, endpoint: str, brought_by: str = "") -> DeployError:
    """The error for what the client raised; `brought_by` is what brings this kind of object into a cluster."""
    status = _status(error)
    message = redacted(str(status.get("message") or error.reason or ""))[:LONGEST]
    if error.status == 404:
        details = status.get("details") or {}
        if details.get("kind") == "namespaces":
            name = details.get("name", "")
            return DeployError(f"there is no namespace {name!r}", endpoint, f"kubectl create namespace {name}")
        if not details.get("name") and brought_by:
            return NotInstalled(
                f"{brought_by} is not installed in this cluster",
                endpoint,
                "Install it, or choose the cluster that has it by deploy.context.",
            )
        return Missing(message or "not found", endpoint)
    if error.status == 409:
        return Taken(message, endpoint)
    if error.status == 401:
        return DeployError(
            f"the cluster does not take the credentials: {message}",
            endpoint,
            "Sign in again, as `kubectl get pods` needs it, or choose another deploy.context.",
        )
    if error.status == 403:
        return DeployError(
            f"the cluster does not allow it: {message}",
            endpoint,
            "Ask for a Role with what docs/kserve.md lists, in this namespace.",
        )
    hint = "" if error.status < 500 else "Run the recipe again when the cluster answers."
    return DeployError(f"the cluster refused with {error.status}: {message}", endpoint, hint)


def unreachable(error: Exception, host: str, endpoint: str) -> DeployError:
    """The error for a cluster that does not answer."""
    reason = redacted(str(getattr(error, "reason", None) or error))[:LONGEST]
    return DeployError(
        f"the cluster at {host} does not answer: {reason}",
        endpoint,
        "Check the network and the address in the kubeconfig, or choose another deploy.context.",
    )


def _status(error: Any) -> dict[str, Any]:
    """The API server's own words; nothing where a proxy answered, or for a path that it does not know."""
    try:
        body = json.loads(error.body or "{}")
    except (TypeError, ValueError):
        return {}
    return body if isinstance(body, dict) else {}
