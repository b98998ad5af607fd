"""HTTP over a socket of this machine."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path


class SocketConnection(http.client.HTTPConnection):
    """A connection to a socket of this machine that stays open from request to request."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("server", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
