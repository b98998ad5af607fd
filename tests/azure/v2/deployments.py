"""Deployments of online endpoints; each starts a real scoring server."""

from __future__ import annotations

from typing import Any

from tests.azure.messages import Request, Response, answer, refusal
from tests.azure.routes import route
from tests.azure.v2.assets import Assets
from tests.azure.v2.endpoints import Endpoints, missing
from tests.azure.v2.operations import OperationFailed, Operations
from tests.azure.v2.scoring import Scoring
from tests.azure.workspace import ID, Managed, resource

_PROBE = {"failureThreshold": 30, "initialDelay": "PT10S", "period": "PT10S", "successThreshold": 1, "timeout": "PT2S"}
_DEFAULTS: dict[str, Any] = {
    "scaleSettings": {"scaleType": "Default"},
    "livenessProbe": _PROBE,
    "readinessProbe": _PROBE,
    "requestSettings": {
        "maxConcurrentRequestsPerInstance": 1,
        "maxQueueWait": "PT0.5S",
        "requestTimeout": "PT5S",
    },
    "environmentVariables": {},
    "properties": {},
    "egressPublicNetworkAccess": "Enabled",
}


class Deployments(Managed):
    """Creates, describes and removes deployments."""

    prefix = f"{ID}/onlineEndpoints/{{endpoint}}/deployments"

    def __init__(self, operations: Operations, assets: Assets, endpoints: Endpoints, scoring: Scoring) -> None:
        self._operations = operations
        self._assets = assets
        self._endpoints = endpoints
        self._scoring = scoring
        self.failing: list[tuple[str, str]] = []
        """Codes and messages with which the next deployments fail while they are created, one each."""

    @route("GET", "")
    def all(self, request: Request, endpoint: str) -> Response:
        if endpoint not in self._endpoints.resources:
            return missing("endpoint", endpoint)
        return answer({"value": self._endpoints.of(endpoint)})

    @route("GET", "/{name}")
    def get(self, request: Request, endpoint: str, name: str) -> Response:
        deployment = self._endpoints.deployments.get((endpoint, name))
        return answer(deployment) if deployment else missing("deployment", name)

    @route("PUT", "/{name}")
    def put(self, request: Request, endpoint: str, name: str) -> Response:
        if endpoint not in self._endpoints.resources:
            return missing("endpoint", endpoint)
        properties = {key: value for key, value in request.json["properties"].items() if value is not None}
        code = properties["codeConfiguration"]["codeId"]
        for reference in (properties["model"], properties["environmentId"], code):
            if self._assets.find(reference) is None:
                return refusal(400, "BadArgument", f"Not found: {reference}.")
        with self._endpoints.lock:
            old = self._endpoints.deployments.get((endpoint, name))
            place = f"{ID}/onlineEndpoints/{endpoint}/deployments/{name}"
            deployment = self._endpoints.deployments[endpoint, name] = {
                **resource("onlineEndpoints/deployments", name, place),
                "location": request.json["location"],
                "kind": "Managed",
                "tags": request.json.get("tags") or {},
                "sku": request.json.get("sku") or {"name": "Default", "capacity": 1},
                "properties": {**_DEFAULTS, **properties, "provisioningState": "Updating" if old else "Creating"},
            }
        failing = self.failing.pop(0) if self.failing else None
        return self._operations.begin(
            request, lambda: self._start(endpoint, name, deployment, failing), 200 if old else 201, deployment
        )

    @route("DELETE", "/{name}")
    def delete(self, request: Request, endpoint: str, name: str) -> Response:
        with self._endpoints.lock:
            if (endpoint, name) not in self._endpoints.deployments:
                return Response(204)
            properties = self._endpoints.deployments[endpoint, name]["properties"]
            if properties["provisioningState"] not in ("Succeeded", "Failed"):
                return refusal(
                    409, "Conflict", f"Deployment {name} is being worked on: {properties['provisioningState']}."
                )
            routing = self._endpoints.resources[endpoint]["properties"]
            if routing["traffic"].get(name) or routing["mirrorTraffic"].get(name):
                return refusal(400, "BadRequest", f"Deployment {name} still gets traffic; set it to 0 first.")
            properties["provisioningState"] = "Deleting"
        return self._operations.begin(request, lambda: self._remove(endpoint, name), 202)

    @route("POST", "/{name}/getLogs")
    def logs(self, request: Request, endpoint: str, name: str) -> Response:
        if (endpoint, name) not in self._endpoints.deployments:
            return missing("deployment", name)
        return answer({"content": self._scoring.log(endpoint, name, (request.json or {}).get("tail") or 100)})

    def _start(self, endpoint: str, name: str, deployment: dict[str, Any], failing: tuple[str, str] | None) -> None:
        properties = deployment["properties"]
        try:
            if failing:
                raise OperationFailed(*failing)
            self._scoring.start(endpoint, name, properties, self._assets)
        except BaseException:
            properties["provisioningState"] = "Failed"
            raise
        properties["provisioningState"] = "Succeeded"

    def _remove(self, endpoint: str, name: str) -> None:
        self._scoring.stop(endpoint, name)
        with self._endpoints.lock:
            self._endpoints.deployments.pop((endpoint, name), None)
            if endpoint in self._endpoints.resources:
                self._endpoints.resources[endpoint]["properties"]["traffic"].pop(name, None)
