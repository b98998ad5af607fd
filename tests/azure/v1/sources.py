"""Folders of the datastore that the steps of a pipeline have mounted."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from tests.azure.messages import Request, Response, answer, refusal
from tests.azure.routes import route
from tests.azure.v1.regional import Regional
from tests.azure.workspace import ID, now


class DataSources(Regional):
    """What the pipeline service knows of such folders."""

    prefix = f"/pipelines/v1.0{ID}/DataSources"

    def __init__(self) -> None:
        self._known: dict[str, dict[str, Any]] = {}

    def mounts(self, graph: Mapping[str, Any]) -> dict[str, dict[str, str]]:
        """The folders that each node of a graph takes, by the names of its inputs."""
        folders = {
            each["Id"]: self._known[each["DatasetId"]]["PathOnDataStore"] for each in graph.get("DatasetNodes") or []
        }
        mounts: dict[str, dict[str, str]] = {}
        for edge in graph.get("Edges") or []:
            source, target = edge["SourceOutputPort"].get("NodeId"), edge["DestinationInputPort"]
            if source in folders:
                mounts.setdefault(target["NodeId"], {})[target["PortName"]] = folders[source]
        return mounts

    @route("GET", "/Hash/{digest}")
    def by_hash(self, request: Request, digest: str) -> Response:
        matches = [each for each in self._known.values() if each["IdentifierHash"] == digest]
        return answer(matches[-1]) if matches else refusal(404, "UserError", "no such data source")

    @route("POST", "")
    def add(self, request: Request) -> Response:
        source = entity_of(**request.json)
        self._known[source["Id"]] = source
        return answer(source)

    @route("GET", "/{source}")
    def one(self, request: Request, source: str) -> Response:
        return answer(self._known[source])


def entity_of(**fields: Any) -> dict[str, Any]:
    """An entity of the pipeline service: its fields, and those that all have."""
    common = {
        "Id": str(uuid.uuid4()),
        "Etag": '"1"',
        "CreatedDate": now(),
        "LastModifiedDate": now(),
        "EntityStatus": "0",
    }
    return {**common, **fields}
