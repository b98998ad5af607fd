"""Weighted picking: exact over a cycle, and spread evenly within it."""

from __future__ import annotations

from collections import Counter

from ftkit.serving.traffic import RoundRobin


def test_shares_come_out_exactly_in_every_cycle() -> None:
    traffic = RoundRobin()
    weights = {"a": 70, "b": 25, "c": 5, "d": 0}
    for _ in range(3):
        assert Counter(traffic.pick(weights) for _ in range(100)) == {"a": 70, "b": 25, "c": 5}


def test_picks_are_spread_evenly() -> None:
    traffic = RoundRobin()
    picked = [traffic.pick({"old": 90, "new": 10}) for _ in range(100)]
    places = [place for place, name in enumerate(picked) if name == "new"]
    assert {later - earlier for earlier, later in zip(places, places[1:], strict=False)} == {10}


def test_the_share_of_a_missing_deployment_goes_to_the_others() -> None:
    traffic = RoundRobin()
    weights = {"a": 60, "b": 20, "c": 20}
    for _ in range(7):
        traffic.pick(weights)
    picked = Counter(traffic.pick({"b": 20, "c": 20}) for _ in range(40))
    assert abs(picked["b"] - picked["c"]) <= 2
    assert traffic.pick({"a": 0}) is None
    assert traffic.pick({}) is None
