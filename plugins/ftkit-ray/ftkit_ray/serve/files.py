"""The files of an endpoint on Ray Serve, on storage that all nodes see.

STORAGE/ENDPOINT/
  key                          mode 0600: what callers send; there is none where anybody may call
  traffic.json                 percent of each deployment
  deployments/NAME/bundle/     the bundle, independent of the run that made it
  deployments/NAME/facts.json  hash of the bundle, engine, why it failed
  logs/NAME/*.log              one log a replica; the last few stay when a deployment is gone
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftkit import files
from ftkit.serving import endpoint_files

LOGS_KEPT = 20
"""Deployments whose logs stay."""


@dataclass(frozen=True)
class EndpointFiles:
    """The folder of one endpoint. It is a value: the router and the replicas get it."""

    root: Path

    @property
    def _traffic(self) -> Path:
        return self.root / "traffic.json"

    def make(self, guarded: bool) -> None:
        """Make the folder and, where callers need one, the key. Raises: OSError."""
        for folder in ("deployments", "logs"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o700)
        if guarded:
            endpoint_files.make_key(self.root / "key")
        else:
            (self.root / "key").unlink(missing_ok=True)

    def key(self) -> str:
        """What callers send; empty where anybody may call."""
        return endpoint_files.read_key(self.root / "key")

    def traffic(self) -> dict[str, int]:
        """Percent of each deployment."""
        return dict(_read(self._traffic))

    def set_traffic(self, shares: Mapping[str, int]) -> None:
        """Write the percent of each deployment. Raises: OSError."""
        files.write_json(self._traffic, dict(shares))

    def bundle(self, deployment: str) -> Path:
        """A deployment's copy of its bundle."""
        return self.root / "deployments" / deployment / "bundle"

    def facts(self, deployment: str) -> Mapping[str, Any]:
        """What is known of a deployment: `bundle_hash`, `engine` and, where it failed, `failed`."""
        return _read(self._facts(deployment))

    def set_facts(self, deployment: str, **facts: Any) -> None:
        """Write what is known of a deployment, unless it was removed in the meantime. Raises: OSError."""
        path = self._facts(deployment)
        if path.parent.is_dir():
            files.write_json(path, {**self.facts(deployment), **facts})

    def deployments(self) -> list[str]:
        """Names of the deployments, in the order in which they were made."""
        folders = (path for path in (self.root / "deployments").glob("*") if (path / "facts.json").exists())
        return [path.name for path in sorted(folders, key=lambda path: (path.stat().st_ctime_ns, path.name))]

    def logs(self, deployment: str) -> Path:
        """The folder of the logs of a deployment's replicas."""
        return self.root / "logs" / deployment

    def last_lines(self, deployment: str, lines: int) -> str:
        """The last lines of the newest log of a deployment."""
        logs = sorted(self.logs(deployment).glob("*.log"), key=lambda path: path.stat().st_mtime)
        return files.tail(logs[-1], lines) if logs else ""

    def remove(self, deployment: str) -> None:
        """Remove a deployment's bundle; its logs stay, with those of the last few."""
        shutil.rmtree(self.root / "deployments" / deployment, ignore_errors=True)
        logs = sorted((self.root / "logs").glob("*"), key=lambda path: path.stat().st_mtime, reverse=True)
        for old in logs[LOGS_KEPT:]:
            if not (self.root / "deployments" / old.name).exists():
                shutil.rmtree(old, ignore_errors=True)

    def clear(self) -> None:
        """Remove every deployment and the traffic; key and logs stay for the next time."""
        self._traffic.unlink(missing_ok=True)
        for name in self.deployments():
            self.remove(name)

    def _facts(self, deployment: str) -> Path:
        return self.root / "deployments" / deployment / "facts.json"


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
