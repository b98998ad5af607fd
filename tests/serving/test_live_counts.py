"""What a deployment did, second by second."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ftkit.serving import live_counts
from ftkit.serving.live_counts import LiveCounts


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that a test moves."""
    now = [1_000_000.0]
    monkeypatch.setattr(live_counts.time, "time", lambda: now[0])
    return now


def test_requests_are_counted_by_window_and_by_kind_of_error(clock: list[float]) -> None:
    counts = LiveCounts()
    for second in range(20):
        clock[0] += 1
        for _ in range(10):
            counts.request(0.02 * (1 + second % 2))
        counts.request(5.0, "timeout")
    measured = counts.measures(10)
    assert measured.requests == 110
    assert measured.errors == {"timeout": 10}
    assert measured.latency == pytest.approx({"mean": 0.03, "p50": 0.04, "p95": 0.04})
    assert [(window.requests, round(window.seconds, 6)) for window in measured.windows[-2:]] == [(10, 0.2), (10, 0.4)]
    assert len(measured.windows) == 10
    assert counts.measures(1000).requests == 220
    assert counts.totals.requests == 220
    assert sum(counts.totals.buckets) == 200


def test_few_requests_have_no_quantiles_and_a_long_time_has_wide_windows(clock: list[float]) -> None:
    counts = LiveCounts()
    for _ in range(live_counts.MEMORY + 500):
        clock[0] += 1
        counts.request(0.02)
    assert "p95" not in counts.measures(50).latency
    measured = counts.measures(live_counts.MEMORY)
    assert len(measured.windows) <= live_counts.WINDOWS + 1
    assert measured.requests == live_counts.MEMORY, "what is older is forgotten"
    assert LiveCounts().measures(60).latency == {}


def test_answers_are_counted_by_class_and_certainty_and_survive_json(clock: list[float]) -> None:
    counts = LiveCounts()
    counts.answers({"good": 2, "bad": 1}, [0.95, 1.0, 0.42], unsure=1)
    counts.request(0.02)
    measured = counts.measures(60)
    assert measured.classes == {"good": 2, "bad": 1}
    assert measured.confidence == [0, 0, 0, 0, 1, 0, 0, 0, 0, 2]
    assert measured.unsure == 1
    read: Any = json.loads(json.dumps(live_counts.to_json(measured)))
    assert live_counts.from_json(read) == measured
