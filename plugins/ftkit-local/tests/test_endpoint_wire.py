"""The connections of a front to a server: kept open, one request at a time on each, and closed after a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from ftkit_local.endpoint.wire import Answer, Wire

from ftkit.serving.server import short_folder

Serve = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Name: Value\r\n\r\nok"


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine in a thread of its own: a test that drives a browser leaves a loop running in this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(main())).result()


@pytest.fixture
def path() -> Iterator[str]:
    with short_folder() as folder:
        yield str(folder / "socket")


@asynccontextmanager
async def serving(path: str, serve: Serve):
    """A server that hands each request's bytes to `serve`; yields the number of the connection of each request."""
    connections: list[int] = []
    opened: list[asyncio.StreamWriter] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        number = len(opened)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
                connections.append(number)
                await serve(head + await reader.readexactly(size), writer)
        writer.close()

    server = await asyncio.start_unix_server(handle, path)
    try:
        yield connections
    finally:
        server.close()
        for writer in opened:
            writer.close()


async def answer(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(OK)


def test_one_connection_serves_request_after_request_and_each_at_the_same_time_has_its_own(path: str) -> None:
    async def main() -> None:
        requests: list[bytes] = []
        together = asyncio.Event()

        async def serve(request: bytes, writer: asyncio.StreamWriter) -> None:
            requests.append(request)
            if b"wait" in request:
                if len(requests) == 4:
                    together.set()
                await together.wait()
            await answer(request, writer)

        async with serving(path, serve) as connections:
            wire = Wire(path, 10)
            answers = [await wire.ask("POST", "/score", b"body", {"traceparent": "00"}) for _ in range(2)]
            assert answers == [Answer(200, {"content-length": "2", "x-name": "Value"}, b"ok")] * 2
            assert requests[0].startswith(b"POST /score HTTP/1.1\r\n")
            assert b"traceparent: 00\r\n" in requests[0]
            assert requests[0].endswith(b"\r\n\r\nbody")
            assert connections == [1, 1]
            await asyncio.gather(*(wire.ask("POST", "/score", b"wait") for _ in range(2)))
            assert sorted(connections) == [1, 1, 1, 2]
            wire.close()

    run(main)


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf",
        b"nothing like HTTP\r\n\r\n",
    ],
)
def test_an_answer_that_breaks_off_is_a_lost_connection_and_the_next_request_has_another(
    path: str, response: bytes
) -> None:
    async def main() -> None:
        async def serve(request: bytes, writer: asyncio.StreamWriter) -> None:
            if b"good" in request:
                await answer(request, writer)
            else:
                writer.write(response)
                writer.close()

        async with serving(path, serve) as connections:
            wire = Wire(path, 10)
            with pytest.raises(ConnectionError):
                await wire.ask("POST", "/score", b"bad")
            assert (await wire.ask("POST", "/score", b"good")).content == b"ok"
            assert connections == [1, 2]
            wire.close()

    run(main)


def test_a_late_answer_is_not_taken_for_that_of_another_request(path: str) -> None:
    async def main() -> None:
        late, gone = asyncio.Event(), asyncio.Event()

        async def serve(request: bytes, writer: asyncio.StreamWriter) -> None:
            if b"slow" in request:
                await late.wait()
                writer.write(OK.replace(b"ok", b"no"))
                gone.set()
            else:
                await answer(request, writer)

        async with serving(path, serve):
            wire = Wire(path, 10)
            with pytest.raises(TimeoutError):
                await wire.ask("POST", "/score", b"slow", timeout=0.05)
            left = asyncio.create_task(wire.ask("POST", "/score", b"slow"))
            await asyncio.sleep(0)
            left.cancel()
            with suppress(asyncio.CancelledError):
                await left
            late.set()
            await gone.wait()
            assert (await wire.ask("POST", "/score", b"next")).content == b"ok"
            wire.close()

    run(main)


def test_interim_answers_chunks_and_a_closing_header_are_understood(path: str) -> None:
    async def main() -> None:
        async def serve(request: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Later\r\nTransfer-Encoding: chunked\r\n")
            writer.write(b"Connection: close\r\n\r\n3\r\nnot\r\n4\r\n now\r\n0\r\n\r\n")

        async with serving(path, serve) as connections:
            wire = Wire(path, 10)
            for _ in range(2):
                reply = await wire.ask("GET", "/readyz")
                assert (reply.status, reply.content) == (503, b"not now")
            assert connections == [1, 2], "a connection that the server closes is not used again"
            wire.close()

    run(main)


def test_a_server_that_does_not_listen_is_a_lost_connection(path: str) -> None:
    async def main() -> None:
        wire = Wire(path, 10)
        with pytest.raises(OSError, match=r".") as caught:
            await wire.ask("GET", "/readyz")
        assert not isinstance(caught.value, TimeoutError)
        async with serving(path, answer):
            await wire.ask("GET", "/readyz")
            wire.close()
            with pytest.raises(ConnectionError, match="gone"):
                await wire.ask("GET", "/readyz")

    run(main)
