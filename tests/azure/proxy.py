"""The CONNECT proxy: terminates TLS with certificates of its own and passes whole requests to the cloud."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.azure.messages import Request, Response

if TYPE_CHECKING:
    from tests.azure.cloud import Cloud

_WITHOUT_BODY = (204, 304)


class Proxy:
    """Listens on a free port of 127.0.0.1 until closed."""

    def __init__(self, cloud: Cloud) -> None:
        handler = type("Handler", (_Handler,), {"cloud": cloud})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a client that closed its connection."""


class _Handler(BaseHTTPRequestHandler):
    cloud: Cloud
    protocol_version = "HTTP/1.1"
    host = ""
    """The host at the end of the tunnel; empty outside of one."""

    def log_message(self, *_: Any) -> None:
        """Log nothing: the cloud stores every exchange."""

    def do_CONNECT(self) -> None:
        self.host = self.path.rpartition(":")[0].strip("[]").lower()
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self.wfile.flush()
        try:
            self.connection = self.cloud.authority.context(self.host).wrap_socket(self.connection, server_side=True)
        except OSError as error:
            if not _closed_by_client(error):
                self.cloud.complain(f"no TLS with a client of {self.host}: {error}")
            self.close_connection = True
            return
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rfile, self.wfile = self.connection.makefile("rb", -1), self.connection.makefile("wb", -1)
        self.close_connection = False
        while not self.close_connection:
            self.handle_one_request()

    def _any(self) -> None:
        host, target = self.host, self.path
        if not host:  # plain HTTP: the request line holds the whole address
            parts = urlsplit(target)
            host = (parts.hostname or self.headers.get("Host", "").partition(":")[0]).lower()
            target = target.removeprefix(f"{parts.scheme}://{parts.netloc}") or "/"
        fault = self.cloud.fault(self.command, host, urlsplit(target).path)
        if fault and fault.cut == "upload":
            self.rfile.read1(max(1, int(self.headers.get("Content-Length") or 2) // 2))
            self.cloud.keep(Request(self.command, host, target, self.headers), None, fault)
            self._cut()
            return
        request = Request(self.command, host, target, self.headers, self._body())
        response = fault.response if fault and fault.response else self.cloud.respond(request)
        self.cloud.keep(request, response, fault)
        if fault and fault.then:
            fault.then()
        if fault and fault.cut == "answer":
            self._cut()
            return
        self._send(response)

    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = _any

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = b""
            while size := int(self.rfile.readline().partition(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionAbortedError("the client went away in the middle of its request")
        return body

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.status not in _WITHOUT_BODY and "Content-Length" not in response.headers:
            self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)
        self.wfile.flush()

    def _cut(self) -> None:
        """Reset the connection, without closing TLS and without the rest of the answer."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw = socket.socket(fileno=self.connection.detach())  # without TLS, which would send a closing alert
        raw.close()


def _closed_by_client(error: OSError) -> bool:
    """Whether the client closed the connection, as a killed one does; a client that refuses TLS sends an alert."""
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError) or not isinstance(error, ssl.SSLError):
        return True
    return not error.library  # closed while its first message was still unread
