"""How a rollout judges live traffic: false alarms, and requests until a fault is seen, on simulated deployments.

    python -m benchmarks canary [--simulations 1000] [--rate 40] [--minutes 20] [--json FILE]

Two deployments answer in windows of a second. A request's time is lognormal around 20 ms; each window has a factor that both share, as a busy
machine slows both, and one of its own; both follow the window before. Three classes have 60, 30 and 10 percent of the answers, and
1 percent of the requests fail. In each line, the new deployment differs from the old one in one way or in none.

First column: how often the rollout is judged unhealthy. Of a deployment as good as the old one, at most 1 % is promised. The next: how many
requests the new deployment had been sent by then, in the median and for nine of ten rollouts.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import command
from ftkit.contracts.measures import Measures, Window
from ftkit.evaluation.live_comparison import Looks

CLASSES = ("often", "at times", "seldom")
SHARES = (0.6, 0.3, 0.1)
SECONDS = 0.02


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
    parser.add_argument("--rate", type=int, default=40, help="requests a second to the whole endpoint")
    parser.add_argument("--minutes", type=float, default=20, help="length of a rollout")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results to this file")
    options = parser.parse_args(arguments)
    print(
        f"\n{options.simulations:,} rollouts a line, {options.rate} requests a second for {options.minutes:g} min\n\n"
        "| share of the traffic | what is wrong | judged unhealthy | requests until then, median | 90 % |\n|---|---|---|---|---|"
    )
    results = []
    begun = time.monotonic()
    for share in (0.1, 0.5):
        for number, fault in enumerate(FAULTS):
            seen = [rollout(fault, share, options, 1000 * number + seed) for seed in range(options.simulations)]
            stopped = sorted(requests for requests in seen if requests)
            results.append({"share": share, "fault": fault.name, "stopped": stopped, "simulations": len(seen)})
            median, most = (
                f"{np.quantile(stopped, at):,.0f}" if len(stopped) > 0.01 * len(seen) else "" for at in (0.5, 0.9)
            )
            print(f"| {share:.0%} | {fault.name} | {len(stopped) / len(seen):.1%} | {median} | {most} |", flush=True)
    print(f"\n{time.monotonic() - begun:.0f} s")
    if options.json:
        options.json.write_text(json.dumps({"options": command.settings(options), "results": results}, indent=1))


def rollout(fault: Fault, share: float, options: argparse.Namespace, seed: int) -> int:
    """Requests of the new deployment until it was judged unhealthy; 0 if it never was."""
    random = np.random.default_rng(seed)
    windows = int(60 * options.minutes)
    shared = _following(random, windows, 0.3)
    new = _Simulated(fault, share * options.rate, shared, random)
    old = _Simulated(FAULTS[0], (1 - share) * options.rate, shared, random)
    looks = Looks()
    for window in range(windows):
        if not looks.due(Measures(requests=int(new.requests[: window + 1].sum()))):
            continue
        seen = new.until(window)
        if looks.judge(seen, [old.until(window)]).state == "unhealthy":
            return seen.requests
    return 0


class _Simulated:
    """All that one deployment does in a rollout."""

    def __init__(self, fault: Fault, rate: float, shared: np.ndarray, random: np.random.Generator) -> None:
        windows = len(shared)
        self.requests = random.poisson(rate, windows)
        self._failed = random.binomial(self.requests, fault.failing)
        self._answered = self.requests - self._failed
        slowness = SECONDS * fault.slower * np.exp(shared + _following(random, windows, 0.1))
        self._seconds = np.array(
            [
                level * random.lognormal(0, 0.5, count).sum()
                for level, count in zip(slowness, self._answered, strict=True)
            ]
        )
        self._classes = np.array([random.multinomial(count, fault.shares) for count in self._answered])
        bins = np.diff([0, *(_beta_below(edge, fault.sure) for edge in np.arange(0.1, 1, 0.1)), 1])
        self._confidence = np.array([random.multinomial(count, bins / bins.sum()) for count in self._answered])

    def until(self, window: int) -> Measures:
        """What had been measured at the end of a window."""
        end = window + 1
        windows = [
            Window(float(begins), int(self._answered[begins]), float(self._seconds[begins]))
            for begins in np.flatnonzero(self._answered[:end])
        ]
        return Measures(
            requests=int(self.requests[:end].sum()),
            errors={"500": int(self._failed[:end].sum())},
            windows=windows,
            classes=dict(zip(CLASSES, map(int, self._classes[:end].sum(axis=0)), strict=True)),
            confidence=[int(count) for count in self._confidence[:end].sum(axis=0)],
        )


def _following(random: np.random.Generator, windows: int, deviation: float) -> np.ndarray:
    """A normal series in which each value is like the one before, with a correlation of 0.7."""
    from scipy.signal import lfilter

    noise = random.normal(0, deviation * np.sqrt(1 - 0.7**2), windows)
    return np.asarray(lfilter([1.0], [1.0, -0.7], noise))


def _beta_below(edge: float, first: float) -> float:
    from scipy.stats import beta

    return float(beta.cdf(edge, first, 2))
