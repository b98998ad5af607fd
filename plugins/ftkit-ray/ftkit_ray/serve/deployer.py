"""An endpoint on Ray Serve as a deployment target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ftkit.contracts import Deployment, Endpoint, Health, Measures
from ftkit.errors import DeployError
from ftkit.serving import endpoint_files, http_client, live_counts
from ftkit_ray.serve.options import ServeOptions

LOG_LINES = 30


@dataclass(frozen=True, kw_only=True)
class RayServeDeployer(ServeOptions):
    """An HTTP endpoint on Ray Serve: one application for each deployment, and a router before them."""

    name: ClassVar[str] = "ray-serve"
    delay: ClassVar[float] = 2.0
    """Routers report every second."""

    def prepare(self) -> Endpoint:
        """Make sure that Serve, the shares and the router run."""
        from ftkit_ray.serve import applications, shares

        serve = self._serve()
        try:
            self.files.make(guarded=self.auth == "key")
        except OSError as error:
            raise DeployError(
                f"the endpoint's folder cannot be made: {error.strerror}",
                str(self.files.root),
                "Choose another `storage`.",
            ) from error
        applications.check_storage(self.files.root)
        shares.shares_of(self.endpoint, self.files)
        if self.endpoint not in serve.status().applications:
            applications.start_router(self)
            for name in self.files.deployments():  # the cluster is new: bring up what was there
                applications.start_deployment(self, name)
        described = self.describe()
        if described is None:
            raise DeployError("another process stopped the endpoint", self.endpoint, "Run the recipe again.")
        return described

    def create(self, deployment: str, bundle: Path) -> None:
        """Begin a deployment that gets no traffic: its bundle is stored, its replicas begin to load it."""
        from ftkit_ray.serve import applications

        try:
            endpoint_files.check_name(deployment, "deployment")
        except ValueError as error:
            raise DeployError(str(error), self.endpoint) from error
        self._serve()
        if deployment in self.files.deployments():
            raise DeployError(
                f"there is a deployment {deployment!r} already", self.endpoint, "Delete it, or choose another name."
            )
        applications.check_room(self)
        bundle_hash = endpoint_files.store_bundle(bundle, self.files.bundle(deployment), self.engine)
        self.files.set_facts(deployment, bundle_hash=bundle_hash, engine=self.engine)
        applications.start_deployment(self, deployment)

    def health(self, deployment: str) -> Health:
        """What Serve says of the deployment now, with the end of its log when it failed."""
        from ftkit_ray.serve.router import application

        serve = self._serve()
        if deployment not in (known := self.files.deployments()):
            raise DeployError(
                f"there is no deployment {deployment!r}", self.endpoint, f"There are: {', '.join(known) or 'none'}."
            )
        app = serve.status().applications.get(application(self.endpoint, deployment))
        if app is None:
            return Health("starting", "Serve has not begun it yet")
        if app.status == "RUNNING":
            return Health("ready")
        reason = app.message or "; ".join(each.message for each in app.deployments.values() if each.message)
        if app.status in ("DEPLOY_FAILED", "UNHEALTHY"):
            reason = self.files.facts(deployment).get("failed") or reason
            return Health("failed", reason, self.logs(deployment, LOG_LINES) or reason)
        return Health("starting", reason or "its replicas are starting")

    def invoke(self, request: Mapping[str, Any], deployment: str | None = None) -> Any:
        """Send one request as any caller would, over HTTP."""
        timeout = self.request_timeout + 5
        return http_client.invoke(self.url, self.files.key(), request, deployment, self.endpoint, timeout)

    def set_traffic(self, shares: Mapping[str, int]) -> None:
        """Give deployments their percent of the traffic, all others none; returns when every router goes by it."""
        import ray

        from ftkit_ray.serve.shares import shares_of

        self._serve()
        if unknown := sorted(set(shares) - set(known := self.files.deployments())):
            raise DeployError(
                f"there is no deployment {unknown[0]!r}", self.endpoint, f"There are: {', '.join(known) or 'none'}."
            )
        if shares and (sum(shares.values()) != 100 or any(not 0 <= share <= 100 for share in shares.values())):
            raise DeployError(f"shares must be from 0 to 100 and sum to 100, not {dict(shares)}", self.endpoint)
        ray.get(shares_of(self.endpoint, self.files).change.remote(dict(shares)))

    def measures(self, seconds: float) -> Mapping[str, Measures]:
        """What each deployment did over the last seconds, as the routers saw it; they know nothing of answers."""
        import ray

        from ftkit_ray.serve.shares import shares_of

        self._serve()
        try:
            measured = ray.get(shares_of(self.endpoint, self.files).measures.remote(seconds), timeout=30)
        except Exception as error:  # whatever Ray makes of an actor that is beginning again
            raise DeployError(f"the requests are not counted now: {type(error).__name__}", self.endpoint) from error
        return {name: live_counts.from_json(table) for name, table in measured.items()}

    def delete(self, deployment: str) -> None:
        """Remove a deployment once its requests in flight are answered; one that is gone already is fine."""
        from ftkit_ray.serve.router import application

        serve = self._serve()
        if self.files.traffic().get(deployment):
            raise DeployError(
                f"the deployment {deployment!r} has traffic", self.endpoint, "Give its traffic to another one first."
            )
        if application(self.endpoint, deployment) in serve.status().applications:
            serve.delete(application(self.endpoint, deployment))  # waits for the requests in flight
        self.files.remove(deployment)

    def describe(self) -> Endpoint | None:
        """The endpoint as it stands, or None when there is none; changes nothing."""
        from ftkit_ray.serve.router import application

        serve = self._serve(begin=False)
        status = serve.status().applications if serve else {}
        names = self.files.deployments()
        if self.endpoint not in status:
            if not names:
                return None
            stopped = (self._deployment(name, "stopped") for name in names)
            return Endpoint(self.endpoint, "", self.files.key(), tuple(stopped))
        states = {"RUNNING": "ready", "DEPLOY_FAILED": "failed", "UNHEALTHY": "failed"}
        apps = {name: status.get(application(self.endpoint, name)) for name in names}
        deployments = (
            self._deployment(name, states.get(str(app.status.value), "starting") if app else "starting")
            for name, app in apps.items()
        )
        return Endpoint(self.endpoint, self.url, self.files.key(), tuple(deployments))

    def logs(self, deployment: str, lines: int = 100) -> str:
        """The last lines of the newest log of a deployment's replicas, whichever node it was on."""
        if not self.files.logs(deployment).exists() and deployment not in self.files.deployments():
            raise DeployError(f"there is no deployment {deployment!r}", self.endpoint)
        return self.files.last_lines(deployment, lines)

    def stop(self) -> None:
        """Take the endpoint down with all its deployments; its key is kept for the next time."""
        from ftkit_ray.serve import applications

        serve = self._serve(begin=False)
        if serve:
            applications.stop(self)
        self.files.clear()

    def _deployment(self, name: str, state: Any) -> Deployment:
        facts = self.files.facts(name)
        traffic = self.files.traffic().get(name, 0)
        return Deployment(name, traffic, state, facts.get("bundle_hash", ""), facts.get("engine", ""))

    def _serve(self, begin: bool = True) -> Any:
        """Ray's module `serve`, connected; None where nothing runs and nothing may begin."""
        from ftkit_ray.serve import applications, cluster

        if not cluster.joined(self.address, begin):
            return None
        return applications.serving(self, begin)
