"""Bytes on the sockets of a running endpoint and of its server: every request gets a whole answer, and the next one as well."""

from __future__ import annotations

import json
import socket
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.fuzzing.families import Case, Outcome
from benchmarks.fuzzing.mutations import ODD_TEXTS, damaged
from benchmarks.fuzzing.requests import WrongAnswer, body_for, checked
from benchmarks.fuzzing.served import Served

ENDPOINT = "fuzzed"
PATHS = ("/score",) * 12 + (
    "/model",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/docs",
    "/",
    "/score/",
    "//score",
    "/%00",
    "/score?x=\xff",
)
METHODS = ("POST",) * 12 + ("GET", "PUT", "HEAD", "OPTIONS", "DELETE", "post", "FOO", "")


class Cases:
    """An endpoint of this machine with a deployment of the toys."""

    def __init__(self, folder: Path) -> None:
        from ftkit_local.deployer import LocalDeployer

        self._stack = ExitStack()
        self._served = Served(folder)
        self._stack.callback(self._served.close)
        self._host = self._served.host("texts")
        self._stack.callback(self._host.close)
        self._deployer = LocalDeployer(endpoint=ENDPOINT, threads=1)
        self._stack.callback(self._deployer.stop)
        self._deployer.prepare()
        self._deployer.create("v1", self._served.bundles["texts"].folder)
        ends = time.monotonic() + 300
        while (health := self._deployer.health("v1")).state != "ready":
            if time.monotonic() > ends:
                raise RuntimeError(health)
            time.sleep(0.1)
        self._deployer.set_traffic({"v1": 100})
        described: Any = self._deployer.describe()
        self._address = tuple(described.url.split("/")[2].split(":"))
        self._key = described.key

    def close(self) -> None:
        """Stop the endpoint."""
        self._stack.close()

    def case(self, random: Random) -> Case:
        """A request with odd parts, or with damaged bytes."""
        body = body_for(random, ("text",))
        path, method = random.choice(PATHS), random.choice(METHODS)
        sound = path == "/score" and method == "POST"
        headers = {"Host": "x", "Authorization": f"Bearer {self._key}", "Connection": "close"}
        if random.random() < 0.8:
            headers["Content-Length"] = str(len(body))
        else:
            headers["Transfer-Encoding"] = "chunked"
        for _ in range(random.choice((0, 0, 0, 1, 2))):
            sound = False
            name = random.choice(
                (
                    *headers,
                    "Content-Type",
                    "Content-Encoding",
                    "X-Ftkit-Deployment",
                    "traceparent",
                    "Expect",
                    "Cookie",
                    "x",
                )
            )
            headers[name] = random.choice(
                (*ODD_TEXTS, "gzip", "100-continue", "text/csv", "99999999999999999999", "-5", "0", "chunked")
            )
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        head = "\r\n".join(lines).encode("utf-8", "replace")
        sent = head + (_chunked(random, body) if "Transfer-Encoding" in headers else body)
        if random.random() < 0.3:
            sound, sent = False, damaged(random, sent)
        sound = sound and "Content-Length" in headers  # a chunk may have a wrong length

        def read() -> Outcome:
            status, content = self._ask(sent, 60.0 if sound else 1.0)
            if sound and not status:
                raise WrongAnswer("no answer")
            if not status:
                outcome: Outcome = "refused"  # what is no HTTP, or not whole, may be cut off
            elif sound:
                outcome = checked(status, content, body, self._host)
            elif status >= 500:
                raise WrongAnswer(f"status {status}: {content[:500]!r}")
            else:
                outcome = "accepted" if status < 400 else "refused"
            if random.random() < 0.1:
                self._check()
            return outcome

        return Case(f"{sent[:2500]!r}", read)

    def _check(self) -> None:
        """Raises: WrongAnswer unless the endpoint answers a sound request."""
        body = json.dumps({"data": [{"text": "broke"}]}).encode()
        head = f"POST /score HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self._key}\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        status, content = self._ask(head.encode() + body)
        if status != 200:
            raise WrongAnswer(f"a sound request after this one: status {status}, {content[:300]!r}")

    def _ask(self, sent: bytes, patience: float = 60.0) -> tuple[int, bytes]:
        """Status and body of the first answer; 0 without one, where `patience` ends or the connection was closed."""
        with socket.create_connection((self._address[0], int(self._address[1])), timeout=patience) as connection:
            with suppress(OSError):  # an answer before the end of the request closes the connection
                connection.sendall(sent)
            parts = []
            with suppress(ConnectionError, TimeoutError):  # what is not whole is waited for
                while part := connection.recv(65536):
                    parts.append(part)
        answer = b"".join(parts)
        while answer.startswith(b"HTTP/1.1 100"):
            answer = answer.partition(b"\r\n\r\n")[2]
        if not answer:
            return 0, b""
        head, _, content = answer.partition(b"\r\n\r\n")
        return int(head.split(b" ")[1]), content


def _chunked(random: Random, body: bytes) -> bytes:
    """A body in chunks, sometimes with a wrong length."""
    parts, place = [], 0
    while place < len(body):
        size = random.choice((1, 7, 100, 5000, 10**5))
        part = body[place : place + size]
        shown = len(part) if random.random() < 0.97 else random.choice((0, len(part) + 1, 10**15))
        parts.append(f"{shown:x}\r\n".encode() + part + b"\r\n")
        place += size
    return b"".join(parts) + b"0\r\n\r\n"
