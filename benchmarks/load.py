"""Clients of an endpoint: wrk where it is installed, which costs almost nothing, else threads of this process.

Source: github.com/wg/wrk, SCRIPTING, for the hooks of its scripts.
"""

from __future__ import annotations

import http.client
import itertools
import json
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.turns import Numbers

PATIENCE = 60
"""Seconds that an answer may take."""

_SCRIPT = """\
wrk.method = "POST"
for name, value in string.gmatch(os.getenv("BENCHMARK_HEADERS"), "([^\\n:]+): ([^\\n]+)") do wrk.headers[name] = value end
local bodies = {}
for line in io.lines(os.getenv("BENCHMARK_BODIES")) do bodies[#bodies + 1] = line end
local at = 0
request = function()
    at = at % #bodies + 1
    return wrk.format(nil, nil, nil, bodies[at])
end
done = function(summary, latency)
    local errors = summary.errors
    local broken = errors.connect + errors.read + errors.write + errors.timeout
    print(string.format('{"requests": %d, "us": %d, "refused": %d, "broken": %d, "p50": %f, "p95": %f, "p99": %f}',
        summary.requests, summary.duration, errors.status, broken,
        latency:percentile(50), latency:percentile(95), latency:percentile(99)))
end
"""


def generator() -> str:
    """The program that sends the requests."""
    return "wrk" if shutil.which("wrk") else "Python threads, which cost as much as some servers: install wrk"


def ask(url: str, headers: Mapping[str, str], texts: Sequence[str], clients: int, seconds: float) -> Numbers:
    """Requests a second and milliseconds of latency, with each client sending one text after another.

    Raises: RuntimeError when a request was refused or lost.
    """
    all_headers = {"Content-Type": "application/json", **headers}
    bodies = [json.dumps({"data": [{"text": text}]}) for text in texts]
    return (_by_wrk if shutil.which("wrk") else _by_threads)(url, all_headers, bodies, clients, seconds)


def _by_wrk(url: str, headers: Mapping[str, str], bodies: Sequence[str], clients: int, seconds: float) -> Numbers:
    with tempfile.TemporaryDirectory() as folder:
        script, bodies_file = Path(folder) / "ask.lua", Path(folder) / "bodies"
        script.write_text(_SCRIPT, encoding="ascii")
        bodies_file.write_text("\n".join(bodies), encoding="ascii")
        environment = {
            "BENCHMARK_HEADERS": "\n".join(f"{name}: {value}" for name, value in headers.items()),
            "BENCHMARK_BODIES": str(bodies_file),
        }
        length = max(1, round(seconds))
        program = [
            "wrk",
            "--threads=1",
            f"--connections={clients}",
            f"--duration={length}s",
            f"--timeout={PATIENCE}s",
        ]
        process = subprocess.run(
            [*program, f"--script={script}", url], env=environment, capture_output=True, text=True, check=False
        )
    try:
        result = json.loads(process.stdout.splitlines()[-1])
    except (IndexError, ValueError) as error:
        raise RuntimeError(f"wrk failed: {process.stderr[-500:]}{process.stdout[-500:]}") from error
    if result["refused"] or result["broken"] or not result["requests"]:
        raise RuntimeError(f"not every request was answered: {result}")
    return {
        "requests_per_s": result["requests"] / result["us"] * 1e6,
        **{f"{name}_ms": result[name] / 1e3 for name in ("p50", "p95", "p99")},
    }


def _by_threads(url: str, headers: Mapping[str, str], bodies: Sequence[str], clients: int, seconds: float) -> Numbers:
    next_bodies, lock = itertools.cycle(bodies), threading.Lock()
    spent: list[float] = []
    failures: list[Exception] = []
    deadline = time.perf_counter() + seconds

    def client() -> None:
        try:
            caller = Caller(url, headers)
            while time.perf_counter() < deadline:
                with lock:
                    body = next(next_bodies)
                called = time.perf_counter()
                caller.ask(body)
                spent.append(time.perf_counter() - called)
        except Exception as error:  # raised in the thread that started this one
            failures.append(error)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds_taken = time.perf_counter() - start
    if failures or not spent:
        raise RuntimeError("not every request was answered") from (failures[0] if failures else None)
    return {"requests_per_s": len(spent) / seconds_taken, **percentiles(spent)}


def percentiles(seconds: Sequence[float]) -> Numbers:
    """The median and the 95th and 99th percentile, in milliseconds."""
    ordered = sorted(seconds)
    return {f"p{share}_ms": ordered[int((len(ordered) - 1) * share / 100)] * 1e3 for share in (50, 95, 99)}


def once(url: str, headers: Mapping[str, str], text: str) -> object:
    """The answer to one request. Raises: OSError; RuntimeError."""
    caller = Caller(url, {"Content-Type": "application/json", **headers})
    return json.loads(caller.ask(json.dumps({"data": [{"text": text}]})))


class Caller:
    """A client with a connection of its own, kept open if the server allows it."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        address = urlsplit(url)
        self._path = address.path
        self._headers = dict(headers)
        self._connection = http.client.HTTPConnection(address.netloc, timeout=PATIENCE)

    def ask(self, body: str) -> bytes:
        """The body of an answer. Raises: OSError; RuntimeError when the request is refused."""
        self._connection.request("POST", self._path, body, self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"status {answer.status}: {content[:300]!r}")
        return content
