"""A region's own services: discovery, the workspace's datastore, its clusters."""

from __future__ import annotations

import base64
from typing import Any

from tests.azure.identity import signed_in
from tests.azure.messages import Request, Response, answer, refusal
from tests.azure.routes import Routed, route
from tests.azure.storage import CONTAINER, STORE
from tests.azure.workspace import API, GROUP, ID, MANAGEMENT, SUBSCRIPTION, Managed, Workspace, cluster

STORE_KEY = base64.b64encode(b"key of the loopback's storage").decode()
"""The account key that the datastore service sends; it must appear nowhere else."""


class Regional(Routed):
    """A service of the workspace's region, which requires a token."""

    hosts = (API,)

    def guard(self, request: Request) -> Response | None:
        return None if signed_in(request) else refusal(401, "Unauthorized", "No bearer token.")


class Discovery(Routed):
    """Answers with the addresses of the other services; requires no token."""

    hosts = (API,)

    @route("GET", "/discovery")
    def addresses(self, request: Request) -> Response:
        return answer(dict.fromkeys(_SERVICES, f"https://{API}"))

    @route("GET", "/discovery/{rest*}")
    def more_addresses(self, request: Request, rest: str) -> Response:
        return self.addresses(request)


_SERVICES = (
    "api",
    "experimentation",
    "history",
    "hyperdrive",
    "modelmanagement",
    "pipelines",
    "datastore",
    "studio",
    "inference",
    "notebooks",
)


class Datastores(Regional):
    """The workspace's blob store, as the older SDK reads it."""

    prefix = f"/datastore/v1.0{ID}"

    @route("GET", "/default")
    def default(self, request: Request) -> Response:
        return answer(_store("workspaceblobstore"))

    @route("GET", "/datastores")
    def all(self, request: Request) -> Response:
        return answer({"value": [_store("workspaceblobstore")]})

    @route("GET", "/datastores/{name}")
    def one(self, request: Request, name: str) -> Response:
        return answer(_store(name))


class Clusters(Regional):
    """The workspace's clusters."""

    prefix = f"/rp/workspaces{ID}"

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    @route("GET", "/computes")
    def all(self, request: Request) -> Response:
        return answer({"value": [described(each) for each in self.workspace.clusters.values()]})

    @route("GET", "/computes/{name}")
    def one(self, request: Request, name: str) -> Response:
        known = self.workspace.clusters.get(name)
        return answer(described(known)) if known else refusal(404, "ResourceNotFound", f"no cluster {name}")


class ManagedClusters(Managed):
    """Creates clusters, and answers for the operations that do so."""

    prefix = ID

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    @route("PUT", "/computes/{name}")
    def create(self, request: Request, name: str) -> Response:
        created = cluster(name)
        if identity := request.json.get("identity"):
            created["identity"] = identity
        created["properties"]["properties"] |= request.json["properties"]["properties"]
        self.workspace.clusters[name] = described(created)
        operation = f"https://{MANAGEMENT}{ID}/computeOperations/{name}?api-version=2020-06-01"
        return answer(described(created), 201, {"Azure-AsyncOperation": operation})

    @route("GET", "/computeOperations/{name}")
    def operation(self, request: Request, name: str) -> Response:
        return answer({"id": name, "status": "Succeeded"})


def _store(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "dataStoreType": "AzureBlob",
        "hasBeenValidated": True,
        "isDefault": True,
        "tags": {},
        "azureStorageSection": {
            "accountName": STORE,
            "containerName": CONTAINER,
            "endpoint": "core.windows.net",
            "protocol": "https",
            "credentialType": "AccountKey",
            "credential": STORE_KEY,
            "isSas": False,
            "subscriptionId": SUBSCRIPTION,
            "resourceGroup": GROUP,
        },
    }


def described(resource: dict[str, Any]) -> dict[str, Any]:
    """A cluster with every field that the older SDK reads."""
    properties = resource["properties"]
    nodes = dict.fromkeys(("preparing", "running", "idle", "unusable", "leaving", "preempted"), 0)
    return {
        **resource,
        "properties": {
            **properties,
            "provisioningErrors": None,
            "createdOn": "2026-01-01T00:00:00.0000000+00:00",
            "modifiedOn": "2026-01-01T00:00:00.0000000+00:00",
            "description": "",
            "resourceId": None,
            "disableLocalAuth": False,
            "properties": {
                **properties["properties"],
                "targetNodeCount": 0,
                "allocationStateTransitionTime": "2026-01-01T00:00:00Z",
                "errors": None,
                "nodeStateCounts": {f"{state}NodeCount": count for state, count in nodes.items()},
                "remoteLoginPortPublicAccess": "Enabled",
                "osType": "Linux",
                "subnet": None,
                "userAccountCredentials": {"adminUserName": "azureuser"},
            },
        },
    }
