"""A new deployment against the old one, by what both did over the same time."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ftkit.contracts.measures import Measures, Window
from ftkit.evaluation import live_comparison
from ftkit.evaluation.live_comparison import Limits, Looks, judged, stability_index, together


def deployment(requests: int = 1000, failed: int = 10, milliseconds: float = 20.0, **changes: Any) -> Measures:
    """One that answers as many requests in each of twenty windows, with a little unrest in their times."""
    unrest = np.random.default_rng(requests).normal(1.0, 0.05, 20)
    each = requests // 20
    windows = [Window(float(at), each, each * milliseconds / 1000 * float(unrest[at])) for at in range(20)]
    answered = requests - failed
    counts = {"often": 6 * answered // 10, "at times": 3 * answered // 10, "seldom": answered // 10}
    sure = [0, 0, 0, 0, 0, answered // 10, answered // 10, answered // 5, answered // 5, answered * 2 // 5]
    measured = Measures(requests, {"500": failed}, {}, windows, counts, sure)
    return replace(measured, **changes)


OLD = deployment()


def restless(slower: float) -> Measures:
    """One that takes so many times as long, and whose mean times differ much from window to window."""
    factors = [0.6, 1.4, 1.0, 0.7, 1.3] * 4
    windows = zip(OLD.windows, factors, strict=True)
    return deployment(
        500, 5, windows=[replace(each, seconds=each.seconds * slower * factor) for each, factor in windows]
    )


@pytest.mark.parametrize(
    ("new", "state", "sentence"),
    [
        (deployment(500, 5), "healthy", "no more errors, not slower"),
        (deployment(500, 5, 24.0), "healthy", "not slower"),
        (deployment(500, 5, 16.0), "healthy", "not slower"),
        (deployment(500, 0), "healthy", "no more errors"),
        (deployment(500, 40), "unhealthy", r"fails 8.0 % of its requests, the old one 1.0 % \(40 × 500\)"),
        (deployment(500, 0, errors={"timeout": 30, "500": 10}), "unhealthy", r"10 × 500, 30 × timeout"),
        (deployment(500, 5, 40.0), "unhealthy", "1.98 times as long"),
        (deployment(500, 5, classes={"often": 500}), "unhealthy", "hardly answers 'at times', 'seldom' any more"),
        (deployment(500, 5, classes={"often": 350, "at times": 150}), "unhealthy", "hardly answers 'seldom' any more"),
        (deployment(500, 5, unsure=400), "unhealthy", "other classes than the old one"),
        (deployment(500, 5, confidence=[0, 0, 0, 0, 500, 0, 0, 0, 0, 0]), "unhealthy", "probabilities are not as high"),
        (deployment(500, 40, 40.0), "unhealthy", "8.0 % of its requests.*; it takes"),
        (deployment(80, 80), "inconclusive", "too few requests"),
        (deployment(500, 5, windows=OLD.windows[:3]), "inconclusive", "too short to judge latency"),
        (restless(1.45), "inconclusive", r"it may take up to 1\.\d times as long"),
        (restless(1.2), "healthy", "not slower"),
        (deployment(500, 5, confidence=(), classes={}), "healthy", ""),
    ],
)
def test_what_is_worse_is_said(new: Measures, state: str, sentence: str) -> None:
    judgement = judged(new, OLD, Limits(), 0.01)
    assert judgement.state == state
    assert re.search(sentence, judgement.sentence), judgement.sentence


def test_an_old_deployment_without_requests_judges_nobody() -> None:
    assert judged(deployment(500, 100), Measures(), Limits(), 0.01).state == "inconclusive"


def test_looks_share_one_error_rate_and_wait_for_more_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = []
    monkeypatch.setattr(
        live_comparison,
        "judged",
        lambda new, old, limits, level: levels.append(level) or judged(new, old, limits, level),
    )
    looks = Looks()
    for requests in range(20, 100_000, 20):
        new = deployment(requests, requests // 100)
        if looks.due(new):
            assert looks.judge(new, [OLD]).state != "unhealthy"
    assert len(levels) == looks.taken
    assert 10 < len(levels) < 25
    assert sum(levels) < live_comparison.LEVEL


def test_a_step_is_looked_at_from_its_first_requests_on_whatever_the_one_before_had() -> None:
    looks = Looks()
    looks.judge(deployment(2000), [OLD])
    assert not looks.due(deployment(200))
    looks.begin_step()
    assert looks.due(deployment(200))
    assert looks.taken == 1, "the error rate is shared by the looks of all steps"


def test_windows_that_follow_each_other_are_no_evidence_of_their_own() -> None:
    """One slow half of the time must not look like many slow windows."""
    slow = [replace(window, seconds=window.seconds * (1.9 if window.begins >= 10 else 1.0)) for window in OLD.windows]
    assert judged(deployment(500, 5, windows=slow), OLD, Limits(), 0.01).state == "inconclusive"


def test_several_old_deployments_count_as_one() -> None:
    both = together([OLD, deployment(500, 5)])
    assert both.requests == 1500
    assert both.errors == {"500": 15}
    assert both.windows[0].requests == 75
    assert both.classes["often"] == OLD.classes["often"] + 297
    assert together([]).requests == 0


def test_the_stability_index_is_that_of_its_source() -> None:
    assert stability_index([100_000, 100_000], [100_000, 100_000]) == 0
    expected = (0.6 - 0.5) * np.log(0.6 / 0.5) + (0.4 - 0.5) * np.log(0.4 / 0.5)
    assert stability_index([500_000, 500_000], [600_000, 400_000]) == pytest.approx(expected, rel=1e-4)
