"""How a rollout judges live traffic: false alarms, and requests until a fault is seen, on simulated deployments.

    python -m benchmarks canary [--simulations 1000] [--shares 0.1 0.5] [--rate 40] [--minutes 10] [--json FILE]

Two deployments answer in windows of a second. A request's time is lognormal around 20 ms; each window has a factor that both share, as a busy
machine slows both, and one of its own; both follow the window before. Three classes have 60, 30 and 10 percent of the answers, and
1 percent of the requests fail. In each line, the new deployment differs from the old one in one way or in none.

First column: how often the rollout is judged unhealthy. Of a deployment as good as the old one, at most 1 % is promised. The next: how many
requests the new deployment had been sent by then, in the median and for nine of ten rollouts. A step that is judged healthy ends with its time,
and one that is inconclusive is prolonged; so the last two say how often the first verdict of the two others was healthy, and after how many requests.
"""

from __future__ import annotations

import argparse
import functools
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import command
from ftkit.contracts.measures import Measures, Window
from ftkit.evaluation.live_comparison import Looks
from ftkit.serving.live_counts import WINDOWS

CLASSES = ("often", "at times", "seldom")
SHARES = (0.6, 0.3, 0.1)
SECONDS = 0.02
BLOCK = 60
"""Windows that are simulated at a time."""


@dataclass(frozen=True)
class Fault:
    """What is wrong with the new deployment."""

    name: str
    failing: float = 0.01
    """Share of its requests that fail."""
    slower: float = 1.0
    """How many times as long it takes."""
    shares: tuple[float, ...] = SHARES
    """How often it gives each class."""
    sure: float = 8.0
    """First parameter of the beta distribution of its probabilities; the second is 2."""


FAULTS = (
    Fault("none"),
    Fault("none, and 20 % slower, which is allowed", slower=1.2),
    Fault("25 % slower, the very limit", slower=1.25),
    Fault("3 % of the requests fail", failing=0.03),
    Fault("10 % of the requests fail", failing=0.1),
    Fault("half as long again", slower=1.5),
    Fault("twice as long", slower=2.0),
    Fault("the class of 10 % has vanished", shares=(0.7, 0.3, 0.0)),
    Fault("the class of 30 % has vanished", shares=(0.9, 0.0, 0.1)),
    Fault("less sure", sure=4.0),
)


def main(arguments: Sequence[str]) -> None:
    """Simulate and print a table."""
    parser = command.plain("canary", __doc__)
    parser.add_argument("--simulations", type=int, default=1000, help="rollouts for each line")
    parser.add_argument(
        "--shares", type=float, nargs="+", default=[0.1, 0.5], help="of the traffic, which the new one gets"
    )
    parser.add_argument("--rate", type=int, default=40, help="requests a second to the whole endpoint")
    parser.add_argument("--minutes", type=float, default=10, help="length of a rollout")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results to this file")
    options = parser.parse_args(arguments)
    print(
        f"\n{options.simulations:,} rollouts a line, {options.rate} requests a second for {options.minutes:g} min\n\n"
        "| share of the traffic | what is wrong | judged unhealthy | requests until then, median | 90 % "
        "| first called healthy | requests until then, median |\n|---|---|---|---|---|---|---|"
    )
    results = []
    begun = time.monotonic()
    for share in options.shares:
        for number, fault in enumerate(FAULTS):
            seen = [rollout(fault, share, options, 1000 * number + seed) for seed in range(options.simulations)]
            stopped = sorted(each.stopped for each in seen if each.stopped)
            healthy = sorted(each.called_healthy for each in seen if each.called_healthy)
            results.append(
                {"share": share, "fault": fault.name, "stopped": stopped, "healthy": healthy, "simulations": len(seen)}
            )
            median, most = (
                f"{np.quantile(stopped, at):,.0f}" if len(stopped) > 0.01 * len(seen) else "" for at in (0.5, 0.9)
            )
            first = f"{len(healthy) / len(seen):.1%} | {np.median(healthy):,.0f}" if healthy else "0.0% |"
            print(
                f"| {share:.0%} | {fault.name} | {len(stopped) / len(seen):.1%} | {median} | {most} | {first} |",
                flush=True,
            )
    print(f"\n{time.monotonic() - begun:.0f} s")
    if options.json:
        options.json.write_text(json.dumps({"options": command.settings(options), "results": results}, indent=1))


def rollout(fault: Fault, share: float, options: argparse.Namespace, seed: int) -> Seen:
    """What the looks of one rollout came to."""
    random = np.random.default_rng(seed)
    shared = _Following(random, 0.3)
    new = _Simulated(fault, share * options.rate, random)
    old = _Simulated(FAULTS[0], (1 - share) * options.rate, random)
    looks, called_healthy = Looks(), 0
    for window in range(int(60 * options.minutes)):
        if window % BLOCK == 0:
            slowness = shared.next()
            new.go_on(slowness)
            old.go_on(slowness)
        if not looks.due(Measures(requests=int(new.requests[: window + 1].sum()))):
            continue
        seen = new.until(window)
        state = looks.judge(seen, [old.until(window)]).state
        if state == "unhealthy":
            return Seen(seen.requests, called_healthy)
        if state == "healthy" and not called_healthy:
            called_healthy = seen.requests
    return Seen(0, called_healthy)


@dataclass(frozen=True)
class Seen:
    """What came of one rollout."""

    stopped: int
    """Requests of the new deployment until it was judged unhealthy; 0 if it never was."""
    called_healthy: int
    """Requests until it was first judged healthy; 0 if it never was."""


class _Simulated:
    """All that one deployment does in a rollout."""

    def __init__(self, fault: Fault, rate: float, random: np.random.Generator) -> None:
        self._fault, self._rate, self._random = fault, rate, random
        self._slowness = _Following(random, 0.1)
        bins = np.diff([0, *(_beta_below(edge, fault.sure) for edge in np.arange(0.1, 1, 0.1)), 1])
        self._bins = bins / bins.sum()
        self._parts: list[list[np.ndarray]] = [[] for _ in range(6)]

    def go_on(self, shared: np.ndarray) -> None:
        """Simulate the next windows."""
        random, size = self._random, len(shared)
        requests = random.poisson(self._rate, size)
        failed = random.binomial(requests, self._fault.failing)
        answered = requests - failed
        slowness = SECONDS * self._fault.slower * np.exp(shared + self._slowness.next())
        times = np.repeat(slowness, answered) * random.lognormal(0, 0.5, answered.sum())
        seconds = np.bincount(np.repeat(np.arange(size), answered), times, size)
        classes = random.multinomial(answered, self._fault.shares)
        confidence = random.multinomial(answered, self._bins)
        for parts, part in zip(self._parts, (requests, failed, answered, seconds, classes, confidence), strict=True):
            parts.append(part)
        self.requests, self._failed, self._answered, self._seconds, self._classes, self._confidence = map(
            np.concatenate, self._parts
        )

    def until(self, window: int) -> Measures:
        """What had been measured at the end of a window; an endpoint widens its windows, so that they are never too many."""
        end = window + 1
        width = -(-end // WINDOWS)
        begins = np.arange(0, end, width)
        answered, seconds = (np.add.reduceat(each[:end], begins) for each in (self._answered, self._seconds))
        windows = zip(begins, answered, seconds, strict=True)
        return Measures(
            requests=int(self.requests[:end].sum()),
            errors={"500": int(self._failed[:end].sum())},
            windows=[Window(float(at), int(count), float(total)) for at, count, total in windows if count],
            classes=dict(zip(CLASSES, map(int, self._classes[:end].sum(axis=0)), strict=True)),
            confidence=[int(count) for count in self._confidence[:end].sum(axis=0)],
            width=float(width),
        )


class _Following:
    """A normal series in which each value is like the one before, with a correlation of 0.7, in blocks of windows."""

    def __init__(self, random: np.random.Generator, deviation: float) -> None:
        self._random, self._deviation, self._last = random, deviation, random.normal(0, deviation)

    def next(self) -> np.ndarray:
        """The values of the next block."""
        values: list[float] = []
        for noise in self._random.normal(0, self._deviation * np.sqrt(1 - 0.7**2), BLOCK):
            values.append(0.7 * (values[-1] if values else self._last) + noise)
        self._last = values[-1]
        return np.array(values)


@functools.cache
def _beta_below(edge: float, first: float) -> float:
    from scipy.stats import beta

    return float(beta.cdf(edge, first, 2))
