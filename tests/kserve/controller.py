"""What KServe and the kubelet do on a cluster, for the loopback one: each InferenceService becomes a real server process, with a status."""

from __future__ import annotations

import base64
import contextlib
import http.client
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.kserve.api_server import ApiServer


class Process:
    """The pod of an InferenceService."""

    def __init__(self, command: list[str], environment: Mapping[str, str], log: Path, port: int) -> None:
        self.port = port
        self.log = log
        self.ready = False
        self.stopping = False
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )


class Controller:
    """Begins, watches and ends the processes; `claims` are folders by the name of a PersistentVolumeClaim."""

    def __init__(
        self, api: ApiServer, claims: Mapping[str, Path], folder: Path, in_flight: Callable[[str], int]
    ) -> None:
        self._api, self._claims, self._folder, self._in_flight = api, claims, folder, in_flight
        self.processes: dict[str, Process] = {}
        self.route_accepted = ""
        """Why the gateway takes no route, instead of taking it."""
        self.paused = False
        """Whether KServe does nothing, as if its controller were gone."""
        self.stuck: dict[str, dict[str, Any]] = {}
        """Conditions of services that never get ready, by name."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        for each in self.processes.values():
            each.process.kill()
            each.process.wait()

    def log_of(self, pod: str, container: str) -> str:
        """What a container has written."""
        process = self.processes.get(pod.removesuffix("-predictor-0"))
        return process.log.read_text("utf-8", "replace") if process and container == "kserve-container" else ""

    def _loop(self) -> None:
        while not self._ended.wait(0.03):
            for route in self._api.all("httproutes"):
                self._accept(route)
            for service in [] if self.paused else self._api.all("inferenceservices"):
                self._reconcile(service)

    def _accept(self, route: dict[str, Any]) -> None:
        meta = route["metadata"]
        accepted = {
            "type": "Accepted",
            "status": "False" if self.route_accepted else "True",
            "reason": "NoMatchingListenerHostname" if self.route_accepted else "Accepted",
            "message": self.route_accepted or "Route is accepted",
            "observedGeneration": meta["generation"],
        }
        parents = [{"parentRef": route["spec"]["parentRefs"][0], "conditions": [accepted]}]
        self._api.status("httproutes", meta["namespace"], meta["name"], {"parents": parents})

    def _reconcile(self, service: dict[str, Any]) -> None:
        meta = service["metadata"]
        name, namespace = meta["name"], meta["namespace"]
        process = self.processes.get(name)
        if meta.get("deletionTimestamp"):
            self._end(service, process)
        elif name in self.stuck:
            conditions = [{"type": "PredictorReady", **self.stuck[name]}, {"type": "Ready", **self.stuck[name]}]
            self._api.status("inferenceservices", namespace, name, {"conditions": conditions})
        elif process is None:
            self.processes[name] = self._begin(service)
        elif (code := process.process.poll()) is not None:
            waiting = {"reason": "CrashLoopBackOff", "message": f"back-off 10s restarting failed container={code}"}
            self._pod(service, {"state": {"waiting": waiting}, "restartCount": 1})
            self._conditions(
                service, "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
            )
        elif process.ready or _probed(service, process.port):
            process.ready = True
            self._pod(service, {"state": {"running": {}}, "restartCount": 0})
            self._conditions(service, "True")
        else:
            self._pod(service, {"state": {"running": {}}, "restartCount": 0})
            self._conditions(
                service, "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."
            )

    def _begin(self, service: dict[str, Any]) -> Process:
        container = service["spec"]["predictor"]["containers"][0]
        namespace = service["metadata"]["namespace"]
        variables = {each["name"]: self._value(each, namespace) for each in container["env"]}
        claim, _, path = variables.pop("STORAGE_URI").removeprefix("pvc://").partition("/")
        port = _free_port()
        home = self._folder / service["metadata"]["name"]
        variables |= {"FTKIT_HOME": str(home), "FTKIT_CACHE": str(home / "cache")}
        command = [sys.executable if each == "python" else each for each in container["command"]]
        command[command.index("/mnt/models")] = str(self._claims[claim] / path)
        command[command.index("--port") + 1] = str(port)
        log = self._folder / f"{service['metadata']['name']}.log"
        log.unlink(missing_ok=True)
        return Process([*command, "--host", "127.0.0.1"], variables, log, port)

    def _end(self, service: dict[str, Any], process: Process | None) -> None:
        """Requests that the gateway has sent are answered, the process ends, the objects go."""
        name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
        if process and process.process.poll() is None:
            if not process.stopping and not self._in_flight(name):
                process.stopping = True
                process.process.terminate()
            return
        self.processes.pop(name, None)
        self._api.remove("pods", namespace, f"{name}-predictor-0")
        self._api.remove("inferenceservices", namespace, name)

    def _value(self, variable: dict[str, Any], namespace: str) -> str:
        if "value" in variable:
            return str(variable["value"])
        wanted = variable["valueFrom"]["secretKeyRef"]
        secret = self._api.objects["secrets", namespace, wanted["name"]]
        return base64.b64decode(secret["data"][wanted["key"]]).decode()

    def _pod(self, service: dict[str, Any], container: dict[str, Any]) -> None:
        meta = service["metadata"]
        pod = {"name": f"{meta['name']}-predictor-0", "namespace": meta["namespace"]}
        labels = {"serving.kserve.io/inferenceservice": meta["name"]}
        with self._api.lock:
            if ("pods", pod["namespace"], pod["name"]) not in self._api.objects:
                self._api.put("pods", {"kind": "Pod", "metadata": {**pod, "labels": labels}})
        statuses = [{"name": "kserve-container", **container}]
        self._api.status("pods", pod["namespace"], pod["name"], {"containerStatuses": statuses})

    def _conditions(self, service: dict[str, Any], status: str, reason: str = "", message: str = "") -> None:
        told = {"status": status, **({"reason": reason, "message": message} if reason else {})}
        conditions = [{"type": "PredictorReady", **told}, {"type": "Ready", **told}]
        meta = service["metadata"]
        body = {"conditions": conditions, "observedGeneration": meta["generation"]}
        self._api.status("inferenceservices", meta["namespace"], meta["name"], body)


def _probed(service: dict[str, Any], port: int) -> bool:
    """Whether the readiness probe of the container succeeds."""
    path = service["spec"]["predictor"]["containers"][0]["readinessProbe"]["httpGet"]["path"]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", path)
        return connection.getresponse().status == 200
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
