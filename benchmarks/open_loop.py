"""Callers who send on a schedule, whatever the answers do: the time of a request counts from when it was due.

    python -m benchmarks.open_loop SETTINGS RECORDS

A caller who waits for one answer before it asks again sends less while the endpoint is slow, and so measures least when it is worst
(coordinated omission). Source: github.com/giltene/wrk2, README. Here every request has a time at which it is due, and a connection of its
own if none is unused. It is a process of its own, so that what else the measurement does delays no request. It ends at the end of
its standard input, or after `seconds`, when every request has had its answer or its time is over.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httptools

from benchmarks.turns import ROOT, Numbers

OK, REFUSED, FAILED, LOST, TIMEOUT, MISTAKE = "answered", "429", "5xx", "lost", "timeout", "other 4xx"
"""What becomes of a request: lost is one whose connection was refused or ended before its answer."""


@dataclass(frozen=True)
class Settings:
    """What is asked, and how often."""

    url: str
    headers: Mapping[str, str]
    bodies: Sequence[str]
    rate: float
    """Requests a second."""
    seconds: float = 1e9
    timeout: float = 90.0
    """Seconds that an answer may take."""


@dataclass(frozen=True)
class Record:
    """One request; times are those of the machine's monotonic clock."""

    number: int
    due: float
    sent: float
    ended: float
    kind: str
    deployment: str
    """Who answered, by the answer itself."""
    bundle: str
    answer: Any
    """The decoded body, of an answer with status 200; otherwise what went wrong."""

    @property
    def seconds(self) -> float:
        """How long its caller waited, from the time at which it was due."""
        return self.ended - self.due


class Callers:
    """A process that sends the requests, from the beginning of a `with` to its end; then `records` has what became of them."""

    def __init__(self, settings: Settings, folder: Path, name: str = "callers") -> None:
        self._settings, self._files = settings, (folder / f"{name}.json", folder / f"{name}.records")
        self.records: list[Record] = []

    def __enter__(self) -> Callers:
        self._files[0].write_text(json.dumps(asdict(self._settings)), encoding="utf-8")
        command = [sys.executable, "-m", "benchmarks.open_loop", *map(str, self._files)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout
        self._process.stdout.readline()  # it begins to send
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self.wait()

    def wait(self) -> None:
        """Wait until all is sent and answered. Raises: RuntimeError when the process failed."""
        if code := self._process.wait():
            raise RuntimeError(f"the process that sends the requests ended with exit code {code}")
        with self._files[1].open(encoding="utf-8") as lines:
            self.records = [Record(*json.loads(line)) for line in lines]


class _Connection(asyncio.Protocol):
    """One connection with one request at a time; httptools calls its methods that begin with `on_`."""

    def __init__(self) -> None:
        self.open = True
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[tuple[int, dict[str, str], bytes]] | None = None

    async def ask(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body. Raises: ConnectionError."""
        if not self.open:
            raise ConnectionError("closed before it was used")
        self._answer = asyncio.get_running_loop().create_future()
        self._headers: dict[str, str] = {}
        self._body = b""
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        self.open = False
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.open = False
        if self._answer and not self._answer.done():
            self._answer.set_exception(ConnectionError(f"closed without an answer: {error or 'end of data'}"))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self.open = self.open and self._parser.should_keep_alive()
        if self._answer and not self._answer.done():
            self._answer.set_result((self._parser.get_status_code(), self._headers, self._body))


class _Sender:
    def __init__(self, settings: Settings) -> None:
        address = urlsplit(settings.url)
        self._host, self._port = address.hostname or "", address.port or 80
        head = [f"POST {address.path} HTTP/1.1", f"host: {address.netloc}", "content-type: application/json"]
        head += [f"{name}: {value}" for name, value in settings.headers.items()]
        self._requests = [
            "\r\n".join([*head, f"content-length: {len(body.encode())}", "", body]).encode() for body in settings.bodies
        ]
        self._timeout = settings.timeout
        self._unused: list[_Connection] = []
        self.records: list[Record] = []

    async def send(self, number: int, due: float) -> None:
        """Send one request, and record what becomes of it."""
        sent, kind, deployment, bundle, answer = time.monotonic(), LOST, "", "", None
        connection = None
        try:
            async with asyncio.timeout(self._timeout):
                connection = await self._connection()
                status, headers, body = await connection.ask(self._requests[number % len(self._requests)])
            deployment, bundle = headers.get("x-ftkit-deployment", ""), headers.get("x-ftkit-bundle", "")
            answer = json.loads(body)
            kind = OK if status == 200 else REFUSED if status == 429 else FAILED if status >= 500 else MISTAKE
            answer = answer if status == 200 else f"{status}: {answer}"
        except TimeoutError:
            kind = TIMEOUT
        except (OSError, ValueError, httptools.HttpParserError) as error:
            answer = f"{type(error).__name__}: {error}"
        self.records.append(Record(number, due, sent, time.monotonic(), kind, deployment, bundle, answer))
        if connection is None:
            return
        if kind in (LOST, TIMEOUT) or not connection.open:
            connection.close()
        else:
            self._unused.append(connection)

    async def _connection(self) -> _Connection:
        while self._unused:
            if (connection := self._unused.pop()).open:
                return connection
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(_Connection, self._host, self._port))[1]


async def _run(settings: Settings, ended: asyncio.Event) -> list[Record]:
    sender = _Sender(settings)
    begun = time.monotonic()
    tasks: set[asyncio.Task[None]] = set()
    number = 0
    while not ended.is_set() and number < settings.seconds * settings.rate:
        due = begun + number / settings.rate
        if (early := due - time.monotonic()) > 0:
            await asyncio.sleep(early)
        task = asyncio.create_task(sender.send(number, due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        number += 1
        if number % 20 == 0:
            await asyncio.sleep(0)  # answers are read even when the schedule is behind
    await asyncio.gather(*tasks)
    return sender.records


def main(settings_file: str, records_file: str) -> None:
    """Send as the settings say, until standard input ends."""
    settings = Settings(**json.loads(Path(settings_file).read_text(encoding="utf-8")))

    async def run() -> list[Record]:
        print("sending", flush=True)
        ended, loop = asyncio.Event(), asyncio.get_running_loop()

        def wait_for_end() -> None:
            while os.read(
                0, 1024
            ):  # not through `sys.stdin`: a thread in its buffer would not let the process end in peace
                pass
            loop.call_soon_threadsafe(ended.set)

        threading.Thread(target=wait_for_end, daemon=True).start()
        return await _run(settings, ended)

    records = asyncio.run(run())
    with Path(records_file).open("w", encoding="utf-8") as file:
        for each in sorted(records, key=lambda record: record.number):
            file.write(json.dumps(list(asdict(each).values())) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])


def counted(records: Sequence[Record]) -> Numbers:
    """How many requests ended in which way, and how long they took."""
    kinds = Counter(record.kind for record in records)
    seconds = sorted(record.seconds for record in records)
    names = (LOST, REFUSED, FAILED, TIMEOUT, MISTAKE)
    numbers: Numbers = {"requests": len(records), **{name: kinds[name] for name in names}}
    for name, share in (("p50_ms", 0.5), ("p99_ms", 0.99), ("p99_9_ms", 0.999), ("worst_ms", 1.0)):
        numbers[name] = seconds[int((len(seconds) - 1) * share)] * 1e3 if seconds else None
    return numbers
