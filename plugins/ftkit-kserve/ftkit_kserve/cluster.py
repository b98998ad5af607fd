"""A namespace of a cluster by the official client: objects as plain mappings, and refusals as errors that say what to do."""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftkit.errors import DeployError, PluginError
from ftkit_kserve import refusals

TIMEOUT = (5, 30)
"""Seconds to connect, and to wait for an answer."""
ATTEMPTS = 3
"""How often a call that may be made twice is made, where the connection is cut or the server is overloaded."""
PAUSE = 0.5
"""Seconds before the second attempt; twice as many before the third."""
OVERLOADED = (429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Kind:
    """A kind of object, and what brings it into a cluster."""

    group: str
    version: str
    plural: str
    brought_by: str


SERVICE = Kind("serving.kserve.io", "v1beta1", "inferenceservices", "KServe")
ROUTE = Kind("gateway.networking.k8s.io", "v1", "httproutes", "the Gateway API")
GATEWAY = Kind("gateway.networking.k8s.io", "v1", "gateways", "the Gateway API")


@dataclass(frozen=True)
class Cluster:
    """One namespace. Its methods raise DeployError about `endpoint`."""

    api: Any
    """The client's `ApiClient`."""
    namespace: str
    endpoint: str

    def get(self, kind: Kind, name: str, namespace: str = "") -> dict[str, Any] | None:
        """An object, or None."""
        place = (kind.group, kind.version, namespace or self.namespace, kind.plural, name)
        return self._existing(lambda: self._custom.get_namespaced_custom_object(*place, _request_timeout=TIMEOUT), kind)

    def select(self, kind: Kind, selector: str) -> list[dict[str, Any]]:
        """All objects with these labels."""
        place = (kind.group, kind.version, self.namespace, kind.plural)
        options = {"label_selector": selector, "_request_timeout": TIMEOUT}
        return self._call(lambda: self._custom.list_namespaced_custom_object(*place, **options), kind)["items"]

    def create(self, kind: Kind, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object. Raises: refusals.Taken for a name that is in use."""
        place = (kind.group, kind.version, self.namespace, kind.plural)
        make = lambda: self._custom.create_namespaced_custom_object(*place, dict(body), _request_timeout=TIMEOUT)  # noqa: E731
        return self._call(make, kind, attempts=1)

    def replace(self, kind: Kind, body: Mapping[str, Any]) -> dict[str, Any]:
        """Put another object in the place of the one that was read. Raises: refusals.Taken where it has changed since."""
        place = (kind.group, kind.version, self.namespace, kind.plural, body["metadata"]["name"])
        put = lambda: self._custom.replace_namespaced_custom_object(*place, dict(body), _request_timeout=TIMEOUT)  # noqa: E731
        return self._call(put, kind)  # one that was carried out and cut is refused when it is made again

    def delete(self, kind: Kind, name: str) -> None:
        """Begin to delete an object; one that is gone already is fine."""
        place = (kind.group, kind.version, self.namespace, kind.plural, name)
        self._existing(lambda: self._custom.delete_namespaced_custom_object(*place, _request_timeout=TIMEOUT), kind)

    def secret(self, name: str) -> dict[str, Any] | None:
        """A Secret, or None."""
        return self._existing(lambda: self._json(self._core.read_namespaced_secret, name, self.namespace))

    def create_secret(self, body: Mapping[str, Any]) -> None:
        """Create a Secret. Raises: refusals.Taken for a name that is in use."""
        self._call(lambda: self._json(self._core.create_namespaced_secret, self.namespace, dict(body)), attempts=1)

    def delete_secret(self, name: str) -> None:
        """Delete a Secret; one that is gone already is fine."""
        self._existing(lambda: self._json(self._core.delete_namespaced_secret, name, self.namespace))

    def pods(self, selector: str) -> list[dict[str, Any]]:
        """All pods with these labels, the newest first."""
        listed = self._call(
            lambda: self._json(self._core.list_namespaced_pod, self.namespace, label_selector=selector)
        )["items"]
        return sorted(listed, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")), reverse=True)

    def log(self, pod: str, container: str, lines: int, previous: bool) -> str:
        """The last lines that a container wrote, or its previous one that ended; empty if there is none."""
        from kubernetes.client.exceptions import ApiException

        options = {"container": container, "tail_lines": lines, "previous": previous, "_request_timeout": TIMEOUT}
        try:
            answer = self._core.read_namespaced_pod_log(pod, self.namespace, **options, _preload_content=False)
            return str(answer.data.decode("utf-8", "replace"))
        except ApiException as error:
            if error.status in (400, 404):  # it has not started yet, or is gone
                return ""
            raise refusals.of(error, self.endpoint) from error

    def wait(self, done: Callable[[], bool], seconds: float) -> bool:
        """Whether `done` says so within this time."""
        ends, pause = time.monotonic() + seconds, 0.05
        while not done():
            if time.monotonic() > ends:
                return False
            time.sleep(pause)
            pause = min(pause * 2, 1.0)
        return True

    @functools.cached_property
    def _custom(self) -> Any:
        from kubernetes.client import CustomObjectsApi

        return CustomObjectsApi(self.api)

    @functools.cached_property
    def _core(self) -> Any:
        from kubernetes.client import CoreV1Api

        return CoreV1Api(self.api)

    def _json(self, method: Any, *arguments: Any, **options: Any) -> Any:
        """The answer as it came: the client's own types refuse what a newer server adds."""
        return json.loads(method(*arguments, **options, _request_timeout=TIMEOUT, _preload_content=False).data)

    def _existing(self, call: Callable[[], Any], kind: Kind | None = None) -> Any:
        try:
            return self._call(call, kind)
        except refusals.Missing:
            return None

    def _call(self, call: Callable[[], Any], kind: Kind | None = None, attempts: int = ATTEMPTS) -> Any:
        import urllib3
        from kubernetes.client.exceptions import ApiException

        for attempt in range(1, attempts + 1):
            try:
                return call()
            except ApiException as error:
                if error.status not in OVERLOADED or attempt == attempts:
                    raise refusals.of(error, self.endpoint, kind.brought_by if kind else "") from error
            except urllib3.exceptions.HTTPError as error:
                if attempt == attempts:
                    raise refusals.unreachable(error, self.api.configuration.host, self.endpoint) from error
            time.sleep(PAUSE * attempt)
        raise AssertionError("an attempt returns or raises")


def connect(context: str | None, namespace: str, endpoint: str) -> Cluster:
    """The cluster of a context, or of the pod that this process runs in. Raises: DeployError; PluginError."""
    try:
        import kubernetes.config
    except ModuleNotFoundError as error:
        raise PluginError(
            "the package kubernetes is not installed", "ftkit-kserve", "pip install kubernetes"
        ) from error
    try:
        api = _client(context, os.environ.get("KUBECONFIG", ""))
    except kubernetes.config.ConfigException as error:
        raise DeployError(
            f"there are no credentials for a cluster: {error}",
            endpoint,
            "`kubectl config get-contexts` lists the contexts: set deploy.context to one of them, or KUBECONFIG to its file.",
        ) from error
    return Cluster(api, namespace, endpoint)


@functools.lru_cache(maxsize=8)
def _client(context: str | None, kubeconfig: str) -> Any:
    import urllib3
    from kubernetes import client, config

    files = [Path(each).expanduser() for each in (kubeconfig or "~/.kube/config").split(os.pathsep) if each]
    configuration = client.Configuration()
    if context is None and os.environ.get("KUBERNETES_SERVICE_HOST") and not any(each.is_file() for each in files):
        config.load_incluster_config(client_configuration=configuration)
    else:
        config.load_kube_config(
            config_file=kubeconfig or None, context=context, client_configuration=configuration, persist_config=False
        )
    configuration.retries = urllib3.Retry(0, read=False, redirect=0)  # `_call` makes another attempt, and says nothing
    return client.ApiClient(configuration)
