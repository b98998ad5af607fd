"""The servers of deployments: azureml-inference-server-http on this machine, and the hosts that requests are sent to.

The server pins its dependencies, so it has an environment of its own: FTKIT_SCORING_PYTHON names its interpreter.
"""

from __future__ import annotations

import base64
import json
import os
import random
import re
import shutil
import subprocess
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.azure.identity import signed_in
from tests.azure.messages import Request, Response
from tests.azure.v2.assets import Assets
from tests.azure.v2.endpoints import KEY, Endpoints
from tests.azure.v2.operations import OperationFailed
from tests.azure.workspace import REGION

AUDIENCE = "https://ml.azure.com"
"""The audience of a caller's token, where an endpoint takes tokens."""

_CLIENT_VARIABLES = re.compile("(?i).*proxy|AZURE_|APPLICATIONINSIGHTS_|OTEL_|FTKIT_")
"""Names of variables that a container of the service does not have."""


@dataclass
class Server:
    """One process that serves a deployment."""

    process: subprocess.Popen[bytes]
    folder: Path
    log: Path
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    """The requests it was sent."""
    in_flight: int = 0
    """How many of them are not answered yet."""


@dataclass(frozen=True)
class Answered:
    """What became of a caller's request."""

    at: float
    endpoint: str
    deployment: str
    status: int
    model_status: str
    seconds: float


class Scoring:
    """The servers of all deployments, and the endpoints' front that distributes requests."""

    hosts = (f"*.{REGION}.inference.ml.azure.com",)

    def __init__(self, folder: Path, endpoints: Endpoints, python: Path) -> None:
        self._folder = folder
        self._endpoints = endpoints
        self._python = python
        self._servers: dict[tuple[str, str], Server] = {}
        self._logs: dict[tuple[str, str], Path] = {}
        endpoints.on_removal = self.stop
        self.mirrored: list[str] = []
        """The deployments that received copies of requests, one entry for each copy."""
        self.answered: list[Answered] = []
        """Every request that callers sent, for `Monitor`."""

    def server(self, endpoint: str, deployment: str) -> Server:
        """The server of a deployment."""
        return self._servers[endpoint, deployment]

    def start(self, endpoint: str, deployment: str, properties: dict[str, Any], assets: Assets) -> None:
        """Download code and model from the storage and serve them as the service does. Raises: OperationFailed."""
        folder = self._folder / f"{endpoint}-{deployment}-{uuid.uuid4().hex[:6]}"
        code = assets.find(properties["codeConfiguration"]["codeId"])
        model = assets.find(properties["model"])
        environment = assets.find(properties["environmentId"])
        assert code and model and environment
        _, files = assets.files(code["properties"]["codeUri"])
        _write(folder / "code", files)
        name, files = assets.files(model["properties"]["modelUri"])
        _write(folder / "model" / name, files)  # a folder keeps its own name below the model's
        (folder / "environment.yml").write_text(environment["properties"].get("condaFile") or "", encoding="utf-8")
        script = folder / "code" / properties["codeConfiguration"]["scoringScript"]
        log = self._logs[endpoint, deployment] = folder / "log"
        variables = {
            **{name: value for name, value in os.environ.items() if not _CLIENT_VARIABLES.match(name)},
            "AZUREML_ENTRY_SCRIPT": script.name,
            "AML_APP_ROOT": str(script.parent),
            "AZUREML_MODEL_DIR": str(folder / "model"),
            "AZUREML_LOG_LEVEL": "INFO",
            "PYTHONDONTWRITEBYTECODE": "1",
            **(properties.get("environmentVariables") or {}),
        }
        server = Server(serve(self._python, folder, log, variables), folder, log)
        try:
            server.port = wait(server.process, log)
        except RuntimeError as error:
            raise OperationFailed("BadArgument", f"User container has crashed or terminated: {error}") from error
        with self._endpoints.lock:
            replaced = self._servers.get((endpoint, deployment))
            self._servers[endpoint, deployment] = server
        if replaced:  # a client that lost the first answer sent its request again
            end(replaced.process)

    def stop(self, endpoint: str, deployment: str) -> None:
        """End a deployment's server once it has answered its open requests, and remove its files."""
        with self._endpoints.lock:
            server = self._servers.pop((endpoint, deployment), None)
            self._logs.pop((endpoint, deployment), None)
        while server and server.in_flight:
            time.sleep(0.01)
        if server:
            end(server.process)
            shutil.rmtree(server.folder, ignore_errors=True)

    def log(self, endpoint: str, deployment: str, lines: int) -> str:
        """The last lines of the log of a deployment's server."""
        log = self._logs.get((endpoint, deployment))
        log_lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log and log.exists() else []
        return "\n".join(log_lines[-lines:])

    def close(self) -> None:
        for key in list(self._servers):
            self.stop(*key)

    def handle(self, request: Request) -> Response | None:
        if (request.method, request.path) != ("POST", "/score"):
            return None
        endpoint = self._endpoints.resources.get(request.host.partition(".")[0])
        if endpoint is None:
            return _plain(404, "no such endpoint")
        properties = endpoint["properties"]
        if not _authorised(request, properties["authMode"]):
            return _plain(401, "key_auth_access_denied")
        with self._endpoints.lock:  # a deployment that is chosen is not removed before it has answered
            chosen = request.headers.get("azureml-model-deployment") or _draw(properties["traffic"])
            if chosen is None:
                return _plain(404, "no deployment gets traffic")
            server = self._chosen(endpoint["name"], chosen, request)
            if server is None:
                return _plain(404, f"no deployment {chosen}")
            mirrors = [] if "azureml-model-deployment" in request.headers else list(properties["mirrorTraffic"].items())
            copies = [name for name, share in mirrors if random.random() * 100 < share]
            servers = [self._chosen(endpoint["name"], name, request) for name in copies]
        self.mirrored += copies
        for copy in servers:
            if copy:
                threading.Thread(target=self._ask, args=(copy, "", request), daemon=True).start()
        begun = time.monotonic()
        answered = self._ask(server, chosen, request)
        seconds, of_model = time.monotonic() - begun, answered.headers.get("ms-azureml-model-error-statuscode")
        self.answered.append(
            Answered(time.time(), endpoint["name"], chosen, answered.status, of_model or str(answered.status), seconds)
        )
        return answered

    def _chosen(self, endpoint: str, deployment: str, request: Request) -> Server | None:
        """A deployment's server, with this request counted as in flight; to be called under the lock."""
        server = self._servers.get((endpoint, deployment))
        if server:
            server.requests.append(request)
            server.in_flight += 1
        return server

    def _ask(self, server: Server, deployment: str, request: Request) -> Response:
        """Pass a request on, as the service's own front does: any error of the model becomes status 424."""
        names = ("Content-Type", "traceparent", "tracestate", "x-ms-client-request-id")
        headers = {name: request.headers[name] for name in names if name in request.headers}
        try:
            with _direct() as session:
                address = f"http://127.0.0.1:{server.port}/score"
                answer = session.post(address, request.body, headers=headers, timeout=60)
        except requests.RequestException as error:
            return _plain(503, f"the deployment does not answer: {type(error).__name__}")
        finally:
            with self._endpoints.lock:
                server.in_flight -= 1
        answer_headers = {
            "azureml-model-deployment": deployment,
            "Content-Type": answer.headers.get("Content-Type", "text/plain"),
        }
        if answer.ok:
            return Response(answer.status_code, answer.content, answer_headers)
        reasons = {
            "ms-azureml-model-error-statuscode": str(answer.status_code),
            "ms-azureml-model-error-reason": "model_error",
        }
        return Response(424, answer.content, {**answer_headers, **reasons})


def serve(python: Path, folder: Path, log: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start azureml-inference-server-http on a free port of 127.0.0.1; its own launcher listens on every address."""
    program = [str(python), "-m", "gunicorn", "--bind", "127.0.0.1:0"]
    with log.open("wb") as file:
        return subprocess.Popen(
            [*program, "azureml_inference_server_http.server.entry:app"],
            stdout=file,
            stderr=file,
            stdin=subprocess.DEVNULL,
            cwd=folder,
            env=environment,
        )


def wait(process: subprocess.Popen[bytes], log: Path, seconds: float = 90) -> int:
    """The port of a server that answers. Raises: RuntimeError with the end of its log."""
    deadline = time.monotonic() + seconds
    with _direct() as session:
        while process.poll() is None and time.monotonic() < deadline:
            address = re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", log.read_text(errors="replace"))
            try:
                if address and session.get(f"http://127.0.0.1:{address[1]}/", timeout=60).ok:
                    return int(address[1])
            except requests.RequestException:
                pass
            time.sleep(0.05)
    end(process)
    raise RuntimeError(log.read_text(errors="replace")[-800:])


def end(process: subprocess.Popen[bytes]) -> None:
    """End a server; it answers its open requests first."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _plain(status: int, text: str) -> Response:
    return Response(status, text.encode(), {"Content-Type": "text/plain"})


def _draw(traffic: dict[str, int]) -> str | None:
    """A deployment drawn by its share of the traffic; None when no deployment gets traffic."""
    shares = {name: share for name, share in traffic.items() if share}
    return random.choices(list(shares), list(shares.values()))[0] if shares else None


def _direct() -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    return session


def _write(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _authorised(request: Request, mode: str) -> bool:
    if not signed_in(request):
        return False
    credential = request.headers["Authorization"].removeprefix("Bearer ")
    if mode.lower() == "key":
        return credential in (KEY, KEY[::-1])
    claims = credential.split(".")[1] if credential.count(".") == 2 else ""
    return bool(claims) and json.loads(base64.urlsafe_b64decode(claims + "==="))["aud"].rstrip("/") == AUDIENCE
