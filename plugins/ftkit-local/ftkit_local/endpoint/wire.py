"""The connections of a front to one server: kept open, with one request at a time on each.

Every request to an endpoint is passed on here, on the cores that the model computes on. That is why there is no client
library: one took more processor time than everything else that the front does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import httptools

CONNECT = 10.0
"""Seconds that a server has to take a connection."""
IDLE = 256
"""Unused connections that are kept open."""


@dataclass(frozen=True)
class Answer:
    """A server's answer to one request."""

    status: int
    headers: Mapping[str, str]
    """By lower-case names."""
    content: bytes


class Wire:
    """Sends requests to one server, on its socket in the file system."""

    def __init__(self, path: str, timeout: float) -> None:
        self._path = path
        self._timeout = timeout
        self._idle: list[_Connection] = []
        self._busy: set[_Connection] = set()
        self._closed = False

    async def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, timeout: float = 0.0
    ) -> Answer:
        """The answer to one request. Raises: TimeoutError without an answer in time; ConnectionError, OSError."""
        async with asyncio.timeout(timeout or self._timeout):
            connection = await self._connection()
            self._busy.add(connection)
            try:
                answer = await connection.ask(_request(method, path, body, headers or {}))
            except BaseException:
                connection.end()  # an answer that comes later would belong to this request
                raise
            finally:
                self._busy.discard(connection)
        if connection.open and not self._closed and len(self._idle) < IDLE:
            self._idle.append(connection)
        else:
            connection.end()
        return answer

    def give_up(self, reason: str) -> None:
        """Fail all requests in progress with a ConnectionError, so that they are sent elsewhere."""
        for connection in list(self._busy):
            connection.fail(reason)

    def close(self) -> None:
        """End the connections; a request in progress keeps its own until it is answered."""
        self._closed = True
        while self._idle:
            self._idle.pop().end()

    async def _connection(self) -> _Connection:
        while self._idle:
            if (connection := self._idle.pop()).open:
                return connection
        if self._closed:
            raise ConnectionError("the deployment is gone")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT):
                _, connection = await loop.create_unix_connection(_Connection, self._path)
        except TimeoutError as error:
            raise ConnectionError(f"no connection within {CONNECT:g} s") from error
        return connection


def _request(method: str, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: deployment", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode("latin-1") + body


class _Connection(asyncio.Protocol):
    """One connection; httptools calls its methods that begin with `on_`."""

    def __init__(self) -> None:
        self.open = True
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[Answer] | None = None
        self._headers: dict[str, str] = {}
        self._parts: list[bytes] = []

    async def ask(self, request: bytes) -> Answer:
        """Send a request and wait for its answer."""
        if not self.open:
            raise ConnectionError("the server has closed the connection")
        self._answer = asyncio.get_running_loop().create_future()
        self._headers, self._parts = {}, []
        self._transport.write(request)
        return await self._answer

    def end(self) -> None:
        """Close it, with what was not sent yet."""
        self.open = False
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.fail(f"the server does not speak HTTP: {error}")
            self.end()

    def connection_lost(self, error: Exception | None) -> None:
        self.open = False
        self.fail(f"the server has closed the connection{f': {error}' if error else ''}")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:  # an interim answer
            return
        self.open = self.open and self._parser.should_keep_alive()
        if self._answer and not self._answer.done():
            self._answer.set_result(Answer(status, self._headers, b"".join(self._parts)))

    def fail(self, what: str) -> None:
        """Let the request in progress fail."""
        if self._answer and not self._answer.done():
            self._answer.set_exception(ConnectionError(what))
