"""Registered Datasets: files by name and version, which a run gets as a folder."""

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
    """The Datasets that `Dataset.get_by_name` returns; `add` registers files."""

    prefix = f"/dataset/v1.0{ID}"

    def __init__(self) -> None:
        self.files: dict[str, Mapping[str, bytes]] = {}
        """Files by the name of their Dataset."""
        self.inputs: dict[str, str] = {}
        """Names of Datasets by the name of the steps' input that reads them."""
        self._known: dict[str, dict[str, Any]] = {}

    def add(self, name: str, files: Mapping[str, bytes]) -> None:
        """Register files under a name, as version 1."""
        self.files[name] = files
        self._known[name] = _described(name)

    def mounted(self, arguments: Sequence[str], folder: Path) -> list[str]:
        """A command line in which every input is replaced by a folder with the files of its Dataset."""
        return [self._folder(each, folder) for each in arguments]

    def _folder(self, argument: str, folder: Path) -> str:
        placeholder = re.fullmatch(r"<Input (.+)>", argument)
        if not placeholder:
            return argument
        mount = folder / "mounted" / placeholder[1]
        for name, content in self.files[self.inputs[placeholder[1]]].items():
            (mount / name).parent.mkdir(parents=True, exist_ok=True)
            (mount / name).write_bytes(content)
        return str(mount)

    @route("GET", "/datasets/query/name={name}")
    def by_name(self, request: Request, name: str) -> Response:
        dataset = self._known.get(name)
        return answer(dataset) if dataset else refusal(404, "UserError", f"no Dataset {name}")

    @route("GET", "/saveddatasets/{name}")
    def saved(self, request: Request, name: str) -> Response:
        dataset = next(each for each in self._known.values() if each["latest"]["savedDatasetId"] == name)
        return answer(
            {"id": name, "datasetType": "file", "dataflowJson": dataset["latest"]["dataflow"], "properties": {}}
        )


def _described(name: str) -> dict[str, Any]:
    """A Dataset of files as the service describes it: its latest version with the flow that lists its files."""
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
