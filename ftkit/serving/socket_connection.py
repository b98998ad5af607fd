"""HTTP over a socket of this machine: a connection, and the answer that a server of a bundle gives over it."""

from __future__ import annotations

import http.client
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class SocketConnection(http.client.HTTPConnection):
    """A connection to a socket of this machine that stays open from request to request."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("server", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@dataclass(frozen=True)
class Answer:
    """A server's answer to one request."""

    status: int
    value: Any
    """The decoded body."""
    bundle: str
    """The hash of the bundle that computed it; empty where none did."""
    seconds: float
    """From sending the request to having read the answer."""

    @property
    def refusal(self) -> str:
        """Status and reason of a request that was refused or failed; empty when it was answered."""
        if self.status == 200:
            return ""
        reason = self.value.get("error") if isinstance(self.value, dict) else None
        return f"{self.status}: {reason or http.client.responses.get(self.status, 'no reason given')}"
