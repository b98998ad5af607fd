"""Registered Datasets: files in the workspace's blob store by name and version, brought to a run's machine as a folder."""

from __future__ import annotations

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
        """Files of each Dataset by its identifier."""
        self._known: dict[str, dict[str, Any]] = {}

    def add(self, name: str, files: Mapping[str, bytes]) -> str:
        """Register files under a name; returns the Dataset's identifier."""
        made = str(uuid.uuid4())
        self.files[made] = files
        self._known[name] = {"datasetId": made, "name": name, "createdTime": now()}
        return made

    def mounted(self, arguments: Sequence[str], folder: Path) -> list[str]:
        """A command line in which every input that is a Dataset has become a folder with its files."""
        return [self._folder(each, folder) for each in arguments]

    def _folder(self, argument: str, folder: Path) -> str:
        found = re.fullmatch(r"<Input (.+)>", argument)
        if not found:
            return argument
        files = next(iter(self.files.values()))
        place = folder / "mounted" / found[1]
        for name, content in files.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(content)
        return str(place)

    @route("GET", "/datasets/query/name={name}")
    def by_name(self, request: Request, name: str) -> Response:
        found = self._known.get(name)
        return answer(found) if found else refusal(404, "UserError", f"no Dataset {name}")
