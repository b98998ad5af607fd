"""Counts what a deployment does, second by second, for the rollout that judges it and for `/metrics`.

Nothing of a request's content is kept: only how many there were, how long they took, and which classes were answered.
"""

from __future__ import annotations

import threading
import time
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ftkit.contracts.measures import Measures, Window

MEMORY = 3600
"""Seconds that are remembered."""
SAMPLED = 500
"""Times of requests that are kept of each second, for the quantiles."""
ENOUGH = 100
"""Requests from which the 95th percentile of their times says something."""
WINDOWS = 240
"""Windows that a time is divided into, at most."""
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper ends of a histogram of seconds. Source: the defaults of Prometheus' client libraries."""


@dataclass
class _Second:
    requests: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    times: array[float] = field(default_factory=lambda: array("f"))
    classes: Counter[str] = field(default_factory=Counter)
    confidence: list[int] = field(default_factory=lambda: [0] * 10)
    unsure: int = 0


@dataclass
class Totals:
    """All since the process began, as Prometheus wants it."""

    requests: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    """Answered requests by their time; the last is for those beyond all `BUCKETS`."""
    classes: Counter[str] = field(default_factory=Counter)


class LiveCounts:
    """What one deployment did; safe to call from any thread."""

    def __init__(self) -> None:
        self.totals = Totals()
        self._seconds: dict[int, _Second] = {}
        self._lock = threading.Lock()

    def request(self, seconds: float, error: str = "") -> None:
        """Count a request that was answered after so many seconds, or failed with an error of this kind."""
        with self._lock:
            now, totals = self._now(), self.totals
            now.requests += 1
            totals.requests += 1
            if error:
                now.errors[error] += 1
                totals.errors[error] += 1
                return
            now.seconds += seconds
            if len(now.times) < SAMPLED:
                now.times.append(seconds)
            totals.seconds += seconds
            totals.buckets[next((index for index, end in enumerate(BUCKETS) if seconds <= end), len(BUCKETS))] += 1

    def answers(self, classes: Mapping[str, int], certainty: Iterable[float], unsure: int = 0) -> None:
        """Count the texts of a request by predicted class, and how sure the model is of each."""
        with self._lock:
            now = self._now()
            now.classes.update(classes)
            self.totals.classes.update(classes)
            for probability in certainty:
                now.confidence[min(max(int(10 * probability), 0), 9)] += 1
            now.unsure += unsure

    def measures(self, seconds: float) -> Measures:
        """What it did over the last seconds, up to `MEMORY`."""
        with self._lock:
            end = int(time.time())
            begins = end - int(min(seconds, MEMORY))
            kept = [(at, each) for at, each in self._seconds.items() if at > begins]
        width = -(-int(max(end - begins, 1)) // WINDOWS)
        times = sorted(one for _, each in kept for one in each.times)
        answered = sum(each.requests - each.errors.total() for _, each in kept)
        latency = {"mean": sum(each.seconds for _, each in kept) / answered} if answered else {}
        if len(times) >= ENOUGH:
            latency |= {"p50": times[len(times) // 2], "p95": times[len(times) * 95 // 100]}
        confidence = [sum(column) for column in zip(*(each.confidence for _, each in kept), strict=True)]
        return Measures(
            requests=sum(each.requests for _, each in kept),
            errors=dict(_total(each.errors for _, each in kept)),
            latency=latency,
            windows=list(_windows(kept, width)),
            width=float(width),
            classes=dict(_total(each.classes for _, each in kept)),
            confidence=confidence if any(confidence) else (),
            unsure=sum(each.unsure for _, each in kept),
        )

    def _now(self) -> _Second:
        at = int(time.time())
        if at not in self._seconds:
            self._seconds[at] = _Second()
            for old in [each for each in self._seconds if each < at - MEMORY]:
                del self._seconds[old]
        return self._seconds[at]


def to_json(measures: Measures) -> dict[str, Any]:
    """Measures as a JSON object."""
    return asdict(measures)


def from_json(table: Mapping[str, Any]) -> Measures:
    """The measures of which `to_json` made this object."""
    return Measures(**{**table, "windows": [Window(**window) for window in table.get("windows", ())]})


def _windows(kept: Sequence[tuple[int, _Second]], width: int) -> Iterator[Window]:
    by_window: dict[int, list[_Second]] = {}
    for at, each in kept:
        by_window.setdefault(at - at % width, []).append(each)
    for begins, seconds in sorted(by_window.items()):
        failed = sum(each.errors.total() for each in seconds)
        answered = sum(each.requests for each in seconds) - failed
        if answered or failed:
            yield Window(float(begins), answered, sum(each.seconds for each in seconds), failed)


def _total(counters: Iterable[Counter[str]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for counter in counters:
        total.update(counter)
    return total
