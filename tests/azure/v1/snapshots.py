"""The content service: the code of steps, uploaded to blobs and unpacked for a run."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.azure.messages import Request, Response, answer
from tests.azure.routes import route
from tests.azure.storage import HOST, STORE, Storage, sas
from tests.azure.v1.regional import Regional
from tests.azure.workspace import ID, now

NOTHING = "00000000-0000-0000-0000-000000000000"


class Snapshots(Regional):
    """File trees by identifier; the content of a file is a blob."""

    prefix = "/content"

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.trees: dict[str, dict[str, Any]] = {}
        self._places: dict[str, str] = {}
        """The blob of each file, by the file's address without the signature."""

    @route("GET", "/v1.0" + ID + "/snapshots/latest/metadata")
    def latest(self, request: Request) -> Response:
        root = {"name": "", "hash": "", "type": "Directory", "timestamp": now(), "sizeBytes": 0, "children": {}}
        return answer({"id": NOTHING, "root": {**root, "sasUrl": None, "absoluteUrl": None, "sizeSet": False}})

    @route("POST", "/v2.0" + ID + "/snapshots/getblob")
    def places(self, request: Request) -> Response:
        folder = uuid.uuid4()
        nodes = []
        for name in request.json["FileNames"]:
            self._places[f"https://{HOST}/snapshots/{folder}/{quote(name)}"] = f"{STORE}/snapshots/{folder}/{name}"
            nodes.append({"fullName": name, "blobUri": f"https://{HOST}/snapshots/{folder}/{quote(name)}?{sas()}"})
        return answer({"fileNodes": nodes})

    @route("POST", "/v2.0" + ID + "/snapshots/{name}")
    def keep(self, request: Request, name: str) -> Response:
        self.trees[name] = request.json
        return answer({"id": name, "createdTime": now(), "parentSnapshotId": None})

    def unpack(self, name: str, folder: Path) -> None:
        """Write a snapshot's files to a folder, as the service does on a run's machine."""
        for path, node in _files(self.trees[name]):
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            address = str(node).partition("?")[0]
            target.write_bytes(self.storage.blobs[self._places[address]].data)


def _files(tree: dict[str, Any]) -> list[tuple[str, str]]:
    """Path and blob address of every file of an uploaded tree."""
    return [(each["FullName"], each["BlobUri"]) for each in tree["FileRevisionList"]["FileNodes"]]
