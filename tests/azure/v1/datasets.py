"""Registered Datasets: files by name and version, brought to a run's machine as a folder."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.azure.messages import Request, Response, answer, refusal
from tests.azure.routes import route
from tests.azure.v1.regional import Regional
from tests.azure.workspace import ID, now


class Datasets(Regional):
    """What `Dataset.get_by_name` finds; `add` registers files."""

    prefix = f"/dataset/v1.0{ID}"

    def __init__(self) -> None:
        self.files: dict[str, Mapping[str, bytes]] = {}
        """Files of each Dataset by its name."""
        self.inputs: dict[str, str] = {}
        """Name of the Dataset that an input of the steps consumes, by the input's name."""
        self._known: dict[str, dict[str, Any]] = {}

    def add(self, name: str, files: Mapping[str, bytes]) -> None:
        """Register files under a name, as version 1."""
        self.files[name] = files
        self._known[name] = _described(name)

    def mounted(self, arguments: Sequence[str], folder: Path) -> list[str]:
        """A command line in which every input has become a folder with the files of its Dataset."""
        return [self._folder(each, folder) for each in arguments]

    def _folder(self, argument: str, folder: Path) -> str:
        found = re.fullmatch(r"<Input (.+)>", argument)
        if not found:
            return argument
        place = folder / "mounted" / found[1]
        for name, content in self.files[self.inputs[found[1]]].items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(content)
        return str(place)

    @route("GET", "/datasets/query/name={name}")
    def by_name(self, request: Request, name: str) -> Response:
        found = self._known.get(name)
        return answer(found) if found else refusal(404, "UserError", f"no Dataset {name}")

    @route("GET", "/saveddatasets/{name}")
    def saved(self, request: Request, name: str) -> Response:
        found = next(each for each in self._known.values() if each["latest"]["savedDatasetId"] == name)
        return answer(
            {"id": name, "datasetType": "file", "dataflowJson": found["latest"]["dataflow"], "properties": {}}
        )


def _described(name: str) -> dict[str, Any]:
    """A Dataset of files as the service tells of one: its latest version with the flow that lists its files."""
    flow = {
        "blocks": [
            {
                "id": str(uuid.uuid4()),
                "type": "Microsoft.DPrep.GetDatastoreFilesBlock",
                "arguments": {"datastores": [{"datastoreName": "workspaceblobstore", "path": f"datasets/{name}"}]},
                "localData": {},
                "isEnabled": True,
                "name": None,
                "annotation": None,
            }
        ],
        "inspectors": [],
        "meta": {},
    }
    version = {
        "versionId": "1",
        "savedDatasetId": str(uuid.uuid4()),
        "dataflow": json.dumps(flow),
        "properties": {},
        "tags": {},
        "createdTime": now(),
    }
    known = {"datasetId": str(uuid.uuid4()), "name": name, "datasetType": "file", "isVisible": True}
    return {**known, "datasetState": {"state": "active"}, "createdTime": now(), "latest": version}
