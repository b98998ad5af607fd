"""Callers of an endpoint: wrk where it is installed, which costs next to nothing, else threads of this process.

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
    """Which program asks."""
    return "wrk" if shutil.which("wrk") else "Python threads, which cost as much as some servers: install wrk"


def ask(url: str, headers: Mapping[str, str], texts: Sequence[str], clients: int, seconds: float) -> Numbers:
    """Requests a second and milliseconds of latency, with each client asking about one text after another.

    Raises: RuntimeError when a request was refused or lost.
    """
    said = {"Content-Type": "application/json", **headers}
    bodies = [json.dumps({"data": [{"text": text}]}) for text in texts]
    return (_by_wrk if shutil.which("wrk") else _by_threads)(url, said, bodies, clients, seconds)


def _by_wrk(url: str, headers: Mapping[str, str], bodies: Sequence[str], clients: int, seconds: float) -> Numbers:
    with tempfile.TemporaryDirectory() as folder:
        script, listed = Path(folder) / "ask.lua", Path(folder) / "bodies"
        script.write_text(_SCRIPT, encoding="ascii")
        listed.write_text("\n".join(bodies), encoding="ascii")
        about = {
            "BENCHMARK_HEADERS": "\n".join(f"{name}: {value}" for name, value in headers.items()),
            "BENCHMARK_BODIES": str(listed),
        }
        length = max(1, round(seconds))
        program = ["wrk", "--threads=1", f"--connections={clients}", f"--duration={length}s", f"--timeout={PATIENCE}s"]
        done = subprocess.run(
            [*program, f"--script={script}", url], env=about, capture_output=True, text=True, check=False
        )
    try:
        found = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError) as error:
        raise RuntimeError(f"wrk failed: {done.stderr[-500:]}{done.stdout[-500:]}") from error
    if found["refused"] or found["broken"] or not found["requests"]:
        raise RuntimeError(f"not every request was answered: {found}")
    return {
        "requests_per_s": found["requests"] / found["us"] * 1e6,
        **{f"{name}_ms": found[name] / 1e3 for name in ("p50", "p95", "p99")},
    }


def _by_threads(url: str, headers: Mapping[str, str], bodies: Sequence[str], clients: int, seconds: float) -> Numbers:
    drawn, lock = itertools.cycle(bodies), threading.Lock()
    spent: list[float] = []
    failures: list[Exception] = []
    ends = time.perf_counter() + seconds

    def client() -> None:
        try:
            caller = Caller(url, headers)
            while time.perf_counter() < ends:
                with lock:
                    body = next(drawn)
                called = time.perf_counter()
                caller.ask(body)
                spent.append(time.perf_counter() - called)
        except Exception as error:  # told to whoever started the threads
            failures.append(error)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begun
    if failures or not spent:
        raise RuntimeError("not every request was answered") from (failures[0] if failures else None)
    return {"requests_per_s": len(spent) / took, **percentiles(spent)}


def percentiles(seconds: Sequence[float]) -> Numbers:
    """The median and the 95th and 99th percentile, in milliseconds."""
    ordered = sorted(seconds)
    return {f"p{share}_ms": ordered[int((len(ordered) - 1) * share / 100)] * 1e3 for share in (50, 95, 99)}


def once(url: str, headers: Mapping[str, str], text: str) -> object:
    """The answer to one request. Raises: OSError; RuntimeError."""
    caller = Caller(url, {"Content-Type": "application/json", **headers})
    return json.loads(caller.ask(json.dumps({"data": [{"text": text}]})))


class Caller:
    """A client with a connection of its own, which stays open where the server lets it."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        address = urlsplit(url)
        self._path = address.path
        self._headers = dict(headers)
        self._connection = http.client.HTTPConnection(address.netloc, timeout=PATIENCE)

    def ask(self, body: str) -> bytes:
        """The body of an answer. Raises: OSError; RuntimeError when the request is refused."""
        self._connection.request("POST", self._path, body, self._headers)
        answer = self._connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"status {answer.status}: {said[:300]!r}")
        return said
