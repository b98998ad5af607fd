"""Azure Resource Manager: a subscription and a resource group with one workspace, its datastore and its clusters."""

from __future__ import annotations

import datetime
from typing import Any

from tests.azure.identity import TENANT, signed_in
from tests.azure.messages import Request, Response, answer, refusal
from tests.azure.routes import Routed, route
from tests.azure.storage import CONTAINER, STORE, sas

MANAGEMENT = "management.azure.com"
SUBSCRIPTION = "00000000-0000-0000-0000-00000000aaaa"
GROUP = "ftkit-group"
WORKSPACE = "ftkit-workspace"
WORKSPACE_ID = "22222222-0000-0000-0000-000000000002"
REGION = "westeurope"
API = f"{REGION}.api.azureml.ms"
"""The host of the workspace's own services, such as run history and discovery."""
PROVIDER = "Microsoft.MachineLearningServices"
ID = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/{PROVIDER}/workspaces/{WORKSPACE}"
"""The workspace's resource id; the addresses of its resources begin with it."""

CONFIG = {"subscription_id": SUBSCRIPTION, "resource_group": GROUP, "workspace_name": WORKSPACE}
"""The content of this workspace's config.json."""


class Managed(Routed):
    """A service of Azure Resource Manager: requires a token and an api-version."""

    hosts = (MANAGEMENT,)

    def guard(self, request: Request) -> Response | None:
        if not signed_in(request):
            return refusal(401, "AuthenticationFailed", "No bearer token.", {"WWW-Authenticate": "Bearer"})
        if "api-version" not in request.query:
            return refusal(400, "MissingApiVersionParameter", "The api-version query parameter is required.")
        return None


class Clouds(Routed):
    """The metadata of Azure's clouds, which Resource Manager gives without a token."""

    hosts = (MANAGEMENT,)

    @route("GET", "/metadata/endpoints")
    def endpoints(self, request: Request) -> Response:
        """Source: Azure REST API, "Metadata endpoints", version 2019-05-01."""
        login = {"loginEndpoint": "https://login.microsoftonline.com/", "tenant": "common", "identityProvider": "AAD"}
        return answer(
            [
                {
                    "name": "AzureCloud",
                    "authentication": {**login, "audiences": ["https://management.core.windows.net/"]},
                    "resourceManager": f"https://{MANAGEMENT}/",
                    "graphAudience": "https://graph.windows.net/",
                    "portal": "https://portal.azure.com",
                    "suffixes": {"storage": "core.windows.net", "keyVaultDns": "vault.azure.net"},
                }
            ]
        )


class Subscriptions(Managed):
    """The subscription and its resource group."""

    @route("GET", "/subscriptions")
    def all(self, request: Request) -> Response:
        return answer({"value": [_subscription()]})

    @route("GET", "/subscriptions/{subscription}")
    def one(self, request: Request, subscription: str) -> Response:
        return answer(_subscription()) if subscription == SUBSCRIPTION else _none("SubscriptionNotFound", subscription)

    @route("GET", "/subscriptions/{subscription}/resourceGroups/{group}")
    def group(self, request: Request, subscription: str, group: str) -> Response:
        if (subscription, group) != (SUBSCRIPTION, GROUP):
            return _none("ResourceGroupNotFound", group)
        return answer(
            {"id": f"/subscriptions/{subscription}/resourceGroups/{group}", "name": group, "location": REGION}
        )

    @route("GET", "/subscriptions/{subscription}/resourceGroups/{group}/providers/" + PROVIDER + "/workspaces/{name}")
    def other_workspace(self, request: Request, subscription: str, group: str, name: str) -> Response | None:
        if f"{subscription}/{group}/{name}" == f"{SUBSCRIPTION}/{GROUP}/{WORKSPACE}":
            return None
        message = f"The Resource '{PROVIDER}/workspaces/{name}' under resource group '{group}' was not found."
        return refusal(404, "ResourceNotFound", message)

    @route(
        "*", "/subscriptions/{subscription}/resourceGroups/{group}/providers/" + PROVIDER + "/workspaces/{name}/{rest*}"
    )
    def in_other_workspace(
        self, request: Request, subscription: str, group: str, name: str, rest: str
    ) -> Response | None:
        return self.other_workspace(request, subscription, group, name)


class Workspace(Managed):
    """One workspace with a blob store and two clusters."""

    prefix = ID

    def __init__(self) -> None:
        self.clusters = {name: cluster(name) for name in ("cpu-cluster", "gpu-cluster")}

    @route("GET", "")
    def workspace(self, request: Request) -> Response:
        def beside(kind: str, name: str) -> str:
            return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/{kind}/{name}"

        return answer(
            {
                **resource("", WORKSPACE),
                "location": REGION,
                "tags": {},
                "kind": "Default",
                "sku": {"name": "Basic", "tier": "Basic"},
                "identity": {"type": "SystemAssigned", "principalId": WORKSPACE_ID, "tenantId": TENANT},
                "properties": {
                    "workspaceId": WORKSPACE_ID,
                    "friendlyName": WORKSPACE,
                    "description": "",
                    "provisioningState": "Succeeded",
                    "hbiWorkspace": False,
                    "publicNetworkAccess": "Enabled",
                    "tenantId": TENANT,
                    "discoveryUrl": f"https://{API}/discovery",
                    "mlFlowTrackingUri": f"azureml://{API}/mlflow/v1.0{ID}",
                    "storageAccount": beside("Microsoft.Storage/storageAccounts", STORE),
                    "keyVault": beside("Microsoft.KeyVault/vaults", "vault"),
                    "applicationInsights": beside("Microsoft.Insights/components", "insights"),
                },
            }
        )

    @route("GET", "/datastores")
    def datastores(self, request: Request) -> Response:
        return answer({"value": [_datastore("workspaceblobstore")]})

    @route("GET", "/datastores/{name}")
    def datastore(self, request: Request, name: str) -> Response:
        return answer(_datastore(name)) if name == "workspaceblobstore" else _missing(name)

    @route("POST", "/datastores/{name}/listSecrets")
    def secrets(self, request: Request, name: str) -> Response:
        return answer({"secretsType": "Sas", "sasToken": sas()})

    @route("GET", "/computes")
    def computes(self, request: Request) -> Response:
        return answer({"value": list(self.clusters.values())})

    @route("GET", "/computes/{name}")
    def compute(self, request: Request, name: str) -> Response:
        return answer(self.clusters[name]) if name in self.clusters else _missing(name)

    @route("PUT", "/computes/{name}")
    def create_compute(self, request: Request, name: str) -> Response | None:
        if request.query["api-version"] == "2020-02-02":
            return None  # a request of the older SDK, which another service answers
        created = self.clusters[name] = {**cluster(name), "identity": request.json.get("identity")}
        created["properties"]["properties"] |= request.json["properties"]["properties"]
        return answer(created, 201)


def cluster(name: str) -> dict[str, Any]:
    """A cluster that is ready."""
    size = "STANDARD_NC6S_V3" if name.startswith("gpu") else "STANDARD_DS3_V2"
    return {
        **resource("computes", name),
        "location": REGION,
        "tags": {},
        "properties": {
            "computeType": "AmlCompute",
            "provisioningState": "Succeeded",
            "isAttachedCompute": False,
            "computeLocation": REGION,
            "properties": {
                "vmSize": size,
                "vmPriority": "Dedicated",
                "scaleSettings": {"minNodeCount": 0, "maxNodeCount": 4, "nodeIdleTimeBeforeScaleDown": "PT120S"},
                "allocationState": "Steady",
                "currentNodeCount": 0,
                "targetNodeCount": 0,
            },
        },
    }


def resource(kind: str, name: str, id_: str = "") -> dict[str, Any]:
    """The fields of every resource of the workspace: id, name, type, and its creation."""
    whole = "/".join(["workspaces", *([kind] if kind else [])])
    creation = {"createdAt": now(), "createdBy": "principal@loopback", "createdByType": "Application"}
    change = {"lastModifiedAt": now(), "lastModifiedBy": "principal@loopback", "lastModifiedByType": "Application"}
    return {
        "id": id_ or (f"{ID}/{kind}/{name}" if kind else ID),
        "name": name,
        "type": f"{PROVIDER}/{whole}",
        "systemData": {**creation, **change},
    }


def now() -> str:
    """The current time in the service's format."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _datastore(name: str) -> dict[str, Any]:
    return {
        **resource("datastores", name),
        "properties": {
            "datastoreType": "AzureBlob",
            "isDefault": True,
            "accountName": STORE,
            "containerName": CONTAINER,
            "endpoint": "core.windows.net",
            "protocol": "https",
            "credentials": {"credentialsType": "Sas"},
            "serviceDataAccessAuthIdentity": "None",
            "description": None,
            "tags": {},
            "properties": {},
            "subscriptionId": SUBSCRIPTION,
            "resourceGroup": GROUP,
        },
    }


def _subscription() -> dict[str, Any]:
    return {
        "id": f"/subscriptions/{SUBSCRIPTION}",
        "subscriptionId": SUBSCRIPTION,
        "tenantId": TENANT,
        "displayName": "loopback",
        "state": "Enabled",
    }


def _missing(name: str) -> Response:
    return refusal(404, "ResourceNotFound", f"The resource '{name}' was not found.")


def _none(code: str, name: str) -> Response:
    return refusal(404, code, f"'{name}' could not be found.")
