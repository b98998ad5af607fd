"""Deployments of online endpoints, whose servers are started for real."""

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
        """Code and message by which the next deployments fail, while they are being made."""

    @route("GET", "")
    def all(self, request: Request, endpoint: str) -> Response:
        if endpoint not in self._endpoints.found:
            return missing("endpoint", endpoint)
        return answer({"value": self._endpoints.of(endpoint)})

    @route("GET", "/{name}")
    def get(self, request: Request, endpoint: str, name: str) -> Response:
        found = self._endpoints.deployments.get((endpoint, name))
        return answer(found) if found else missing("deployment", name)

    @route("PUT", "/{name}")
    def put(self, request: Request, endpoint: str, name: str) -> Response:
        if endpoint not in self._endpoints.found:
            return missing("endpoint", endpoint)
        given = {key: value for key, value in request.json["properties"].items() if value is not None}
        code = given["codeConfiguration"]["codeId"]
        for reference in (given["model"], given["environmentId"], code):
            if self._assets.find(reference) is None:
                return refusal(400, "BadArgument", f"Not found: {reference}.")
        with self._endpoints.lock:
            old = self._endpoints.deployments.get((endpoint, name))
            place = f"{ID}/onlineEndpoints/{endpoint}/deployments/{name}"
            made = self._endpoints.deployments[endpoint, name] = {
                **resource("onlineEndpoints/deployments", name, place),
                "location": request.json["location"],
                "kind": "Managed",
                "tags": request.json.get("tags") or {},
                "sku": request.json.get("sku") or {"name": "Default", "capacity": 1},
                "properties": {**_DEFAULTS, **given, "provisioningState": "Updating" if old else "Creating"},
            }
        failing = self.failing.pop(0) if self.failing else None
        return self._operations.begin(
            request, lambda: self._start(endpoint, name, made, failing), 200 if old else 201, made
        )

    @route("DELETE", "/{name}")
    def delete(self, request: Request, endpoint: str, name: str) -> Response:
        with self._endpoints.lock:
            if (endpoint, name) not in self._endpoints.deployments:
                return Response(204)
            made = self._endpoints.deployments[endpoint, name]["properties"]
            if made["provisioningState"] not in ("Succeeded", "Failed"):
                return refusal(409, "Conflict", f"Deployment {name} is being worked on: {made['provisioningState']}.")
            about = self._endpoints.found[endpoint]["properties"]
            if about["traffic"].get(name) or about["mirrorTraffic"].get(name):
                return refusal(400, "BadRequest", f"Deployment {name} still gets traffic; set it to 0 first.")
            made["provisioningState"] = "Deleting"
        return self._operations.begin(request, lambda: self._remove(endpoint, name), 202)

    @route("POST", "/{name}/getLogs")
    def logs(self, request: Request, endpoint: str, name: str) -> Response:
        if (endpoint, name) not in self._endpoints.deployments:
            return missing("deployment", name)
        return answer({"content": self._scoring.log(endpoint, name, (request.json or {}).get("tail") or 100)})

    def _start(self, endpoint: str, name: str, made: dict[str, Any], failing: tuple[str, str] | None) -> None:
        properties = made["properties"]
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
            if endpoint in self._endpoints.found:
                self._endpoints.found[endpoint]["properties"]["traffic"].pop(name, None)
