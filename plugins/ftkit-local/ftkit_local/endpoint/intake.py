"""Bounds what callers can make the front hold: connections, heads, bodies, and the time that each may take.

The HTTP server below has none of these: a connection that sends nothing would stay for ever, and the head of a request could fill the memory,
from anybody who reaches the port, with the key or without it.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ftkit.serving.joined_writes import JoinedHttp
from ftkit.serving.schema import Refusal

HEAD_SECONDS = 30.0
"""Within which a new connection, or a request that has begun, must have sent a whole head."""
BODY_SECONDS = 60.0
"""Within which the body must follow, and within which a caller must begin to read an answer."""
HEAD_BYTES = 64 * 1024
"""Of a head, as far as it is kept."""
CHUNK_BYTES = 64
"""Of what comes with each chunk of a body beside its content."""
PIPELINED = 100
"""Requests that may be sent on one connection before the first is answered."""
SMALL = 16 * 1024
"""Bytes of a body that always find room."""
BODIES = 128 * 1024 * 1024
"""Bytes of all larger bodies together, from their first byte to their answer."""
OWN_FILES = 200
"""Files that the front needs for itself."""


def most_connections() -> int:
    """Connections that this process can keep: each may need another one to a server. Allows it as many files as it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return max(min(hard, 65_536) - OWN_FILES, 2) // 2


class Room:
    """How much of larger bodies is held."""

    def __init__(self, limit: int = BODIES) -> None:
        self._limit = limit
        self._held = 0

    @contextmanager
    def request(self) -> Iterator[Callable[[int], None]]:
        """Until its end, what is taken counts; the function takes the bytes of another part. Raises: Refusal, where there is no room."""
        size = held = 0

        def take(part: int) -> None:
            nonlocal size, held
            size += part
            if size <= SMALL:
                return
            if self._held + size - held > self._limit:
                raise Refusal(
                    429,
                    "too many large requests wait already",
                    "body",
                    "Come back after Retry-After seconds, or send fewer texts at a time.",
                    {"Retry-After": "1"},
                )
            self._held += size - held
            held = size

        try:
            yield take
        finally:
            self._held -= held


class BoundedHttp(JoinedHttp):
    """One connection of a caller; httptools calls its methods that begin with `on_`."""

    limit = 10_000
    """Connections at a time; beyond it, the one that has been unused for longest is ended."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._deadline: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._receiving = self._in_head = self._began_now = False
        self._surplus = 0
        self._used = time.monotonic()
        self._expect(HEAD_SECONDS)
        if len(self.connections) > self.limit:  # some of which may be ending
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect(None)
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._began_now = False
        self._surplus += len(data)
        super().data_received(data)
        if self._began_now:
            self._surplus = 0
        if self._receiving and self._surplus > HEAD_BYTES:
            self._refuse(431, b"the head of the request is too large")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._receiving = self._in_head = self._began_now = True
        self._expect(HEAD_SECONDS)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # those after a body in chunks say nothing
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._expect(BODY_SECONDS)
        super().on_headers_complete()
        if len(self.pipeline) > PIPELINED:
            raise ValueError("too many requests at once")  # which ends the connection with 400

    def on_chunk_header(self) -> None:
        """The head of a chunk is no part of the body, and none of what is held."""
        self._surplus -= CHUNK_BYTES

    def on_body(self, body: bytes) -> None:
        self._surplus -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._receiving = False
        self._expect(None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._used = time.monotonic()
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(BODY_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        if self._unread:
            self._unread.cancel()
            self._unread = None
        super().resume_writing()

    @property
    def unused(self) -> bool:
        """Whether no request is under way."""
        return not self._receiving and (self.cycle is None or self.cycle.response_complete)

    def _expect(self, seconds: float | None) -> None:
        """Give the caller so long for what comes next, or any time."""
        if self._deadline:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(seconds, self._late) if seconds else None

    def _late(self) -> None:
        if self._receiving:
            self._refuse(408, b"the request did not come in time")
        else:
            self.transport.abort()

    def _refuse(self, status: int, why: bytes) -> None:
        """Answer, unless an answer has begun, and end the connection."""
        if not self.transport.is_closing() and (self.cycle is None or not self.cycle.response_started):
            head = f"HTTP/1.1 {status} Refused\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: {len(why)}"
            self.transport.write(head.encode() + b"\r\n\r\n" + why)
        self.transport.close()

    def _make_room(self) -> None:
        alive = [each for each in self.connections if isinstance(each, BoundedHttp) and not each.transport.is_closing()]
        if len(alive) > self.limit:
            unused = (each for each in alive if each.unused and each is not self)
            min(unused, key=lambda each: each._used, default=self).transport.abort()
