"""The deployer `kserve`: an endpoint on a Kubernetes cluster with KServe and the Gateway API."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ftkit.bundle.bundle import cleared, verify
from ftkit.contracts import NATIVE, Deployment, Endpoint, Health
from ftkit.errors import DeployError, FtkitError
from ftkit_kserve import calling, cluster, condition, manifests, refusals, routing, storage
from ftkit_kserve.cluster import GATEWAY, ROUTE, SERVICE, Cluster
from ftkit_kserve.options import LONGEST, KServeOptions, check_label

LOG_LINES = 100
REMOVAL = 30.0
"""Seconds beyond `request_timeout` within which an InferenceService must be gone."""


@dataclass(frozen=True, kw_only=True)
class KServe(KServeOptions):
    """An endpoint on KServe: an InferenceService for each deployment, and a route that divides the traffic among them."""

    name: ClassVar[str] = "kserve"
    local: ClassVar[bool] = True
    """The credentials of the cluster, and the mounted storage, are those of the machine of the command."""
    ready_timeout: ClassVar[float] = 1800.0
    """A cluster may add a machine, and pull an image of some gigabytes."""
    poll: ClassVar[float] = 2.0

    # ------------------------------------------------------------------------------------ the six verbs

    def prepare(self) -> Endpoint:
        """Make sure that there are a key and a route, leaving deployments and traffic as they are."""
        there = self._cluster()
        there.select(SERVICE, self._selector)  # so that a cluster without KServe is told before anything is made
        namespace, gateway = self.gateway.split("/")
        if there.get(GATEWAY, gateway, namespace) is None:
            hint = "`kubectl get gateways --all-namespaces` lists those that there are: set deploy.gateway."
            raise DeployError(f"there is no Gateway {self.gateway}", self.endpoint, hint)
        found = there.get(ROUTE, self.endpoint)
        if found is not None and (found["metadata"].get("labels") or {}).get(manifests.OF_ENDPOINT) != self.endpoint:
            raise DeployError(
                f"there is an HTTPRoute {self.endpoint!r} already, which ftkit has not made",
                f"{self.namespace}/{self.endpoint}",
                "Choose another endpoint name, or delete the route.",
            )
        if there.secret(manifests.secret_name(self.endpoint)) is None:
            self._create(lambda: there.create_secret(manifests.secret(self, secrets.token_urlsafe(32))))
        if found is None:
            self._create(lambda: there.create(ROUTE, manifests.route(self, (), {})))
        else:
            routing.change(self, there, lambda names, shares: (names, shares))
        routing.settle(self, there)
        if not (described := self.describe()):
            raise DeployError("somebody else has stopped the endpoint", self.endpoint, "Run the recipe again.")
        return described

    def create(self, deployment: str, bundle: Path) -> None:
        """Begin a deployment that gets no traffic: its bundle goes to the storage, its InferenceService to the cluster."""
        try:
            check_label(deployment, "deployment", LONGEST - len(self.endpoint) - 1)
        except ValueError as error:
            raise DeployError(str(error), self.endpoint) from error
        opened = cleared(bundle, self.engine)
        there = self._cluster()
        taken = DeployError(
            f"there is a deployment {deployment!r} already", self.endpoint, "Delete it, or choose another name."
        )
        if there.get(SERVICE, self.service(deployment)) is not None:
            raise taken
        if len(there.select(SERVICE, self._selector)) >= manifests.MOST:
            hint = f"`ftkit endpoint delete {self.endpoint} --deployment NAME` removes one."
            raise DeployError(
                f"the endpoint has {manifests.MOST} deployments, as many as a route takes", self.endpoint, hint
            )
        storage.store(self, deployment, opened)
        try:
            there.create(SERVICE, manifests.inference_service(self, deployment, opened.hash))
        except refusals.Taken as error:  # by somebody else in this moment, who may use what lies there now
            raise taken from error
        except FtkitError:
            self._undo(there, deployment, opened.hash)
            raise
        try:
            routing.change(self, there, lambda names, shares: ({*names, deployment}, shares))
        except FtkitError:
            self._undo(there, deployment, opened.hash)
            raise

    def health(self, deployment: str) -> Health:
        """What the cluster says of the deployment now, with the end of its log when it failed."""
        there = self._cluster()
        service = there.get(SERVICE, self.service(deployment))
        if service is None:
            raise self._unknown(there, deployment)
        pods = there.pods(self._pods(deployment))
        state = condition.of(service, pods)
        if state.state == "failed":
            return Health("failed", state.reason, self._log(there, pods, LOG_LINES) or state.reason)
        return Health("ready") if state.state == "ready" else Health("starting", state.reason)

    def invoke(self, request: Mapping[str, Any], deployment: str | None = None) -> Any:
        """Send one request as any caller would, through the gateway."""
        there = self._cluster()
        if deployment is not None and deployment not in manifests.pinned(routing.current(self, there)):
            raise self._unknown(there, deployment)  # the gateway would take it for a request to the endpoint
        return calling.invoke(self, self._key(there), request, deployment)

    def set_traffic(self, shares: Mapping[str, int]) -> None:
        """Give deployments their percent of the traffic, all others none, by one change of the route."""
        there = self._cluster()
        known = self._names(there)
        if unknown := sorted(set(shares) - set(known)):
            raise self._unknown(there, unknown[0])
        if shares and (sum(shares.values()) != 100 or min(shares.values()) < 0):
            raise DeployError(f"shares must be from 0 to 100 and sum to 100, not {dict(shares)}", self.endpoint)
        routing.change(self, there, lambda names, _: (names, dict(shares)))
        routing.settle(self, there)

    def delete(self, deployment: str) -> None:
        """Remove a deployment: its pods answer what they have begun; one that is gone already is fine."""
        there = self._cluster()
        found = there.get(ROUTE, self.endpoint)
        if found is not None:
            if manifests.traffic(self, found).get(deployment):
                raise DeployError(
                    f"the deployment {deployment!r} has traffic",
                    self.endpoint,
                    "Give its traffic to another one first.",
                )
            if deployment in manifests.pinned(found):
                routing.change(self, there, lambda names, shares: (names - {deployment}, shares))
        self._remove(there, deployment)

    # ------------------------------------------------------------------------------------ the others

    def describe(self) -> Endpoint | None:
        """The endpoint as it stands, or None when there is none; changes nothing."""
        there = self._cluster()
        found = there.get(ROUTE, self.endpoint)
        if found is None:
            return None
        shares = manifests.traffic(self, found)
        deployments = tuple(
            Deployment(
                name,
                shares.get(name, 0),
                condition.of(service, ()).state,
                _bundle_hash(service),
            )
            for name, service in self._services(there).items()
        )
        return Endpoint(self.endpoint, f"{self.address}/score", "", deployments, key_command=self._key_command)

    def logs(self, deployment: str, lines: int = 100) -> str:
        """The last lines of the newest pod's log."""
        there = self._cluster()
        if there.get(SERVICE, self.service(deployment)) is None:
            raise self._unknown(there, deployment)
        return self._log(there, there.pods(self._pods(deployment)), lines)

    def stop(self) -> None:
        """Remove route, deployments, key and the copies of the bundles."""
        there = self._cluster()
        try:
            names = self._names(there)
        except refusals.NotInstalled:
            return  # then there is nothing of ours
        there.delete(ROUTE, self.endpoint)
        for name in names:
            self._remove(there, name)
        there.delete_secret(manifests.secret_name(self.endpoint))

    @classmethod
    def package(cls, bundle: Path, folder: Path, engine: str = NATIVE) -> None:
        """Write what a deployment by hand needs: the bundle, the manifests, and how to use them."""
        from ftkit_kserve import package

        package.write(verify(bundle), folder, engine)

    # ------------------------------------------------------------------------------------ shared

    @property
    def _selector(self) -> str:
        return f"{manifests.OF_ENDPOINT}={self.endpoint}"

    @property
    def _key_command(self) -> str:
        context = f" --context {self.context}" if self.context else ""
        path = f"jsonpath='{{.data.{manifests.SECRET_ENTRY}}}'"
        name = manifests.secret_name(self.endpoint)
        return f"kubectl{context} --namespace {self.namespace} get secret {name} -o {path} | base64 -d"

    def _cluster(self) -> Cluster:
        return cluster.connect(self.context, self.namespace, self.endpoint)

    def _pods(self, deployment: str) -> str:
        return f"serving.kserve.io/inferenceservice={self.service(deployment)}"

    def _services(self, there: Cluster) -> dict[str, dict[str, Any]]:
        """The InferenceServices by deployment, without those that are being deleted."""
        services = {
            each["metadata"]["labels"][manifests.OF_DEPLOYMENT]: each
            for each in there.select(SERVICE, self._selector)
            if not each["metadata"].get("deletionTimestamp")
        }
        return dict(sorted(services.items()))

    def _names(self, there: Cluster) -> list[str]:
        return list(self._services(there))

    def _unknown(self, there: Cluster, deployment: str) -> DeployError:
        known = ", ".join(self._names(there)) or "none"
        return DeployError(f"there is no deployment {deployment!r}", self.endpoint, f"There are: {known}.")

    def _key(self, there: Cluster) -> str:
        found = there.secret(manifests.secret_name(self.endpoint))
        if found is None:
            raise DeployError("there is no such endpoint", self.endpoint, "`ftkit run RECIPE` creates it.")
        return base64.b64decode(found["data"][manifests.SECRET_ENTRY]).decode("ascii").strip()

    def _create(self, make: Callable[[], Any]) -> None:
        try:
            make()
        except refusals.Taken:  # another process was faster
            return

    def _log(self, there: Cluster, pods: list[dict[str, Any]], lines: int) -> str:
        logged = condition.logged(pods)
        if logged is None or lines < 1:
            return ""
        return there.log(logged.pod, logged.container, lines, logged.previous)

    def _remove(self, there: Cluster, deployment: str) -> None:
        """Delete an InferenceService, wait until it is gone, and remove its bundle."""
        service = self.service(deployment)
        there.delete(SERVICE, service)
        seconds = self.request_timeout + REMOVAL
        if not there.wait(lambda: there.get(SERVICE, service) is None, seconds):
            raise DeployError(
                f"the InferenceService {service!r} is not gone after {seconds:g} s",
                self.endpoint,
                f"`kubectl --namespace {self.namespace} describe inferenceservice {service}` says what holds it.",
            )
        storage.remove(self, deployment)

    def _undo(self, there: Cluster, deployment: str, bundle_hash: str) -> None:
        """Remove what `create` had begun; what the cluster refuses now is less important than why it began to."""
        try:
            found = there.get(SERVICE, self.service(deployment))
            if found is not None and _bundle_hash(found) == bundle_hash:  # else somebody else created it in this moment
                self._remove(there, deployment)
        except FtkitError:
            pass
        storage.remove(self, deployment, bundle_hash)


def _bundle_hash(service: dict[str, Any]) -> str:
    """The hash of the bundle that an InferenceService was made for; empty where it does not say."""
    return str((service["metadata"].get("annotations") or {}).get(manifests.BUNDLE, ""))
