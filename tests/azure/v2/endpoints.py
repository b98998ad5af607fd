"""Online endpoints: the shares of their traffic, and their keys."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from tests.azure.identity import TENANT
from tests.azure.messages import Request, Response, answer, refusal
from tests.azure.routes import route
from tests.azure.v2.operations import Operations
from tests.azure.workspace import ID, REGION, Managed, resource

KEY = "k3y-of-the-endpoint-" + "0" * 12
"""The endpoint's primary key; it must show up in no log, event or record."""


class Endpoints(Managed):
    """Endpoints by name; `deployments` are kept by endpoint and name, for `Deployments` to manage."""

    prefix = f"{ID}/onlineEndpoints"

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self.lock = threading.RLock()
        self.resources: dict[str, dict[str, Any]] = {}
        self.deployments: dict[tuple[str, str], dict[str, Any]] = {}
        self.shares: list[dict[str, int]] = []
        """The traffic of every request that set it, in order."""
        self.on_removal: Callable[[str, str], None] = lambda endpoint, deployment: None
        """Called for each deployment that is removed with its endpoint."""

    def of(self, endpoint: str) -> list[dict[str, Any]]:
        """The deployments of an endpoint."""
        with self.lock:
            return [each for (owner, _), each in self.deployments.items() if owner == endpoint]

    @route("GET", "")
    def all(self, request: Request) -> Response:
        return answer({"value": [*self.resources.values()]})

    @route("GET", "/{name}")
    def get(self, request: Request, name: str) -> Response:
        return answer(self.resources[name]) if name in self.resources else missing("endpoint", name)

    @route("PUT", "/{name}")
    def put(self, request: Request, name: str) -> Response:
        properties = request.json["properties"]
        traffic, mirror = properties.get("traffic") or {}, properties.get("mirrorTraffic") or {}
        with self.lock:
            old = self.resources.get(name)
            known = {each["name"] for each in self.of(name)}
            if unknown := sorted(({*traffic} | {*mirror}) - known):
                return refusal(400, "BadRequest", f"The traffic names deployments that do not exist: {unknown}.")
            if sum(traffic.values()) not in (0, 100) or any(share < 0 for share in traffic.values()):
                return refusal(400, "BadRequest", "The sum of traffic has to be either 0 or 100.")
            if any(share > 50 or traffic.get(each) for each, share in mirror.items()) or len(mirror) > 1:
                return refusal(
                    400, "BadRequest", "Mirror traffic goes to one deployment without live traffic, up to 50."
                )
            if old and old["properties"]["authMode"].lower() != properties["authMode"].lower():
                return refusal(400, "BadRequest", "The authentication mode of an endpoint cannot be changed.")
            self.shares.append(dict(traffic))
            place = f"https://{name}.{REGION}.inference.ml.azure.com"
            state: dict[str, Any] = {
                "authMode": properties["authMode"],
                "description": properties.get("description"),
                "properties": properties.get("properties") or {},
                "traffic": traffic,
                "mirrorTraffic": mirror,
                "publicNetworkAccess": properties.get("publicNetworkAccess") or "Enabled",
                "scoringUri": old["properties"]["scoringUri"] if old else None,
                "swaggerUri": old["properties"]["swaggerUri"] if old else None,
                "provisioningState": "Updating" if old else "Creating",
            }
            endpoint = self.resources[name] = {
                **resource("onlineEndpoints", name),
                "location": request.json["location"],
                "kind": request.json.get("kind") or "Managed",
                "tags": request.json.get("tags") or {},
                "identity": {"type": "SystemAssigned", "principalId": TENANT, "tenantId": TENANT},
                "properties": state,
            }
            return self._operations.begin(request, lambda: self._finish(state, place), 200 if old else 201, endpoint)

    @route("DELETE", "/{name}")
    def delete(self, request: Request, name: str) -> Response:
        if name not in self.resources:
            return Response(204)
        return self._operations.begin(request, lambda: self._remove(name), 202)

    @route("POST", "/{name}/listKeys")
    def keys(self, request: Request, name: str) -> Response:
        if name not in self.resources:
            return missing("endpoint", name)
        if self.resources[name]["properties"]["authMode"].lower() != "key":
            return refusal(400, "BadRequest", "The endpoint has no keys.")
        return answer({"primaryKey": KEY, "secondaryKey": KEY[::-1]})

    @route("POST", "/{name}/token")
    def token(self, request: Request, name: str) -> Response:
        later = int(time.time()) + 3600
        times = {"expiryTimeUtc": later, "refreshAfterTimeUtc": later - 1800}
        return answer({"accessToken": KEY, "tokenType": "Bearer", **times})

    def _finish(self, state: dict[str, Any], place: str) -> None:
        with self.lock:
            addresses = {"scoringUri": f"{place}/score", "swaggerUri": f"{place}/swagger.json"}
            state.update(provisioningState="Succeeded", **addresses)

    def _remove(self, name: str) -> None:
        with self.lock:
            self.resources.pop(name, None)
            removed = [key for key in self.deployments if key[0] == name]
            for key in removed:
                del self.deployments[key]
        for key in removed:
            self.on_removal(*key)


def missing(what: str, name: str) -> Response:
    """The service's answer for an endpoint or a deployment that does not exist."""
    return refusal(404, "ResourceNotFound", f"The online {what} '{name}' was not found.")
