"""Assets by name and version: models, environments, code, data, components."""

from __future__ import annotations

import re
import threading
import uuid
from typing import Any

from tests.azure.messages import Request, Response, answer, refusal
from tests.azure.routes import route
from tests.azure.storage import CONTAINER, HOST, STORE, Storage, sas
from tests.azure.workspace import GROUP, ID, SUBSCRIPTION, Managed, resource

KINDS = ("models", "environments", "codes", "data", "components")


class Assets(Managed):
    """Versions of assets, whose files lie in the storage."""

    prefix = ID

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._lock = threading.RLock()
        self.versions: dict[tuple[str, str, str], dict[str, Any]] = {}
        """By kind, name and version, oldest first."""

    def find(self, reference: str) -> dict[str, Any] | None:
        """The version with this resource id."""
        named = re.search(r"/(\w+)/([^/]+)/versions/([^/]+)$", reference)
        return self.versions.get((named[1], named[2], named[3])) if named else None

    def files(self, uri: str) -> tuple[str, dict[str, bytes]]:
        """The name of the folder or file at an asset's uri, and its files by their path below it."""
        if stored := re.match(r"azureml://.*/datastores/[^/]+/paths/(.+?)/?$", uri):
            place = f"{STORE}/{CONTAINER}/{stored[1]}"
        elif stored := re.match(r"https://(\w+)\.blob\.core\.windows\.net(?::443)?/(.+?)/?$", uri):
            place = f"{stored[1]}/{stored[2]}"
        else:
            return "", {}
        return place.rpartition("/")[2], self._storage.below(place)

    @route("GET", "/{kind}/{name}")
    def container(self, request: Request, kind: str, name: str) -> Response | None:
        if kind not in KINDS:
            return None
        versions = self._all(kind, name)
        if not versions:
            return _missing(kind, name)
        latest = max((int(each["name"]) for each in versions if each["name"].isdigit()), default=0)
        numbers = {"latestVersion": str(latest), "nextVersion": str(latest + 1)}
        defaults = {"isArchived": False, "tags": {}, "properties": {}, "description": None}
        return answer({**resource(kind, name), "properties": {**numbers, **defaults}})

    @route("GET", "/{kind}")
    def containers(self, request: Request, kind: str) -> Response | None:
        if kind not in KINDS:
            return None
        names = dict.fromkeys(key[1] for key in self.versions if key[0] == kind)
        return answer({"value": [self.container(request, kind, name).json for name in names]})  # type: ignore[union-attr]

    @route("GET", "/{kind}/{name}/versions")
    def all(self, request: Request, kind: str, name: str) -> Response | None:
        if kind not in KINDS:
            return None
        versions = self._all(kind, name)[::-1]
        if digest := request.query.get("hash"):
            versions = [
                each for each in versions if each["properties"].get("properties", {}).get("hash_sha256") == digest
            ]
        if top := request.query.get("$top"):
            versions = versions[: int(top)]
        return answer({"value": versions})

    @route("GET", "/{kind}/{name}/versions/{version}")
    def get(self, request: Request, kind: str, name: str, version: str) -> Response | None:
        if kind not in KINDS:
            return None
        asset = self.versions.get((kind, name, version))
        return answer(asset) if asset else _missing(kind, f"{name}:{version}")

    @route("PUT", "/{kind}/{name}/versions/{version}")
    def put(self, request: Request, kind: str, name: str, version: str) -> Response | None:
        if kind not in KINDS:
            return None
        properties = {key: value for key, value in request.json["properties"].items() if value is not None}
        with self._lock:
            old = self.versions.get((kind, name, version))
            for place in ("modelUri", "codeUri"):
                if place in properties and not self.files(properties[place])[1]:
                    return refusal(400, "UserError", f"nothing was uploaded to {properties[place]}")
                if old and old["properties"].get(place) != properties.get(place):
                    return refusal(400, "UserError", f"the {place} of a version cannot be changed")
            if old and kind == "environments" and _fixed(old["properties"]) != _fixed(properties):
                return refusal(400, "UserError", "an environment's version cannot be changed")
            envelope = resource(kind, version, f"{ID}/{kind}/{name}/versions/{version}")
            defaults: dict[str, Any] = {"isAnonymous": False, "isArchived": False, "tags": {}, "properties": {}}
            if kind == "models":
                defaults["flavors"] = {}
            self.versions[kind, name, version] = {
                **envelope,
                "systemData": old["systemData"] if old else envelope["systemData"],
                "properties": {**defaults, **properties, "provisioningState": "Succeeded"},
            }
        return answer(self.versions[kind, name, version], 200 if old else 201)

    @route("POST", "/{kind}/{name}/versions/{version}/startPendingUpload")
    def upload(self, request: Request, kind: str, name: str, version: str) -> Response:
        """A new container to upload to, as the service provides for code."""
        place = f"https://{HOST}/{uuid.uuid4()}"
        account = (
            f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Storage/storageAccounts/{STORE}"
        )
        return answer(
            {
                "pendingUploadId": str(uuid.uuid4()),
                "pendingUploadType": "TemporaryBlobReference",
                "blobReferenceForConsumption": {
                    "blobUri": place,
                    "storageAccountArmId": account,
                    "credential": {"credentialType": "SAS", "sasUri": f"{place}?{sas('rwl')}"},
                },
            }
        )

    def _all(self, kind: str, name: str) -> list[dict[str, Any]]:
        with self._lock:
            return [value for key, value in self.versions.items() if key[:2] == (kind, name)]


def _fixed(properties: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(properties.get(key) for key in ("image", "condaFile"))


def _missing(kind: str, name: str) -> Response:
    return refusal(404, "UserError", f"Not found {kind.rstrip('s')} {name}.")
