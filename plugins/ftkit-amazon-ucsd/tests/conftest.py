"""A web server on the loopback interface that can break connections, and a cache of its own for each test."""

from __future__ import annotations

import gzip
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ftkit_amazon_ucsd import download


def review(index: int, **changes: Any) -> dict[str, Any]:
    """One review in the archive's format; stars repeat from 1 to 5."""
    return {
        "reviewerID": f"R{index}",
        "asin": f"A{index % 10}",
        "reviewerName": "Somebody",
        "helpful": [0, 1],
        "reviewText": f'Number {index} fits as it should, says "somebody" - it\'s fine.',
        "overall": 1.0 + index % 5,
        "summary": f"Summary {index}",
        "unixReviewTime": 1393545600 + index * 86400,
        "reviewTime": "02 28, 2014",
    } | changes


def compressed(count: int = 400) -> bytes:
    """A file of the archive with this many reviews; random content keeps it large after compression."""
    lines = (json.dumps(review(index, noise=os.urandom(64).hex())) for index in range(count))
    return gzip.compress("".join(line + "\n" for line in lines).encode(), mtime=0)


class Archive:
    """A server that answers each request with the next behaviour of its script, and correctly after its end.

    Behaviours: `cut:N` closes the connection after N bytes of the body, `hang:N` sends nothing after them, `gate` waits
    for the event `gate` first, a number answers with that status, `whole` ignores a range, `page` sends HTML, `shift`
    answers a range with another range.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.script: list[str] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.headers = {"ETag": '"one"'}
        self.gate = threading.Event()
        self.ending = threading.Event()
        archive = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                archive.requests.append((self.path, dict(self.headers)))
                archive.answer(self, archive.script.pop(0) if archive.script else "")

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: Any) -> None:
                """Connections that the client closes are expected here."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/files"

    @property
    def ranges(self) -> list[str]:
        """The range that each request asked for; empty for the whole file."""
        return [headers.get("Range", "") for _, headers in self.requests]

    def answer(self, handler: BaseHTTPRequestHandler, behaviour: str) -> None:
        verb, _, number = behaviour.partition(":")
        if verb == "gate":
            self.gate.wait(30)
        if verb.isdecimal():
            self.send(handler, int(verb), {"Retry-After": number} if number else {}, b"no")
            return
        if verb == "page":
            self.send(handler, 200, {}, b"<!doctype html><html>Log in first</html>")
            return
        start, requested = 0, handler.headers.get("Range", "")
        same = handler.headers.get("If-Range") in (None, self.headers.get("ETag"), self.headers.get("Last-Modified"))
        if requested and same and verb != "whole":
            start = int(requested.removeprefix("bytes=").rstrip("-"))
            if start >= len(self.content):
                self.send(handler, 416, {"Content-Range": f"bytes */{len(self.content)}"}, b"")
                return
        body, headers = self.content[start:], dict(self.headers)
        if start:
            first = start + (verb == "shift")
            headers["Content-Range"] = f"bytes {first}-{len(self.content) - 1}/{len(self.content)}"
        stop = int(number) if verb in ("cut", "hang") else None
        self.send(handler, 206 if start else 200, headers, body, stop)
        if verb == "hang":
            self.ending.wait(30)
        if stop is not None:
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)

    def send(
        self,
        handler: BaseHTTPRequestHandler,
        status: int,
        headers: dict[str, str],
        body: bytes,
        stop: int | None = None,
    ) -> None:
        handler.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body[:stop])
        handler.wfile.flush()


@pytest.fixture
def archive() -> Iterator[Archive]:
    server = Archive(compressed())
    thread = threading.Thread(target=server.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.gate.set()
    server.ending.set()
    server.server.shutdown()
    server.server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The empty folder of downloads; proxies are not used, and pauses are short."""
    monkeypatch.setenv("FTKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "FIRST_PAUSE", 0.01)
    return tmp_path / "cache" / "amazon-ucsd"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes lines, text or bytes, to a file, with gzip where its name ends in .gz."""

    def written(*lines: str | bytes, name: str = "reviews.json") -> Path:
        content = b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in lines)
        path = tmp_path / name
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return written


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data, which is kept outside the repository."""
    folder = Path(os.environ.get("FTKIT_SHARED", Path(__file__).parents[3].parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip("no real data here: FTKIT_SHARED names the folder that holds it")
    return folder
