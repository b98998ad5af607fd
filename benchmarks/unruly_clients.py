"""Clients that misbehave, of every kind that an endpoint on a network meets."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from ftkit.contracts import Endpoint

LONGEST = 90.0
"""Seconds after which the endpoint must have ended a connection that only waits."""


@dataclass(frozen=True)
class Unruly:
    """One kind of clients that misbehave."""

    name: str
    clients: int
    misbehave: Callable[[Client, random.Random], Awaitable[None]]
    wanted: tuple[int, ...]
    """The statuses that are right; 0 is a connection that is ended without one."""
    body: Callable[[random.Random], bytes] = lambda _: b""
    """Makes what is sent, before the connection is."""


class Client:
    """One client that misbehaves."""

    def __init__(self, endpoint: Endpoint, kind: Unruly, draw: random.Random) -> None:
        self._address = urlsplit(endpoint.url)
        self._key = endpoint.key
        self._kind, self._draw = kind, draw
        self.body = kind.body(draw)

    async def status(self) -> int:
        """Misbehave; the status of the answer, 0 for a connection that was ended without one, -1 for none in time."""
        try:
            async with asyncio.timeout(LONGEST):
                self._reader, self._writer = await asyncio.open_connection(self._address.hostname, self._address.port)
                sending = asyncio.ensure_future(self._send())
                try:
                    line = await self._reader.readline()
                finally:
                    sending.cancel()
            return int(line.split()[1]) if line else 0
        except TimeoutError:
            return -1
        except OSError:
            return 0
        finally:
            with suppress(AttributeError):
                self._writer.transport.abort()

    async def _send(self) -> None:
        with suppress(OSError):
            await self._kind.misbehave(self, self._draw)

    def head(self, *lines: str) -> bytes:
        """The head of a request, with these lines at its end."""
        first = [f"POST {self._address.path} HTTP/1.1", f"host: {self._address.netloc}"]
        return "\r\n".join([*first, f"authorization: Bearer {self._key}", *lines, "", ""]).encode()

    async def send(self, data: bytes) -> None:
        """Send bytes, as fast as they are taken."""
        self._writer.write(data)
        await self._writer.drain()


async def _silent(client: Client, draw: random.Random) -> None:
    """Sends nothing."""


async def _half_head(client: Client, draw: random.Random) -> None:
    head = client.head("content-type: application/json")
    await client.send(head[: draw.randrange(1, len(head) - 4)])


async def _endless_head(client: Client, draw: random.Random) -> None:
    await client.send(client.head()[:-2])
    while True:
        await client.send(b"x-more: " + b"a" * 65_000 + b"\r\n")


async def _drip(client: Client, draw: random.Random) -> None:
    """A byte of the body every second."""
    await client.send(client.head("content-length: 1000000"))
    while True:
        await client.send(b"[")
        await asyncio.sleep(1.0)


async def _stalled(client: Client, draw: random.Random) -> None:
    """Nearly all of a body that is as large as is allowed."""
    size = 4 * 2**20
    await client.send(client.head(f"content-length: {size}"))
    await client.send(b" " * (size - 1 - draw.randrange(1000)))


async def _large(client: Client, draw: random.Random) -> None:
    await client.send(client.head(f"content-length: {100 * 2**20}"))
    for _ in range(100):
        await client.send(b" " * 2**20)


async def _large_chunks(client: Client, draw: random.Random) -> None:
    await client.send(client.head("transfer-encoding: chunked"))
    for _ in range(100):
        await client.send(b"100000\r\n" + b" " * 2**20 + b"\r\n")


async def _leaves(client: Client, draw: random.Random) -> None:
    """Many texts, whose answer nobody waits for."""
    body = json.dumps({"data": [{"text": "word " * 50}] * 500}).encode()
    await client.send(client.head(f"content-length: {len(body)}") + body)
    await asyncio.sleep(0.2 * draw.random())
    client._writer.transport.abort()


async def _whole(client: Client, draw: random.Random) -> None:
    head = client.head("content-type: application/json", f"content-length: {len(client.body)}")
    await client.send(head + client.body)


def _many_texts(draw: random.Random) -> bytes:
    return json.dumps({"data": [{"text": "a"}] * 10_000}).encode()


def _broken_utf8(draw: random.Random) -> bytes:
    return b'{"data": [{"text": "' + bytes([draw.randrange(0x80, 0xC0), 0xFF, draw.randrange(256)]) + b'"}]}'


def _deep(draw: random.Random) -> bytes:
    return draw.choice([b"[", b'{"data":']) * draw.choice([1_000, 100_000, 400_000])


def _huge_text(draw: random.Random) -> bytes:
    return json.dumps({"data": [{"text": "word " * 800_000}]}).encode()


def _many_things(draw: random.Random) -> bytes:
    return b'{"data": [{"text": "a", "more": [' + b"[]," * 1_300_000 + b"[]]}]}"


KINDS = (
    Unruly("silent connections", 500, _silent, (0, 408)),
    Unruly("half of a head", 200, _half_head, (0, 400, 408)),
    Unruly("a head without an end", 20, _endless_head, (0, 400, 431)),
    Unruly("a byte a second", 200, _drip, (0, 408)),
    Unruly("bodies of 4 MB that stall", 200, _stalled, (0, 408, 429)),
    Unruly("bodies of 100 MB", 10, _large, (413,)),
    Unruly("100 MB in chunks", 10, _large_chunks, (413,)),
    Unruly("10,000 texts", 20, _whole, (413,), _many_texts),
    Unruly("broken UTF-8", 50, _whole, (400,), _broken_utf8),
    Unruly("deep JSON", 50, _whole, (400,), _deep),
    Unruly("a million lists beside the text", 10, _whole, (200, 429), _many_things),
    Unruly("texts of 4 MB", 40, _whole, (200, 429), _huge_text),
    Unruly("callers who leave", 50, _leaves, (0, 200, 429)),
)
