"""Receivers of telemetry: an ingestion service and an OTLP collector, over real HTTP on the loopback."""

from __future__ import annotations

import gzip
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import pytest

from ftkit.testing import toys

KEY = "0f8fad5b-d9cd-469f-a165-70867728950e"
"""The instrumentation key of the tests: it may be in requests to ingestion, and nowhere else."""


class Sink:
    """An HTTP service that stores every POST and can be set to fail."""

    def __init__(self) -> None:
        self.bodies: list[tuple[str, bytes]] = []
        """Path and decompressed body of every POST that was accepted."""
        self.attempts = 0
        self.strange: list[str] = []
        """Requests that should not have been made."""
        self.mood: Literal["well", "failing", "hanging"] = "well"
        self.paths: tuple[str, ...] = ()
        self._released = threading.Event()
        self._arrived = threading.Condition()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Write no access log."""

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                with sink._arrived:
                    sink.attempts += 1
                    if self.path not in sink.paths:
                        sink.strange.append(f"POST {self.path}")
                    sink._arrived.notify_all()
                if sink.mood == "hanging":
                    sink._released.wait(60)
                if sink.mood != "well":
                    self._answer(500, b"{}")
                    return
                with sink._arrived:
                    sink.bodies.append((self.path, body))
                    sink._arrived.notify_all()
                self._answer(200, sink.answer(body))

            def do_GET(self) -> None:
                sink.strange.append(f"GET {self.path}")
                self._answer(404, b"")

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """Ignore a client that has disconnected."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, body: bytes) -> bytes:
        """The answer to a POST."""
        return b""

    def wait(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        """Wait until a condition on what has arrived is true."""
        with self._arrived:
            assert self._arrived.wait_for(condition, seconds), f"{len(self.bodies)} bodies, {self.attempts} attempts"

    def close(self) -> None:
        """Stop listening, like a service that is down."""
        self._released.set()
        self._server.shutdown()
        self._server.server_close()


class Ingestion(Sink):
    """Application Insights, at /v2.1/track."""

    def __init__(self) -> None:
        super().__init__()
        self.paths = ("/v2.1/track",)

    @property
    def connection_string(self) -> str:
        return f"InstrumentationKey={KEY};IngestionEndpoint={self.url}/;LiveEndpoint={self.url}/"

    def answer(self, body: bytes) -> bytes:
        count = len(items(body))
        return json.dumps({"itemsReceived": count, "itemsAccepted": count, "errors": []}).encode()

    @property
    def items(self) -> list[dict[str, Any]]:
        """Every item that arrived."""
        return [item for _, body in self.bodies for item in items(body)]

    def data(self, kind: str, name: str = "") -> list[dict[str, Any]]:
        """The items of one kind, such as RequestData, and of one name: their data and their tags."""
        of_kind = [
            {**item["data"]["baseData"], "tags": item["tags"]}
            for item in self.items
            if item["data"]["baseType"] == kind
        ]
        return [each for each in of_kind if not name or each["name"] == name]

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The requests in Application Insights' format."""
        return self.data("RequestData")

    def events(self, name: str) -> list[dict[str, Any]]:
        """The properties of the custom events of one name."""
        return [each["properties"] for each in self.data("EventData", name)]

    @property
    def wire(self) -> str:
        """Everything that has arrived, as text."""
        return "\n".join(body.decode() for _, body in self.bodies)


class Collector(Sink):
    """An OTLP collector, at /v1/traces and /v1/logs."""

    def __init__(self) -> None:
        super().__init__()
        self.paths = ("/v1/traces", "/v1/logs")

    @property
    def spans(self) -> list[tuple[dict[str, Any], Any]]:
        """Every span, with its resource."""
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        spans = []
        for _, body in [each for each in self.bodies if each[0] == "/v1/traces"]:
            for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                resource = attributes_by_name(group.resource.attributes)
                spans += [(resource, span) for scope in group.scope_spans for span in scope.spans]
        return spans

    @property
    def records(self) -> list[Any]:
        """Every log record."""
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

        records: list[Any] = []
        for _, body in [each for each in self.bodies if each[0] == "/v1/logs"]:
            for group in ExportLogsServiceRequest.FromString(body).resource_logs:
                records += [record for scope in group.scope_logs for record in scope.log_records]
        return records


def items(body: bytes) -> list[dict[str, Any]]:
    """The items of a body: a list, or one item a line."""
    if body.lstrip().startswith(b"["):
        return json.loads(body)
    return [json.loads(line) for line in body.splitlines() if line.strip()]


def attributes_by_name(attributes: Any) -> dict[str, Any]:
    """Attributes of OTLP by name."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


@pytest.fixture
def telemetry_off(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Remove the developer's own telemetry settings, and let a proxy catch every request to another host."""
    for name in list(os.environ):
        if name.startswith(("OTEL_", "APPLICATIONINSIGHTS_", "FTKIT_TELEMETRY_", "FTKIT_DRIFT_")):
            monkeypatch.delenv(name)
    outside_requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def refuse() -> None:
            while True:
                try:
                    connection, _ = proxy.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(1)
                    outside_requests.append(connection.recv(200))

        threading.Thread(target=refuse, daemon=True).start()
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(name, "127.0.0.1,localhost")
        for name in ("OTEL_BSP_SCHEDULE_DELAY", "OTEL_BLRP_SCHEDULE_DELAY"):
            monkeypatch.setenv(name, "100")
        yield
        proxy.shutdown(socket.SHUT_RDWR)
    assert outside_requests == [], "another host was contacted"


@pytest.fixture
def telemetry_ingestion(telemetry_off: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ingestion]:
    """Application Insights, and the environment variable with its address."""
    service = Ingestion()
    monkeypatch.setenv("APPLICATIONINSIGHTS_CONNECTION_STRING", service.connection_string)
    yield service
    service.close()
    assert service.strange == []


@pytest.fixture
def telemetry_collector(telemetry_off: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """An OTLP collector, and the environment variable with its address."""
    service = Collector()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", service.url)
    yield service
    service.close()
    assert service.strange == []


@pytest.fixture
def telemetry_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An FTKIT_HOME for the test, with the toys as a plugin that server processes find."""
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with toys.install(tmp_path / "plugins"):
        yield tmp_path / "home"


@pytest.fixture(autouse=True)
def _fresh_run_telemetry() -> Iterator[None]:
    """Let no test inherit the run telemetry of another."""
    from ftkit_appinsights import runs

    runs.telemetry.cache_clear()
    yield
    runs.telemetry.cache_clear()
