"""The cloud behind the proxy: services by host name, all exchanges, and complaints about unanswered requests."""

from __future__ import annotations

import fnmatch
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from tests.azure.certificates import Authority
from tests.azure.faults import Fault
from tests.azure.messages import Request, Response, refusal
from tests.azure.proxy import Proxy


class Service(Protocol):
    """Answers requests to some host names."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """The host names it claims; `*` stands for any characters."""
        ...

    def handle(self, request: Request) -> Response | None:
        """The answer, or None when the request is for another service."""
        ...


Claimant = TypeVar("Claimant", bound=Service)

Inspector = Callable[[Request, Response], list[str]]
"""Returns the problems of an exchange."""


@dataclass(frozen=True)
class Exchange:
    """A request with its response; None when the connection was cut."""

    request: Request
    response: Response | None
    fault: Fault | None = None

    def __str__(self) -> str:
        return f"{self.response.status if self.response else 'cut'} {self.request}"


class Cloud:
    """All of Azure that a test needs, on this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder)
        self.exchanges: list[Exchange] = []
        self.complaints: list[str] = []
        """Problems that fail the test at its end: unanswered calls, foreign hosts, bodies that violate a schema."""
        self.inspectors: list[Inspector] = []
        self.faults: list[Fault] = []
        self.closing: list[Callable[[], None]] = []
        """Called when the cloud is closed."""
        self._services: list[Service] = []
        self._lock = threading.Lock()
        self._proxy = Proxy(self)

    def add(self, service: Claimant) -> Claimant:
        """Add a service and return it."""
        self._services.append(service)
        return service

    def fail(self, method: str, place: str, response: Response | None = None, **settings: object) -> Fault:
        """Add a fault: see `Fault`."""
        fault = Fault(method, place, response, **settings)  # type: ignore[arg-type]
        self.faults.append(fault)
        return fault

    def fault(self, method: str, host: str, path: str) -> Fault | None:
        """The fault that strikes this request, or None."""
        return next((each for each in list(self.faults) if each.strikes(method, host, path)), None)

    def respond(self, request: Request) -> Response:
        """The answer of the first service that gives one."""
        claimed = False
        for service in list(self._services):
            if not any(fnmatch.fnmatchcase(request.host, pattern) for pattern in service.hosts):
                continue
            claimed = True
            try:
                response = service.handle(request)
            except Exception:
                self.complain(f"{type(service).__name__} failed on {request}:\n{traceback.format_exc()}")
                return refusal(500, "LoopbackFailed", "see the complaints of the loopback")
            if response is not None:
                for inspect in self.inspectors:
                    for problem in inspect(request, response):
                        self.complain(f"{request}: {problem}")
                return response
        reason = "no service answered" if claimed else "a foreign host was called"
        self.complain(f"{reason}: {request.method} {request.host}{request.target} {request.body[:500]!r}")
        return refusal(404 if claimed else 502, "LoopbackUnanswered", f"{reason}: {request}")

    def keep(self, request: Request, response: Response | None, fault: Fault | None = None) -> None:
        """Record an exchange."""
        with self._lock:
            self.exchanges.append(Exchange(request, response, fault))

    def complain(self, problem: str) -> None:
        """Record a problem that fails the test at its end."""
        with self._lock:
            self.complaints.append(problem)

    def requests(self, method: str, place: str) -> list[Request]:
        """The requests so far of this method whose `host/path` contains `place`."""
        with self._lock:
            return [
                each.request
                for each in self.exchanges
                if each.request.method == method and place in each.request.host + each.request.path
            ]

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that make a process use the proxy and trust it, in both spellings."""
        proxy = {"HTTP_PROXY": self._proxy.url, "HTTPS_PROXY": self._proxy.url, "NO_PROXY": "localhost,127.0.0.1"}
        trusted = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
        return {
            **proxy,
            **{name.lower(): value for name, value in proxy.items()},
            **dict.fromkeys(trusted, str(self.authority.file)),
        }

    def close(self) -> None:
        """Stop the proxy and the processes of all services."""
        for end in self.closing:
            end()
        self._proxy.close()
        for service in self._services:
            if callable(close := getattr(service, "close", None)):
                close()
