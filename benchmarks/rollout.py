"""Rollouts under load: how many requests are lost, answered wrongly or late; and with --overload, what no endpoint should be sent.

    python -m benchmarks rollout [--swaps 50] [--failing 20] [--rate 40] [--model linear|minilm] [--seed 7] [--json FILE]
    python -m benchmarks rollout --overload [--seconds 120] [--model linear|minilm] [--seed 7] [--json FILE]

Callers send at a steady rate, whatever the answers do, and a request's time counts from when it was due (see open_loop.py). Meanwhile versions of
one model replace each other on an endpoint of this machine. Each answer is checked: the version that it names must have been able to
answer at that time, and label and score must be this version's.

The failing rollouts: a model that cannot be loaded, a server that is killed while it starts or while it bakes, one that hangs while it bakes, and a
model that never answers one of the classes. Each must end with the version before in its place.

Settings of the rollouts (canary steps, copies of requests) and moments of the faults are drawn from the seed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ftkit_local.deployer import LocalDeployer
from ftkit_local.endpoint.client import ask

from benchmarks import command, open_loop, results
from benchmarks.open_loop import Callers, Record
from benchmarks.versions import MODELS, Kind, Version, Versions
from ftkit.contracts.settings import Rollout
from ftkit.errors import DeployError, FtkitError
from ftkit.events import DeploymentChanged, DeploymentJudged, Event, TrafficMoved
from ftkit.stages.rollout import roll_out

SWAP, QUIET = "swaps", "no rollout"
FAULTS: Mapping[str, Kind] = {
    "cannot be loaded": "garbage",
    "killed while it starts": "sound",
    "killed while it bakes": "sound",
    "hangs while it bakes": "sound",
    "wrong answers": "wrong",
}
PROBE = 2.0
"""Seconds without any answer after which the endpoint passes over a deployment."""
TOLERANCE = 1e-4
"""Of a score; versions differ by more in nearly all of them."""

COLUMNS = {
    "rollouts": "rollouts",
    "as_meant": "ended as meant",
    "requests": "requests",
    open_loop.LOST: "lost",
    "wrong": "wrong",
    open_loop.REFUSED: "429",
    open_loop.FAILED: "5xx",
    open_loop.TIMEOUT: "timeouts",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "p99_9_ms": "p99.9 ms",
    "worst_ms": "worst ms",
    "seconds_each": "s a rollout",
}


@dataclass(frozen=True)
class Try:
    """One rollout that was carried out."""

    number: int
    name: str
    what: str
    begun: float
    ended: float
    as_meant: bool
    how: str
    """How it ended, for a person."""


@dataclass
class Watched:
    """What the endpoint was told, to say which versions may have answered at a time."""

    shares: list[tuple[float, float, Mapping[str, int]]] = field(default_factory=list)
    """When a change of the traffic was begun and ended, and what it was."""
    begun: float = 0.0
    tries: list[Try] = field(default_factory=list)

    def may_answer(self, record: Record) -> set[str]:
        """The deployments that had a share of the traffic at some time while the request was under way.

        Where one is killed or hangs under all traffic, the one before answers in its place.
        """
        may: set[str] = set()
        for place, (begun, _, shares) in enumerate(self.shares):
            until = self.shares[place + 1][1] if place + 1 < len(self.shares) else record.ended
            if begun <= record.ended and record.sent <= until:
                may |= {name for name, share in shares.items() if share}
                if len(shares) == 1 and place and any(each.begun <= begun <= each.ended for each in self._faulty):
                    may |= set(self.shares[place - 1][2])
        return may

    @property
    def _faulty(self) -> list[Try]:
        return [each for each in self.tries if each.what != SWAP]


@dataclass(frozen=True, kw_only=True)
class WatchedDeployer(LocalDeployer):
    """The local deployer, which notes when it moves traffic."""

    watched: Watched = field(default_factory=Watched, compare=False)

    def set_traffic(self, shares: Mapping[str, int]) -> None:
        """Move the traffic, and note when."""
        begun = time.monotonic()
        super().set_traffic(shares)
        self.watched.shares.append((begun, time.monotonic(), dict(shares)))


def main(arguments: Sequence[str]) -> None:
    """Roll out under load, or overload, and judge."""
    parser = command.plain("rollout", __doc__)
    parser.add_argument("--swaps", type=int, default=50, help="rollouts that should succeed")
    parser.add_argument("--failing", type=int, default=20, help="rollouts that must not")
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=list(FAULTS), help="what fails, in turn")
    parser.add_argument("--rate", type=float, default=40.0, help="requests a second")
    parser.add_argument("--bake", type=float, default=2.0, help="seconds of each step of a rollout")
    parser.add_argument("--minutes", type=float, default=60.0, help="after which no further rollout begins")
    parser.add_argument("--model", choices=MODELS, default="linear")
    parser.add_argument("--train-rows", type=int, default=0, help="rows that `linear` is fitted on (default: all)")
    parser.add_argument("--seed", type=int, default=7, help="of the order of rollouts, their settings and the faults")
    parser.add_argument("--overload", action="store_true", help="load beyond capacity, and clients that misbehave")
    parser.add_argument("--seconds", type=float, default=120.0, help="of load beyond capacity")
    parser.add_argument("--kinds", nargs="*", help="of clients that misbehave (default: all)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results to this file")
    options = parser.parse_args(arguments)
    report = results.Results("rollout", command.settings(options))
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"FTKIT_HOME": f"{folder}/home", "FTKIT_CACHE": f"{folder}/cache"}
        versions = Versions(options.model, Path(folder), options.train_rows)
        if options.overload:
            from benchmarks import overload

            columns = overload.measure(report, versions, Path(folder), options)
        else:
            measure(report, versions, Path(folder), options)
            columns = COLUMNS
    report.show(columns)
    report.write(options.json)


def measure(report: results.Results, versions: Versions, folder: Path, options: Any) -> None:
    """Roll out sound and faulty versions in the order of the seed, all under load."""
    draw = random.Random(options.seed)
    whats = [SWAP] * options.swaps + [options.faults[number % len(options.faults)] for number in range(options.failing)]
    draw.shuffle(whats)
    watched = Watched()
    deployer = WatchedDeployer(endpoint="benchmark", threads=1, probe_timeout=PROBE, watched=watched)
    made = {"v000": versions.make("v000", "sound", options.seed)}
    try:
        endpoint = roll_out(deployer, made["v000"].bundle, "v000", Rollout(bake=0, poll=0.05), lambda _: None)
        settings = open_loop.Settings(
            endpoint.url,
            {"authorization": f"Bearer {endpoint.key}"},
            [json.dumps({"data": [{"text": text}], "scores": True}) for text in versions.texts],
            options.rate,
        )
        with Callers(settings, folder) as callers:
            watched.begun = time.monotonic()
            time.sleep(2 * options.bake)
            for number, what in enumerate(whats, 1):
                if time.monotonic() - watched.begun > 60 * options.minutes:
                    report.notes.append(f"{len(whats) - number + 1} rollouts were left out: the time was over.")
                    break
                name = f"v{number:03}"
                made[name] = versions.make(name, FAULTS.get(what, "sound"), options.seed + number)
                watched.tries.append(_try(deployer, made[name], number, name, what, options.bake, draw))
                print(f"{number} of {len(whats)}: {watched.tries[-1].how}", flush=True)
            time.sleep(2 * options.bake)
    finally:
        deployer.stop()
    judge(report, watched, made, callers.records)


def _try(
    deployer: WatchedDeployer, version: Version, number: int, name: str, what: str, bake: float, draw: random.Random
) -> Try:
    """Roll one version out; whatever is wrong with it happens at a moment that is drawn."""
    canary = draw.choice([(), (20,), (10, 50)])
    settings = Rollout(bake=bake, poll=0.1, canary=canary)
    deployer = replace(deployer, mirror=draw.choice([0, 0, 20]))
    moment = draw.random()
    at = draw.choice([*canary, 100])
    if (
        what == "wrong answers"
    ):  # only a comparison with the old version shows them, for which there must be enough requests
        settings = replace(settings, canary=(50,), patience="120s")
    before = deployer.prepare().traffic
    before_name = next(iter(before))
    timers: list[threading.Timer] = []
    stopped: list[int] = []
    judged: list[str] = []

    def spoil(number_of_signal: int, delay: float) -> None:
        timers.append(threading.Timer(delay, _signal, (deployer, name, number_of_signal, stopped)))
        timers[-1].start()

    def emit(event: Event) -> None:
        if isinstance(event, DeploymentJudged):
            judged.append(event.sentence)
        if what == "killed while it starts" and isinstance(event, DeploymentChanged) and event.step == "created":
            spoil(signal.SIGKILL, 0.1 + 0.4 * moment)  # it takes most of a second to start
        if isinstance(event, TrafficMoved) and event.shares.get(name) == at:
            if what == "killed while it bakes":
                spoil(signal.SIGKILL, moment * 0.5 * bake)
            if what == "hangs while it bakes":
                spoil(signal.SIGSTOP, moment * 0.5 * bake)

    if what == "hangs while it bakes":
        settings = replace(settings, bake=bake + 2 * PROBE + 2)  # long enough to be noticed
    begun = time.monotonic()
    try:
        roll_out(deployer, version.bundle, name, settings, emit)
        how, succeeded = "succeeded", True
    except FtkitError as error:
        how, succeeded = error.what.splitlines()[0][:200], False
    finally:
        for timer in timers:
            timer.cancel()
            timer.join()
        for pid in stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    ended = time.monotonic()
    live = deployer.prepare()
    as_meant = succeeded == (what == SWAP) and live.traffic == {name if what == SWAP else before_name: 100}
    as_meant = as_meant and len(live.deployments) == 1
    return Try(number, name, what, begun, ended, as_meant, f"{what}, canary {canary}, in {ended - begun:.1f} s: {how}")


def _signal(deployer: LocalDeployer, name: str, number: int, stopped: list[int]) -> None:
    """Send a signal to a deployment's server."""
    with suppress(DeployError, ProcessLookupError):
        for each in ask(deployer.folder, "GET", "/status")["deployments"]:
            if each["name"] == name and each["pid"]:
                os.kill(each["pid"], number)
                stopped += [each["pid"]] if number == signal.SIGSTOP else []


def judge(
    report: results.Results, watched: Watched, versions: Mapping[str, Version], records: Sequence[Record]
) -> None:
    """Count what became of the requests, by what was going on when they were due, and compare with what is wanted."""
    phases: dict[str, list[Record]] = {QUIET: [], SWAP: [], **{what: [] for what in FAULTS}}
    wrong: Counter[str] = Counter()
    examples = []
    for record in records:
        during = next((each for each in watched.tries if each.begun <= record.due <= each.ended), None)
        what = during.what if during else QUIET
        phases[what].append(record)
        problem = wrong_with(record, watched, versions)
        wrong[what] += bool(problem)
        if problem or record.kind != open_loop.OK:
            where = f"during rollout {during.number} ({what})" if during else what
            examples.append(f"request {record.number} {where}: {record.kind}, {problem or record.answer}")
    for what, some in phases.items():
        tries = [each for each in watched.tries if each.what == what]
        if some or tries:
            report.contenders[what] = open_loop.counted(some) | {
                "rollouts": len(tries),
                "as_meant": sum(each.as_meant for each in tries),
                "wrong": wrong[what],
                "seconds_each": sum(each.ended - each.begun for each in tries) / len(tries) if tries else None,
            }
    report.contenders["all"] = open_loop.counted(records) | {
        "rollouts": len(watched.tries),
        "as_meant": sum(each.as_meant for each in watched.tries),
        "wrong": sum(wrong.values()),
    }
    everything = report.contenders["all"]
    for what in (open_loop.LOST, "wrong", open_loop.REFUSED, open_loop.FAILED, open_loop.TIMEOUT, open_loop.MISTAKE):
        report.bars.append(results.Bar(f"requests: {what}", "all", everything[what], most=0))
    failing = [each for each in watched.tries if each.what != SWAP]
    report.bars.append(
        results.Bar("failing rollouts not put back", "all", sum(not each.as_meant for each in failing), most=0)
    )
    swaps = len(watched.tries) - len(failing)
    if swaps:
        share = 1 - report.contenders[SWAP]["as_meant"] / swaps
        report.bars.append(results.Bar("share of sound versions rolled back", SWAP, share, most=max(0.01, 1 / swaps)))
    late = max((record.sent - record.due for record in records), default=0.0)
    report.notes.append(
        f"Requests were sent up to {late * 1e3:.0f} ms after they were due, which counts as their time."
    )
    report.notes += examples[:20] + [each.how for each in watched.tries if not each.as_meant]


def wrong_with(record: Record, watched: Watched, versions: Mapping[str, Version]) -> str:
    """What is wrong with an answer; empty where nothing is, or where there is no answer."""
    if record.kind != open_loop.OK:
        return ""
    version = versions.get(record.deployment)
    if version is None:
        return f"it names the version {record.deployment!r}, which there is not"
    if record.deployment not in (may := watched.may_answer(record)) and watched.shares:
        return f"{record.deployment} answered, and {sorted(may)} had the traffic"
    if record.bundle != version.bundle.hash:
        return f"it names {record.deployment}, and another bundle"
    label, score = version.answers[record.number % len(version.answers)]
    try:
        ((answered, given),) = [(row["label"], row["score"]) for row in record.answer]
    except (TypeError, KeyError, ValueError):
        return f"not an answer to one text: {str(record.answer)[:100]}"
    if answered != label or abs(given - score) > TOLERANCE:
        return f"{record.deployment} answers {label!r} ({score:.5f}), this one is {answered!r} ({given:.5f})"
    return ""
