"""A deployment target for ftkit: an ASGI server on this machine that divides requests among deployments."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from ftkit import files, hookimpl
from ftkit.bundle.bundle import cleared
from ftkit.contracts import Deployment, Endpoint, Health
from ftkit.errors import DeployError

DEPLOYMENT = "X-Deployment"
"""The header of a request to one deployment, and of an answer with the deployment that gave it."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
"""What endpoints and deployments may be called: they name folders."""


@dataclass(frozen=True, kw_only=True)
class Seedling:
    """An endpoint on this machine: one ASGI server, and a server process for each deployment."""

    name: ClassVar[str] = "seedling"
    local: ClassVar[bool] = True  # nobody else can reach it: a run elsewhere leaves this stage to the client
    endpoint: str
    """The name of the endpoint."""
    engine: str = "native"
    """The engine of the bundle that answers."""
    port: int = 0
    """The port to listen on; 0 takes a free one."""
    timeout: float = 60.0
    """Seconds within which a request must be answered."""
    access_log: bool = False
    """Whether every request is logged."""
    level: Literal["info", "warning"] = "warning"
    """What the endpoint's own log has."""
    hosts: tuple[str, ...] = ("127.0.0.1", "localhost")
    """The names of this machine by which it may be called."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers to add to every answer."""
    folder: Path | None = None
    """Where it keeps bundles and logs; by default in FTKIT_HOME."""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.endpoint):
            raise ValueError("endpoint must be letters, digits, dots, dashes and underscores: it names a folder")
        if not 0 <= self.port <= 65535:
            raise ValueError("port must be from 0 to 65535")
        if self.timeout <= 0:
            raise ValueError("timeout must be above 0")

    def prepare(self) -> Endpoint:
        """Start the endpoint if it does not run."""
        from filelock import FileLock

        self._folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._folder / "lock"):
            if self.describe() is None:
                self._start()
        if (endpoint := self.describe()) is None:
            raise DeployError("another process stopped the endpoint", self.endpoint, "Run the recipe again.")
        return endpoint

    def create(self, deployment: str, bundle: Path) -> None:
        """Copy the bundle and start its server. Only bundles that a promotion record lets through are copied."""
        cleared_bundle = cleared(bundle, self.engine)
        if deployment in self._status() or not NAME.fullmatch(deployment):
            what = f"there is a deployment {deployment!r} already, or it is no name"
            raise DeployError(what, self.endpoint, "Choose another name.")
        with files.atomic_folder(self._bundle(deployment)) as copy:
            shutil.copytree(bundle, copy, dirs_exist_ok=True)
        options = {"bundle_hash": cleared_bundle.hash, "engine": self.engine}
        self._ask("PUT", f"/deployments/{deployment}", options)

    def health(self, deployment: str) -> Health:
        """What the deployment's server says of itself."""
        status = self._status()
        if deployment not in status:
            raise DeployError(f"there is no deployment {deployment!r}", self.endpoint, "Deploy it again.")
        state, reason = status[deployment]["state"], status[deployment]["reason"]
        return Health(state, reason, self.logs(deployment) if state == "failed" else "")

    def invoke(self, request: Mapping[str, Any], deployment: str | None = None) -> Any:
        """Send a request as any caller would."""
        return self._ask("POST", "/score", dict(request), {DEPLOYMENT: deployment} if deployment else {})

    def set_traffic(self, shares: Mapping[str, int]) -> None:
        """Change all shares at once."""
        self._ask("PUT", "/traffic", dict(shares))

    def delete(self, deployment: str) -> None:
        """End the deployment's server when its requests are answered; the endpoint refuses one that has traffic."""
        self._ask("DELETE", f"/deployments/{deployment}")
        shutil.rmtree(self._bundle(deployment).parent, ignore_errors=True)

    def describe(self) -> Endpoint | None:
        """The endpoint, or None where none answers."""
        try:
            status = self._status()
        except DeployError:
            return None
        deployments = (
            Deployment(name, each["traffic"], each["state"], each["bundle_hash"], each["engine"])
            for name, each in status.items()
        )
        return Endpoint(self.endpoint, f"{self._address()}/score", self._key(), tuple(deployments))

    def logs(self, deployment: str, lines: int = 100) -> str:
        """The end of the log of the deployment's server."""
        return files.tail(self._bundle(deployment).parent / "log", lines)

    def stop(self) -> None:
        """End the endpoint and its deployments."""
        address = self._folder / "address"
        if self.describe() is not None:
            self._ask("POST", "/stop")
            self._wait(lambda: not address.exists(), "the endpoint does not end")
        shutil.rmtree(self._folder / "deployments", ignore_errors=True)

    @property
    def _folder(self) -> Path:
        return ((self.folder or files.home() / "seedling") / self.endpoint).absolute()

    def _bundle(self, deployment: str) -> Path:
        return self._folder / "deployments" / deployment / "bundle"

    def _start(self) -> None:
        """Start the endpoint's process, which outlives this one."""
        (self._folder / "address").unlink(missing_ok=True)
        self._make_key()
        options = {name: vars(self)[name] for name in ("endpoint", "port", "access_log", "level", "timeout")}
        options |= {"hosts": self.hosts, "headers": dict(self.headers)}
        program = [sys.executable, "-P", "-m", "ftkit_seedling.server"]
        command = [*program, str(self._folder), json.dumps(options)]
        with (self._folder / "log").open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._wait(
            lambda: (self._folder / "address").exists() or process.poll() is not None, "the endpoint does not start"
        )
        if process.poll() is not None:
            raise DeployError("the endpoint cannot start", self.endpoint, files.tail(self._folder / "log", 5))

    def _wait(self, reached: Any, what: str) -> None:
        """Wait for something that takes a moment. Raises: DeployError."""
        ends = time.monotonic() + 60
        while not reached():
            if time.monotonic() > ends:
                raise DeployError(what, self.endpoint, files.tail(self._folder / "log", 5))
            time.sleep(0.02)

    def _key(self) -> str:
        """What callers send; only the user can read its file."""
        return (self._folder / "key").read_text(encoding="ascii")

    def _make_key(self) -> None:
        path = self._folder / "key"
        if not path.exists():
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
                file.write(secrets.token_urlsafe(32))

    def _address(self) -> str:
        """The endpoint's address. Raises: DeployError."""
        try:
            return (self._folder / "address").read_text(encoding="ascii")
        except OSError as error:
            raise DeployError("the endpoint does not run", self.endpoint, "Run the recipe again.") from error

    def _status(self) -> dict[str, Any]:
        """What the endpoint says of each deployment. Raises: DeployError."""
        status: dict[str, Any] = self._ask("GET", "/deployments")
        return status

    def _ask(self, method: str, path: str, value: Any = None, further: Mapping[str, str] | None = None) -> Any:
        """The endpoint's answer to a request. Raises: DeployError."""
        url = self._address() + path
        headers = {"Authorization": f"Bearer {self._key()}", "Content-Type": "application/json", **(further or {})}
        request = Request(url, json.dumps(value).encode(), headers, method=method)
        try:
            with urlopen(request, timeout=self.timeout + 10) as answer:
                return json.loads(answer.read())
        except HTTPError as error:
            refusal = json.loads(error.read())
            raise DeployError(refusal["error"], self.endpoint, refusal["hint"]) from error
        except OSError as error:
            raise DeployError(
                f"the endpoint does not answer: {error}", self.endpoint, "Run the recipe again."
            ) from error


@hookimpl
def deployers() -> list[type[Seedling]]:
    """The deployment targets of this plugin."""
    return [Seedling]
