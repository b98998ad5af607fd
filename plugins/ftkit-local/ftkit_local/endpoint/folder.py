"""The files of an endpoint: where it listens, its key, its deployments and their traffic, bundles and logs.

FTKIT_HOME/endpoints/NAME/          mode 0700
  endpoint.json                     address, deployments and traffic: enough to start it again
  key                               mode 0600
  lock                              held while a process starts or stops the endpoint, or adds a deployment
  front.lock, front.pid, front.log  held while the front lives
  front.sock                        the admin interface
  deployments/NAME/bundle/          the bundle, independent of the run that made it
  logs/NAME.log                     kept when the deployment is gone
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from ftkit import files, strict_json
from ftkit.contracts import NATIVE
from ftkit.errors import DeployError
from ftkit.serving import endpoint_files
from ftkit.serving.limits import Limits

FORMAT = 1
LOGS_KEPT = 20
LOG_LIMIT = 10 * 1024 * 1024
"""Bytes after which a log is begun anew at the next start; the one before is kept."""
SOCKET = "{socket}"
"""In a program of an entry, the name of the socket to listen on, in the deployment's folder."""


@dataclass(frozen=True)
class Entry:
    """One deployment as it is meant to be."""

    name: str
    traffic: int = 0
    bundle_hash: str = ""
    threads: int = 1
    """Of its matrix products; 0 takes as many as there are cores."""
    request_timeout: float = 60.0
    limits: Limits = field(default_factory=Limits)
    engine: str = NATIVE
    """Which of the bundle's engines answers."""
    proven: bool = False
    """It has been ready once: from then on it is restarted when it dies."""
    program: tuple[str, ...] = ()
    """What starts the server in place of ftkit's own program, such as a container; empty for that."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Entry:
        """The entry of which `asdict` made this value."""
        program = tuple(value.get("program", ()))
        return cls(**{**value, "limits": Limits(**value.get("limits", {})), "program": program})


@dataclass(frozen=True)
class State:
    """One endpoint as it is meant to be."""

    host: str
    port: int
    auth: Literal["key", "none"]
    deployments: tuple[Entry, ...] = ()
    sticky: str = ""
    """The header, in lower case, whose value keeps a caller with one deployment; empty where none does."""
    probe_timeout: float = 10.0
    """Seconds without any answer after which a deployment counts as hanging."""

    def named(self, name: str) -> Entry | None:
        """The deployment of this name, or None."""
        return next((each for each in self.deployments if each.name == name), None)

    def without(self, name: str) -> State:
        """The same endpoint without this deployment."""
        return replace(self, deployments=tuple(each for each in self.deployments if each.name != name))


@dataclass(frozen=True)
class Folder:
    """The folder of one endpoint."""

    root: Path

    @property
    def state(self) -> Path:
        return self.root / "endpoint.json"

    @property
    def key(self) -> Path:
        return self.root / "key"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def alive(self) -> Path:
        return self.root / "front.lock"

    @property
    def pid(self) -> Path:
        return self.root / "front.pid"

    @property
    def socket(self) -> Path:
        return self.root / "front.sock"

    @property
    def front_log(self) -> Path:
        return self.root / "front.log"

    @property
    def deployments(self) -> Path:
        return self.root / "deployments"

    def log(self, deployment: str) -> Path:
        """A deployment's log."""
        return self.root / "logs" / f"{deployment}.log"

    def bundle(self, deployment: str) -> Path:
        """A deployment's own copy of its bundle."""
        return self.deployments / deployment / "bundle"

    def make(self) -> None:
        """Create the folder, for the user's eyes only. Raises: DeployError."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self.root.chmod(0o700)
            for folder in ("deployments", "logs"):
                (self.root / folder).mkdir(exist_ok=True)
        except OSError as error:
            raise DeployError(
                f"the endpoint's folder cannot be made: {error.strerror}",
                str(self.root),
                "Check its permissions, or set FTKIT_HOME to a folder you can write to.",
            ) from error

    def read(self) -> State | None:
        """The endpoint as it is meant to be, or None when there is none. Raises: DeployError."""
        try:
            value = strict_json.read_object(self.state)
            if value.pop("format") != FORMAT:
                raise ValueError("another version of ftkit has written it")
            state = State(**{**value, "deployments": tuple(map(Entry.from_json, value["deployments"]))})
            _check(state)
            return state
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DeployError(
                f"the endpoint's state cannot be read: {error}",
                str(self.state),
                "Remove the endpoint's folder and run the recipe again: it deploys the champion anew.",
            ) from error

    def write(self, state: State) -> None:
        """Write what the endpoint is meant to be. Raises: OSError."""
        files.write_json(self.state, {"format": FORMAT, **asdict(state)})

    def make_key(self) -> str:
        """The endpoint's key, made at first use."""
        return endpoint_files.make_key(self.key)

    def read_key(self) -> str:
        """The endpoint's key; empty when none was made."""
        return endpoint_files.read_key(self.key)

    def store(self, deployment: str, bundle: Path, engine: str = NATIVE) -> str:
        """Store a bundle for a deployment; returns its hash. Raises: DeployError; BundleError."""
        return endpoint_files.store_bundle(bundle, self.bundle(deployment), engine)

    def remove(self, deployment: str) -> None:
        """Remove a deployment's bundle; its log stays, with those of the last few."""
        shutil.rmtree(self.deployments / deployment, ignore_errors=True)
        logs = sorted((self.root / "logs").glob("*.log"), key=lambda path: path.stat().st_mtime, reverse=True)
        for old in logs[LOGS_KEPT:]:
            if not (self.deployments / old.stem).exists():
                old.unlink(missing_ok=True)


def _check(state: State) -> None:
    """Raises: TypeError, ValueError for a value that no endpoint has: names are folders, and numbers are relied on."""
    texts, numbers, whole = [state.host, state.sticky], [state.probe_timeout], [state.port]
    for each in state.deployments:
        endpoint_files.check_name(each.name, "deployment")
        limits = vars(each.limits)
        texts += [each.bundle_hash, each.engine, *each.program]
        numbers += [each.request_timeout, limits["seconds"]]
        whole += [each.traffic, each.threads, *(value for name, value in limits.items() if name != "seconds")]
    if not all(isinstance(each, str) for each in texts) or state.auth not in ("key", "none"):
        raise ValueError("a value is no text")
    if not all(type(each) in (int, float) and 0 <= each < math.inf for each in numbers):
        raise ValueError("a value is no number")
    if not all(type(each) is int and each >= 0 for each in whole) or state.port not in range(2**16):
        raise ValueError("a value is no whole number")


def endpoints() -> Path:
    """Where this user's endpoints are."""
    return files.home() / "endpoints"


def begin_log(path: Path) -> None:
    """Put a log aside that has grown too long."""
    path.parent.mkdir(exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        os.replace(path, path.with_suffix(".log.1"))
