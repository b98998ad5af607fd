"""What runs once on each node: an actor that holds the run's data for the trials there, and knows what is installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit_ray.janitor import Janitor

if TYPE_CHECKING:
    import ray

_VERSIONS = """
import json, platform, sys
from importlib import metadata
versions = {"Python": platform.python_version()}
for name in sys.argv[1:]:
    try:
        versions[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        pass
print(json.dumps(versions))
"""


def versions(names: Sequence[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Versions of Python and of those of these distributions that a trial's process would find; nothing of them is loaded."""
    command = [sys.executable, "-P", "-c", _VERSIONS, *names]
    listed = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, check=True)
    return json.loads(listed.stdout)


class Keeper:
    """The data of one run on one node, in a folder that goes with this actor."""

    def __init__(self) -> None:
        self._folder: Path | None = None

    def versions(self, names: Sequence[str], environment: Mapping[str, str]) -> dict[str, str]:
        return versions(names, environment)

    def mark(self, folder: str, name: str) -> None:
        """Leave a mark in a folder, for other nodes to see. Raises: OSError."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        Path(folder, f".{name}").touch()

    def marks(self, folder: str) -> set[str]:
        """The marks that nodes have left there."""
        return {path.name.removeprefix(".") for path in Path(folder).glob(".*")}

    def remove(self, folder: str) -> None:
        """Remove a folder of the storage."""
        shutil.rmtree(folder, ignore_errors=True)

    def unpacked(self, run: str, storage: str, parts: Sequence[tuple[str, ray.ObjectRef[bytes]]]) -> str:
        """The folder with the data of a run; at the first call they come part by part out of the object store. Raises: OSError."""
        import ray

        if self._folder is not None:
            return str(self._folder)
        home = Path(storage or tempfile.gettempdir())
        home.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f"ftkit-{run}-", dir=home))
        self._janitor = Janitor(folder)
        (folder / "cache").mkdir()
        for name, part in parts:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.write(ray.get(part))
        self._folder = folder
        return str(folder)
