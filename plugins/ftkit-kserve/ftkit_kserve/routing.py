"""The route of an endpoint: changed as a whole, whoever else changes it, and taken over by the gateway."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ftkit.errors import DeployError
from ftkit_kserve import manifests, refusals
from ftkit_kserve.cluster import ROUTE, Cluster
from ftkit_kserve.options import KServeOptions

CONFLICTS = 10
"""How often a change is made again because another one came between."""
SETTLING = 30.0
"""Seconds within which the gateway must take over a change."""

Change = Callable[[set[str], dict[str, int]], tuple[set[str], dict[str, int]]]
"""Makes the deployments and shares of a route from those it has."""


def current(options: KServeOptions, there: Cluster) -> dict[str, Any]:
    """The route as it is. Raises: DeployError for an endpoint that does not exist."""
    if (found := there.get(ROUTE, options.endpoint)) is None:
        raise DeployError("there is no such endpoint", options.endpoint, "`ftkit run RECIPE` creates it.")
    return found


def change(options: KServeOptions, there: Cluster, make: Change) -> None:
    """Put other deployments and shares into the route; what others change at the same time is kept. Raises: DeployError."""
    for _ in range(CONFLICTS):
        found = current(options, there)
        names, shares = make(set(manifests.pinned(found)), manifests.traffic(options, found))
        wanted = {**found["spec"], **manifests.route(options, names, shares)["spec"]}
        if wanted == found["spec"]:
            return
        try:
            there.replace(ROUTE, {**found, "spec": wanted})
            return
        except refusals.Taken:
            continue
    raise DeployError(
        "the route is changed by somebody else again and again", options.endpoint, "Run the recipe again."
    )


def settle(options: KServeOptions, there: Cluster) -> None:
    """Wait until the gateway has taken over the route. Raises: DeployError, with its reason."""
    reason = "it says nothing of it"

    def settled() -> bool:
        nonlocal reason
        found = current(options, there)
        for parent in (found.get("status") or {}).get("parents", []):
            accepted = next((each for each in parent.get("conditions", []) if each["type"] == "Accepted"), None)
            if accepted is None or accepted.get("observedGeneration", 0) < found["metadata"].get("generation", 0):
                continue
            reason = f"{accepted.get('reason', '')}: {accepted.get('message', '')}"
            return bool(accepted["status"] == "True")
        return False

    if not there.wait(settled, SETTLING):
        raise DeployError(
            f"the gateway {options.gateway} has not taken over the route within {SETTLING:g} s: {reason}",
            options.endpoint,
            f"`kubectl --namespace {options.namespace} describe httproute {options.endpoint}` shows more; its listeners must allow "
            f"routes of this namespace and the host {options.hostname}.",
        )
