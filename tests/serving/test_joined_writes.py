"""Answers leave in one piece, and nothing of them is lost or kept back."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("httptools")

import uvicorn

from ftkit.serving.joined_writes import LARGEST, JoinedHttp, JoinedWrites

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


class Recorded(asyncio.Transport):
    """Keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__({"peername": "somebody"})
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        assert not self.closed
        self.sent.append(bytes(data))

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ([HEAD, b"body"], [HEAD + b"body"]),
        ([HEAD, b"part", b"part"], [HEAD + b"part", b"part"]),
        ([HEAD], [HEAD]),
        ([HEAD, b"x" * (LARGEST + 1)], [HEAD, b"x" * (LARGEST + 1)]),
        ([HEAD, b"one", HEAD, b"two"], [HEAD + b"one", HEAD + b"two"]),
        ([HEAD, HEAD], [HEAD + HEAD]),
        ([HEAD, b""], [HEAD]),
    ],
)
@pytest.mark.parametrize("closed", [False, True])
def test_a_head_waits_for_its_body_and_no_longer_than_a_turn_of_the_loop(
    written: list[bytes], sent: list[bytes], closed: bool
) -> None:
    async def write() -> Recorded:
        transport = Recorded()
        joined = JoinedWrites(transport, asyncio.get_running_loop())
        for each in written:
            joined.write(each)
        if closed:
            joined.close()
        else:
            await asyncio.sleep(0)
        assert joined.get_extra_info("peername") == "somebody"
        return transport

    with ThreadPoolExecutor(1) as apart:  # a browser of other tests may have a loop in this thread
        transport = apart.submit(asyncio.run, write()).result()
    assert transport.sent == sent
    assert transport.closed == closed


@pytest.fixture
def port() -> Iterator[int]:
    """A server whose answers come in two parts, the second a moment later."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]})
        if scope["path"] == "/slow":
            await asyncio.sleep(0.05)
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await asyncio.sleep(0.05)
        await send({"type": "http.response.body", "body": b"after"})

    config = uvicorn.Config(application, port=0, http=JoinedHttp, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


@pytest.mark.parametrize("path", ["/", "/slow"])
def test_answers_in_parts_arrive_whole_request_after_request(port: int, path: str) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        for _ in range(3):
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
            received = b""
            while not received.endswith(b"firstafter"):
                part = connection.recv(65536)
                assert part, received
                received += part
            assert received.startswith(b"HTTP/1.1 200 OK\r\n")
            assert received.count(b"HTTP/1.1") == 1
