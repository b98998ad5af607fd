"""What a Gateway does: it sends each request where the routes say, the weights exactly."""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ftkit.serving.traffic import RoundRobin
from tests.kserve.api_server import ApiServer


class Gateway:
    """One listener for all hosts; `port_of` gives the port of a service that has a ready pod."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api
        self._turns = RoundRobin()
        self._weights: dict[str, int] = {}
        self._flights: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.port_of: Any = lambda service: None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def in_flight(self, service: str) -> int:
        """Requests that a service has not answered yet."""
        return self._flights[service]

    def chosen(self, host: str, headers: Any) -> tuple[int, str]:
        """The status and the service of a request: 0, or a refusal of the gateway itself."""
        route = next((each for each in self._api.all("httproutes") if host in each["spec"]["hostnames"]), None)
        if route is None:
            return 404, ""
        rules = [rule for rule in route["spec"]["rules"] if _matches(rule["matches"][0], headers)]
        rule = max(rules, key=lambda each: len(each["matches"][0].get("headers", [])))
        weights = {each["name"].removesuffix("-predictor"): each["weight"] for each in rule.get("backendRefs", [])}
        with self._lock:
            if weights != self._weights:
                self._turns.reset()
                self._weights = weights
            service = self._turns.pick(weights)
            if service is None:
                return 500, ""
            self._flights[service] += 1
            return 0, service

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_call(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, service = gateway.chosen(self.headers["Host"].partition(":")[0], self.headers)
                if status:
                    self._reply(status, b"", {})
                    return
                try:
                    self._pass_on(service, body)
                finally:
                    with gateway._lock:
                        gateway._flights[service] -= 1

            def _pass_on(self, service: str, body: bytes) -> None:
                port = gateway.port_of(service)
                if port is None:
                    self._reply(503, b"no healthy upstream", {})
                    return
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                with contextlib.closing(connection):
                    try:
                        connection.request(self.command, self.path, body, dict(self.headers))
                        answer = connection.getresponse()
                        content = answer.read()
                    except (OSError, http.client.HTTPException):
                        self._reply(503, b"upstream connect error", {})
                        return
                self._reply(answer.status, content, dict(answer.getheaders()))

            def _reply(self, status: int, content: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    if name.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

            do_GET = do_POST = handle_call

        return Handler


def _matches(match: dict[str, Any], headers: Any) -> bool:
    return all(headers.get(each["name"]) == each["value"] for each in match.get("headers", []))
