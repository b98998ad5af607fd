"""What callers can make a front hold is bounded: silent ones are ended, and heads and bodies have an end."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import uvicorn
from ftkit_local.endpoint import intake
from ftkit_local.endpoint.intake import BoundedHttp, Room

from ftkit.serving.schema import Refusal

GOOD = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nok"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers the body of a request, once it has come."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message["body"], message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def serving(patience: float) -> Iterator[tuple[str, int]]:
    """The address of a server with these bounds, and so many seconds of patience."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intake, "HEAD_SECONDS", patience)
        patch.setattr(intake, "BODY_SECONDS", patience)
        patch.setattr(BoundedHttp, "limit", 20)
        listening = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(echo, http=BoundedHttp, log_config=None, lifespan="off", timeout_keep_alive=60)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])))
        thread.start()
        yield listening.getsockname()
        server.should_exit = True
        thread.join(30)


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    """Of a server with little patience."""
    with serving(1.0) as address:
        yield address


def talk(address: tuple[str, int], *parts: bytes) -> bytes:
    """All that comes back until the connection is ended."""
    with socket.create_connection(address, timeout=30) as connection:
        received = b""
        try:
            for part in parts:
                connection.sendall(part)
            while more := connection.recv(65536):
                received += more
        except ConnectionError:
            pass
        return received


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (b"", b""),
        (GOOD[:20], b"HTTP/1.1 408"),
        (GOOD[:-1], b"HTTP/1.1 408"),
        (GOOD + GOOD[:30], b"HTTP/1.1 200"),
    ],
)
def test_what_is_never_finished_is_ended(address: tuple[str, int], sent: bytes, answered: bytes) -> None:
    begun = time.monotonic()
    assert talk(address, sent).startswith(answered)
    assert time.monotonic() - begun < 20


def test_a_head_and_what_follows_a_body_have_an_end(address: tuple[str, int]) -> None:
    line = b"x-more: " + b"a" * 10_000 + b"\r\n"
    refusals = (b"HTTP/1.1 431", b"")  # the end may come before the answer is read, since more was on its way
    assert talk(address, GOOD[:30], *[line] * 2000)[:12] in refusals
    chunked = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"
    assert talk(address, chunked, *[line] * 2000)[:12] in refusals


def test_bodies_of_any_form_are_read_whole(address: tuple[str, int]) -> None:
    body = b"b" * 300_000
    close = b"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n"
    assert talk(address, close, b"content-length: 300000\r\n\r\n", body).endswith(body)
    chunks = b"".join(b"1\r\nb\r\n" for _ in range(30_000)) + b"0\r\nx-after: 1\r\n\r\n"
    assert talk(address, close, b"transfer-encoding: chunked\r\n\r\n", chunks).endswith(b"b" * 30_000)


def test_too_many_requests_sent_at_once_on_a_connection_end_it(address: tuple[str, int]) -> None:
    assert b"HTTP/1.1 400" in talk(address, GOOD * 3000)


def answers(connection: socket.socket) -> bool:
    """Whether a request on this connection is answered."""
    received = b""
    try:
        connection.sendall(GOOD)
        while not received.endswith(b"ok") and (more := connection.recv(100)):
            received += more
    except ConnectionError:
        return False
    return received.endswith(b"ok")


def test_a_new_connection_takes_the_place_of_the_one_that_was_unused_for_longest() -> None:
    with serving(60.0) as address, ExitStack() as stack:
        connections = [stack.enter_context(socket.create_connection(address, timeout=30)) for _ in range(20)]
        assert all(map(answers, connections))
        further = [stack.enter_context(socket.create_connection(address, timeout=30)) for _ in range(3)]
        assert all(map(answers, further))
        assert not any(map(answers, connections[:3]))
        assert all(map(answers, connections[3:]))


def test_large_bodies_share_a_room_and_small_ones_need_none() -> None:
    room = Room(100_000)
    with room.request() as take:
        for _ in range(9):
            take(10_000)
        with room.request() as another:
            another(16_000)
            with pytest.raises(Refusal, match="too many large requests"):
                another(10_000)
        with room.request() as small:
            small(10_000)
    with room.request() as take:
        take(100_000)
