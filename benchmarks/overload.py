"""What no endpoint should be sent: more than it can compute, and clients that misbehave. It must refuse, keep its memory, and go on."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from ftkit_local.deployer import LocalDeployer
from ftkit_local.endpoint.client import ask

from benchmarks import memory, open_loop, results
from benchmarks.open_loop import Callers
from benchmarks.unruly_clients import KINDS, LONGEST, Client, Unruly
from benchmarks.versions import Versions
from ftkit.contracts import Endpoint
from ftkit.contracts.settings import Rollout
from ftkit.stages.rollout import roll_out

TEXTS = 64
"""Texts of a request of the load beyond capacity, so that the model is what there is too little of."""
TIMES = 6.0
"""Times its capacity that the endpoint is asked for."""
USUAL = 5.0
"""Requests a second that are sent as usual while clients misbehave; every one must be answered."""
GROWTH_MB = 400.0
"""Megabytes that the front, or the server of a model, may grow by."""

COLUMNS = {
    "asked_per_s": "requests/s",
    "requests": "requests",
    "answered": "200",
    open_loop.REFUSED: "429",
    "as_wanted": "refused as wanted",
    open_loop.FAILED: "5xx",
    open_loop.LOST: "lost",
    open_loop.TIMEOUT: "timeouts",
    "p50_ms": "p50 ms",
    "worst_ms": "worst ms",
    "seconds": "s until all were ended",
    "front_mb": "front grew by MB",
    "server_mb": "server grew by MB",
}


def measure(
    report: results.Results, versions: Versions, folder: Path, options: argparse.Namespace
) -> Mapping[str, str]:
    """Load beyond capacity, then every kind of unruly client, and the bars. Returns the columns of the table."""
    if unknown := set(options.kinds or ()) - {kind.name for kind in KINDS}:
        raise SystemExit(
            f"no such kinds: {', '.join(sorted(unknown))}; there are: {', '.join(kind.name for kind in KINDS)}"
        )
    deployer = LocalDeployer(endpoint="benchmark", threads=1)
    try:
        version = versions.make("v000", "sound", options.seed)
        endpoint = roll_out(deployer, version.bundle, "v000", Rollout(bake=0, poll=0.05), lambda _: None)
        _load_beyond_capacity(report, deployer, endpoint, versions.texts, folder, options.seconds)
        for kind in KINDS:
            if options.kinds is None or kind.name in options.kinds:
                _unruly_clients(report, kind, deployer, endpoint, versions.texts, folder, options.seed)
    finally:
        deployer.stop()
    for name, numbers in report.contenders.items():
        for what in (open_loop.FAILED, open_loop.LOST, open_loop.TIMEOUT, "not as wanted"):
            report.bars.append(results.Bar(f"requests: {what}", name, numbers.get(what, 0), most=0))
        for process in ("front", "server"):
            report.bars.append(
                results.Bar(f"MB that the {process} grew by", name, numbers[f"{process}_mb"], most=GROWTH_MB)
            )
    report.bars = [each for each in report.bars if not each.met or "MB" in each.what or "recover" in each.what]
    report.notes.append("Of requests, only bars that were missed are listed.")
    return COLUMNS


def _load_beyond_capacity(
    report: results.Results,
    deployer: LocalDeployer,
    endpoint: Endpoint,
    texts: Sequence[str],
    folder: Path,
    seconds: float,
) -> None:
    capacity = _capacity(endpoint, texts, min(seconds, 10.0))
    rate = max(TIMES * capacity / TEXTS, 2.0)
    print(f"capacity {capacity:,.0f} texts/s; {rate:.1f} requests/s of {TEXTS} texts are sent", flush=True)
    with _grown(deployer) as grown, Callers(_settings(endpoint, texts, TEXTS, rate, seconds), folder) as callers:
        time.sleep(seconds)
        recovered = _recovered(endpoint, texts)
    last = max(record.due for record in callers.records)
    name = "beyond capacity"
    report.contenders[name] = open_loop.counted(callers.records) | grown | {"asked_per_s": rate}
    report.contenders[name]["answered"] = sum(record.kind == open_loop.OK for record in callers.records)
    report.contenders[name]["seconds"] = recovered - last
    report.notes.append(
        f"After the last request of the load, the first one as usual was answered in {recovered - last:.1f} s."
    )


def _unruly_clients(
    report: results.Results,
    kind: Unruly,
    deployer: LocalDeployer,
    endpoint: Endpoint,
    texts: Sequence[str],
    folder: Path,
    seed: int,
) -> None:
    with _grown(deployer) as grown, Callers(_settings(endpoint, texts, 1, USUAL), folder) as callers:
        begun = time.monotonic()
        statuses = _statuses(kind, endpoint, seed)
        took = time.monotonic() - begun
        time.sleep(1.0)
    wanted = sum(count for status, count in statuses.items() if status in kind.wanted)
    numbers = open_loop.counted(callers.records) | grown | {"asked_per_s": USUAL, "seconds": took}
    numbers |= {"answered": sum(record.kind == open_loop.OK for record in callers.records)}
    numbers |= {"as_wanted": f"{wanted} of {kind.clients}", "not as wanted": kind.clients - wanted}
    report.contenders[kind.name] = numbers
    print(f"{kind.name}: {dict(statuses)} in {took:.1f} s, {dict(grown)}", flush=True)


def _settings(
    endpoint: Endpoint, texts: Sequence[str], size: int, rate: float, seconds: float = 1e9
) -> open_loop.Settings:
    several = [[texts[(first + place) % len(texts)] for place in range(size)] for first in range(len(texts))]
    bodies = [json.dumps({"data": [{"text": text} for text in some]}) for some in several]
    return open_loop.Settings(endpoint.url, {"authorization": f"Bearer {endpoint.key}"}, bodies, rate, seconds)


def _capacity(endpoint: Endpoint, texts: Sequence[str], seconds: float) -> float:
    """Texts a second that the endpoint answers to callers who wait for their answers."""
    body = json.loads(_settings(endpoint, texts, TEXTS, 1).bodies[0])
    ends = time.monotonic() + seconds
    answered = []

    def call() -> None:
        while time.monotonic() < ends:
            if _status(endpoint, body) == 200:
                answered.append(TEXTS)

    threads = [threading.Thread(target=call) for _ in range(4)]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(answered) / (time.monotonic() - begun)


def _recovered(endpoint: Endpoint, texts: Sequence[str]) -> float:
    """When a request as usual was answered again."""
    while _status(endpoint, {"data": [{"text": texts[0]}]}) != 200:
        time.sleep(0.05)
    return time.monotonic()


def _status(endpoint: Endpoint, body: object) -> int:
    headers = {"Authorization": f"Bearer {endpoint.key}", "Content-Type": "application/json"}
    request = urllib.request.Request(endpoint.url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=LONGEST) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@contextmanager
def _grown(deployer: LocalDeployer) -> Iterator[dict[str, float]]:
    """By how many megabytes the processes grew at most; filled in at the end."""
    status = ask(deployer.folder, "GET", "/status")
    processes = {
        "front_mb": psutil.Process(status["pid"]),
        "server_mb": psutil.Process(status["deployments"][0]["pid"]),
    }
    before = {name: process.memory_info().rss / memory.MEGABYTE for name, process in processes.items()}
    grown = dict.fromkeys(processes, 0.0)
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.1):
            for name, process in processes.items():
                with suppress(psutil.Error):
                    grown[name] = max(grown[name], process.memory_info().rss / memory.MEGABYTE - before[name])

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield grown
    finally:
        ended.set()
        thread.join()


def _statuses(kind: Unruly, endpoint: Endpoint, seed: int) -> Counter[int]:
    """What each of the clients got: a status, 0 for a connection that was ended, -1 for nothing at all."""

    async def run() -> Counter[int]:
        draw = random.Random(f"{seed} {kind.name}")
        clients = [Client(endpoint, kind, random.Random(draw.random())) for _ in range(kind.clients)]
        return Counter(await asyncio.gather(*(each.status() for each in clients)))

    return asyncio.run(run())
