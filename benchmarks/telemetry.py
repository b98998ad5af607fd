"""What telemetry costs a request: an endpoint without it, one that sends it, and one whose ingestion is unreachable.

    python -m benchmarks telemetry [--seconds 4] [--rounds 5] [--clients 1 8]

Each request carries one text of some 60 tokens, from BBC News; the encoder is the quickstart's. All endpoints are up
all the time and measured in turn, round by round; ingestion is a process on this machine that accepts everything, so
its own cost is in the numbers, too. Medians over the rounds. CPU is the time that the model's server process used for a
request, on all its threads: it shows the cost where other processes make the other numbers noisy. Read the ratios.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
from ftkit_local.deployer import LocalDeployer
from ftkit_local.endpoint.client import ask

from benchmarks import bundles, command, load, results, rows
from ftkit.contracts.settings import Rollout
from ftkit.stages.rollout import roll_out

KEY = "00000000-0000-0000-0000-000000000000"
OFF, ON, DEAD = "nobody watches", "telemetry is sent", "ingestion is dead"

INGESTION = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def do_POST(self):
        count = self.rfile.read(int(self.headers["Content-Length"])).count(b'"iKey"')
        body = b'{"itemsReceived": %d, "itemsAccepted": %d, "errors": []}' % (count, count)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


def main(arguments: Sequence[str]) -> None:
    """Measure and print the table."""
    parser = command.plain("telemetry", __doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="how long to measure each line in each round")
    parser.add_argument("--rounds", type=int, default=5, help="how often to measure each line")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8], help="concurrent clients")
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        os.environ["FTKIT_HOME"] = str(folder / "home")
        os.environ.pop("APPLICATIONINSIGHTS_CONNECTION_STRING", None)
        bundle = bundles.make(folder, engines=())
        texts, _ = rows.texts(None, 500, bundle.classifier.tokens)
        live, deployers = {}, {}
        ports = {OFF: None, ON: stack.enter_context(ingestion()), DEAD: unused()}
        for number, (way, port) in enumerate(ports.items()):
            if port:
                where = f"InstrumentationKey={KEY};IngestionEndpoint=http://127.0.0.1:{port}/"
                os.environ["APPLICATIONINSIGHTS_CONNECTION_STRING"] = where
            deployer = deployers[way] = LocalDeployer(endpoint=f"benchmark-{number}")
            stack.callback(deployer.stop)
            live[way] = roll_out(deployer, bundle, "v1-20250101-000000", Rollout(bake=0), lambda _: None)
        measured: dict[tuple[str, int], list[list[float]]] = {(way, c): [] for c in options.clients for way in live}
        for _ in range(options.rounds):
            for way, clients in measured:
                before = used(deployers[way])
                headers = {"Authorization": f"Bearer {live[way].key}"}
                asking = load.ask(live[way].url, headers, texts, clients, options.seconds)
                seconds, requests = (after - first for after, first in zip(used(deployers[way]), before, strict=True))
                figures = [asking[name] for name in ("requests_per_s", "p50_ms", "p95_ms")]
                measured[way, clients].append([*figures, seconds / requests * 1e3])
    titles = [
        "clients",
        "way",
        "requests/s",
        "median ms",
        "p95 ms",
        "CPU ms a request",
        "requests/s, × nobody",
        "CPU, × nobody",
    ]
    lines = []
    for (way, clients), some in measured.items():
        rate, median, late, cpu = (statistics.median(each) for each in zip(*some, strict=True))
        unwatched = [statistics.median(each) for each in zip(*measured[OFF, clients], strict=True)]
        figures = [f"{rate:.1f}", f"{median:.1f}", f"{late:.1f}", f"{cpu:.2f}"]
        lines.append([str(clients), way, *figures, f"{rate / unwatched[0]:.2f}", f"{cpu / unwatched[3]:.3f}"])
    print(results.table(titles, lines))
    print(f"\nRequests by {load.generator()}.")


def used(deployer: LocalDeployer) -> tuple[float, int]:
    """CPU seconds that the model's server has used so far, and the requests it was sent."""
    (server,) = ask(deployer.folder, "GET", "/status")["deployments"]
    times = psutil.Process(server["pid"]).cpu_times()
    return times.user + times.system, server["requests"]


@contextmanager
def ingestion() -> Iterator[int]:
    """The port of a process that accepts all telemetry."""
    with subprocess.Popen([sys.executable, "-c", INGESTION], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def unused() -> int:
    """A port on which no process listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
