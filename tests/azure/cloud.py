"""The cloud behind the proxy: services by host name, every exchange kept, and complaints about what nobody answered."""

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
    """What answers for some host names."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """The host names it claims; `*` stands for any characters."""
        ...

    def handle(self, request: Request) -> Response | None:
        """The answer, or None when the request is another service's business."""
        ...


Claimant = TypeVar("Claimant", bound=Service)

Inspector = Callable[[Request, Response], list[str]]
"""Looks at an exchange and says what is wrong with it."""


@dataclass(frozen=True)
class Exchange:
    """A request and what came of it; no response when the connection was cut."""

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
        """What a test must not have caused: calls nobody answers, foreign hosts, bodies that no schema allows."""
        self.inspectors: list[Inspector] = []
        self.faults: list[Fault] = []
        self.closing: list[Callable[[], None]] = []
        """Called when the cloud goes away."""
        self._services: list[Service] = []
        self._lock = threading.Lock()
        self._proxy = Proxy(self)

    def add(self, service: Claimant) -> Claimant:
        """Put a service behind the proxy; returns it."""
        self._services.append(service)
        return service

    def fail(self, method: str, place: str, response: Response | None = None, **settings: object) -> Fault:
        """Let a request go wrong: see `Fault`."""
        fault = Fault(method, place, response, **settings)  # type: ignore[arg-type]
        self.faults.append(fault)
        return fault

    def fault(self, method: str, host: str, path: str) -> Fault | None:
        """The fault that strikes this request, if one does."""
        return next((each for each in list(self.faults) if each.strikes(method, host, path)), None)

    def respond(self, request: Request) -> Response:
        """What the services say to a request."""
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
        said = "nobody answers" if claimed else "a foreign host was asked"
        self.complain(f"{said}: {request.method} {request.host}{request.target} {request.body[:500]!r}")
        return refusal(404 if claimed else 502, "LoopbackUnanswered", f"{said}: {request}")

    def keep(self, request: Request, response: Response | None, fault: Fault | None = None) -> None:
        """Note an exchange."""
        with self._lock:
            self.exchanges.append(Exchange(request, response, fault))

    def complain(self, what: str) -> None:
        """Note what must fail the test at its end."""
        with self._lock:
            self.complaints.append(what)

    def asked(self, method: str, place: str) -> list[Request]:
        """The requests so far of this method whose `host/path` the text is part of."""
        with self._lock:
            return [
                each.request
                for each in self.exchanges
                if each.request.method == method and place in each.request.host + each.request.path
            ]

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which a process finds the proxy and trusts it; both spellings are in use."""
        proxy = {"HTTP_PROXY": self._proxy.url, "HTTPS_PROXY": self._proxy.url, "NO_PROXY": "localhost,127.0.0.1"}
        trusted = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
        return {
            **proxy,
            **{name.lower(): value for name, value in proxy.items()},
            **dict.fromkeys(trusted, str(self.authority.file)),
        }

    def close(self) -> None:
        """Stop listening, and whatever services have running."""
        for end in self.closing:
            end()
        self._proxy.close()
        for service in self._services:
            if callable(close := getattr(service, "close", None)):
                close()
