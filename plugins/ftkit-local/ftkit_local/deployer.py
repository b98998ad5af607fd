"""An HTTP endpoint on this machine as a deployment target."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from ftkit.contracts import Comparison, Deployment, Endpoint, Health, Measures
from ftkit.errors import DeployError
from ftkit.files import tail
from ftkit.serving import http_client, live_counts
from ftkit.serving.endpoint_files import check_name
from ftkit.serving.limits import ServerOptions
from ftkit_local.endpoint import copies, launch
from ftkit_local.endpoint.client import NotRunning, ask, not_running, watched
from ftkit_local.endpoint.folder import Entry, Folder, State, endpoints
from ftkit_local.options import EndpointOptions


@dataclass(frozen=True, kw_only=True)
class LocalDeployer(ServerOptions, EndpointOptions):
    """An HTTP endpoint on this machine that outlives the run: one server process per deployment behind one front."""

    name: ClassVar[str] = "local"
    local: ClassVar[bool] = True
    delay: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        EndpointOptions.__post_init__(self)
        ServerOptions.__post_init__(self)

    @property
    def folder(self) -> Folder:
        """The endpoint's folder."""
        return Folder(endpoints() / self.endpoint)

    def prepare(self) -> Endpoint:
        """Make sure the endpoint runs, with the deployments it had before the machine was restarted."""
        with launch.locked(self.folder):
            if launch.settled(self.folder):
                self._check_settings(ask(self.folder, "GET", "/status"))
            else:
                launch.start(self.folder, self.host, self.port, self.auth)
            sticky = self.sticky.removeprefix("header:").lower()
            ask(self.folder, "PUT", "/settings", {"sticky": sticky, "probe_timeout": self.probe_timeout})
        if not (described := self.describe()):
            raise DeployError("another process stopped the endpoint", self.endpoint, "Run the recipe again.")
        return described

    def create(self, deployment: str, bundle: Path) -> None:
        """Begin a deployment that gets no traffic: the endpoint stores the bundle and starts its server."""
        try:
            check_name(deployment, "deployment")
        except ValueError as error:
            raise DeployError(str(error), self.endpoint) from error
        with launch.locked(self.folder):
            if deployment in (each["name"] for each in ask(self.folder, "GET", "/status")["deployments"]):
                raise DeployError(
                    f"there is a deployment {deployment!r} already", self.endpoint, "Delete it, or choose another name."
                )
            entry = self.stored(deployment, bundle)
            ask(self.folder, "POST", "/deployments", asdict(entry))

    def stored(self, deployment: str, bundle: Path) -> Entry:
        """Store a bundle in the endpoint's folder, for a deployment as it is meant to be. Raises: DeployError, BundleError."""
        return Entry(
            name=deployment,
            bundle_hash=self.folder.store(deployment, bundle, self.engine),
            threads=self.threads,
            request_timeout=self.request_timeout,
            engine=self.engine,
            limits=replace(self.limits, seconds=self.request_timeout / 2),
        )

    def health(self, deployment: str) -> Health:
        """The deployment's health now, with the end of its log when it failed."""
        status = ask(self.folder, "GET", "/status")
        server = next((each for each in status["deployments"] if each["name"] == deployment), None)
        if server is None:
            raise self._unknown(deployment, [each["name"] for each in status["deployments"]])
        if server["state"] == "ready":
            return Health("ready")
        failed = server["state"] != "starting"
        return Health("failed" if failed else "starting", server["reason"], self.logs(deployment) if failed else "")

    def mirror_to(self, deployment: str | None) -> None:
        """Send a deployment copies of the live traffic, or with None no more; no caller gets its answers."""
        ask(self.folder, "PUT", "/mirror", {"name": deployment, "percent": self.mirror})

    def compared(self) -> Comparison | None:
        """How the latest deployment that got copies answered them, beside the one that has the traffic."""
        return copies.from_json(ask(self.folder, "GET", "/compared"))

    def guarded(self, deployment: str) -> AbstractContextManager[None]:
        """The endpoint's own process undoes a rollout whose client is gone, and refuses a second one at the same time."""
        return watched(self.folder, deployment)

    def measures(self, seconds: float) -> Mapping[str, Measures]:
        """What each deployment did over the last seconds, as the front and the servers have counted it."""
        measured = ask(self.folder, "GET", f"/measures?seconds={seconds:g}")
        return {name: live_counts.from_json(table) for name, table in measured.items()}

    def invoke(self, request: Mapping[str, Any], deployment: str | None = None) -> Any:
        """Send one request as any caller would, over HTTP."""
        endpoint = self.describe()
        if endpoint is None or not endpoint.url:
            raise not_running(self.folder)
        timeout = self.request_timeout + 5
        return http_client.invoke(endpoint.url, endpoint.key, request, deployment, self.endpoint, timeout)

    def set_traffic(self, shares: Mapping[str, int]) -> None:
        """Give deployments their percent of the traffic, all others none; at once or not at all."""
        ask(self.folder, "PUT", "/traffic", dict(shares))

    def delete(self, deployment: str) -> None:
        """Remove a deployment once its requests in flight are answered; one that is gone already is fine."""
        try:
            ask(self.folder, "DELETE", f"/deployments/{deployment}", timeout=self.request_timeout + 30)
        except NotRunning:
            with launch.locked(self.folder):
                if launch.settled(self.folder):
                    raise
                if state := self.folder.read():
                    self.folder.write(state.without(deployment))
                self.folder.remove(deployment)

    def describe(self) -> Endpoint | None:
        """The endpoint as it stands, or None when there is none; changes nothing."""
        state = self.folder.read()
        if state is None:
            return None
        try:
            status = ask(self.folder, "GET", "/status")
        except NotRunning:
            if not state.deployments:
                return None
            stopped = (
                Deployment(each.name, each.traffic, "stopped", each.bundle_hash, each.engine)
                for each in state.deployments
            )
            return Endpoint(self.endpoint, "", self._key(state.auth), tuple(stopped))
        return Endpoint(
            self.endpoint,
            f"http://{_address(status['host'])}:{status['port']}/score",
            self._key(status["auth"]),
            tuple(
                Deployment(each["name"], each["traffic"], each["state"], each["bundle_hash"], each["engine"])
                for each in status["deployments"]
            ),
        )

    def logs(self, deployment: str, lines: int = 100) -> str:
        """The last lines of a deployment's own log, which stays when the deployment is gone."""
        if not (path := self.folder.log(deployment)).exists():
            raise self._unknown(deployment, [log.stem for log in sorted(path.parent.glob("*.log"))])
        return tail(path, lines)

    def stop(self) -> None:
        """Take the endpoint down with all its deployments; its port and key are kept for the next time."""
        if not self.folder.root.exists():
            return
        with launch.locked(self.folder):
            launch.stop(self.folder)
            if state := self.folder.read():
                self.folder.write(State(state.host, state.port, state.auth))
                for entry in state.deployments:
                    self.folder.remove(entry.name)

    def _key(self, auth: str) -> str:
        return self.folder.read_key() if auth == "key" else ""

    def _check_settings(self, running: Mapping[str, Any]) -> None:
        """Raises: DeployError when the endpoint runs with other settings than these."""
        for option, value in (("host", self.host), ("port", self.port), ("auth", self.auth)):
            if value != running[option] and not (option == "port" and not self.port):
                raise DeployError(
                    f"the endpoint runs with {option} {running[option]!r}, the recipe asks for {value!r}",
                    self.endpoint,
                    f"Set deploy.{option} to {running[option]!r}, or take it down with `ftkit endpoint stop` and run again.",
                )

    def _unknown(self, deployment: str, known: list[str]) -> DeployError:
        return DeployError(
            f"there is no deployment {deployment!r}", self.endpoint, f"There are: {', '.join(known) or 'none'}."
        )


def _address(host: str) -> str:
    """A host as it stands in a URL; one that means all addresses is reached at the loopback address."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "[::1]"
    return host if address.version == 4 else f"[{host}]"
