"""What the build of ftkit's wheel adds: the list of components that its own plugins offer."""

from __future__ import annotations

import json
import runpy
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ListOfPlugins(BuildHookInterface[Any]):
    """Reads the plugins beside the package, as a checkout does when it runs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Put the list into the wheel; an editable install reads the checkout itself, and a source distribution has the list."""
        self._folder = tempfile.mkdtemp(prefix="ftkit-build-")
        module = runpy.run_path(str(Path(self.root) / "ftkit" / "bundled_plugins.py"))
        if version == "editable" or (Path(self.root) / "ftkit" / module["LIST"]).is_file():
            return
        path = Path(self._folder) / module["LIST"]
        path.write_text(json.dumps(module["offered"](Path(self.root) / "plugins"), indent=1) + "\n", encoding="utf-8")
        build_data["force_include"][str(path)] = f"ftkit/{path.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was made for the build."""
        shutil.rmtree(self._folder, ignore_errors=True)
