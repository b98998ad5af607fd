"""The rollout in the report: its steps, what both deployments did, how it ended, and what was kept."""

from __future__ import annotations

import json

import pytest

from ftkit import report
from ftkit.contracts import Comparison, events
from ftkit.report import facts, rollout, rollout_charts, rollout_history
from ftkit.runs import journal
from ftkit.runs.ledger import Ledger
from ftkit.stages import keeping, rollout_facts

from .conftest import Make, rolled_out


def page(book: Ledger) -> str:
    return report.write(book).read_text(encoding="utf-8")


def test_a_canary_that_was_rolled_back_is_shown_with_both_deployments(make: Make) -> None:
    book = make("data")
    rolled_out(book, (5, 50), good=False)
    (one,) = rollout_history.read(book)
    assert [step.share for step in one.steps] == [5, 50]
    assert one.rolled_back is not None
    assert one.old == ["v3"]
    assert not one.live
    points = [*rollout_history.curves(one, "v4")]
    assert len(points) == 20
    assert {(window.requests, window.failed) for _, _, window in points} == {(50, 50)}, "the fuller of two looks"
    shown = rollout.section([one])
    assert shown is not None
    assert "at 50 % of the traffic: it fails 50.0 % of its requests" in shown["text"]
    last = shown["steps"][-1]
    assert [cell["new"] for cell in last["cells"]] == ["2,000", "50.0 %", "4.0 ms", "12.0 ms"]
    assert [cell["old"] for cell in last["cells"]] == ["1,000", "0.0 %", "4.0 ms", "12.0 ms"]
    assert last["judged"]["state"] == "unhealthy"
    text = page(book)
    assert "Rolled back</h2>" in text
    assert '<h2 id="rollout">' in text
    assert "requests, failures and time of both deployments over the rollout" in text


def test_a_success_says_what_is_kept_and_how_that_ended(make: Make) -> None:
    book = make("data")
    rolled_out(book, (10, 100))
    assert "v4 took over all traffic of live" in page(book)
    book.append(keeping.KEPT, endpoint="live", deployment="v4", before={"v3": 100}, until="2026-01-02T03:04:05+00:00")
    assert "v3 stays without traffic until 2 January 2026, 03:04:05 UTC" in page(book)
    book.append(keeping.CLOSED, how="put back", reason="orders fell")
    assert "v3 got the traffic back: orders fell." in page(book)


def test_copies_are_told_in_numbers_alone(make: Make) -> None:
    book = make("data")
    rolled_out(book, (0,), good=False)
    comparison = Comparison(texts=200, flipped=3, shift=0.01, largest=0.4, failed=1)
    rollout_facts.written_down(book, lambda _: None)(events.CopiesCompared("live", "v4", comparison))
    text = page(book)
    assert "3 of 200 texts (1.5 %) answered otherwise" in text
    assert "1 copy got no answer" in text
    assert "on copies: it fails" in text


def test_a_deployment_that_never_got_traffic_has_no_chart(make: Make) -> None:
    book = make("data")
    rolled_out(book, (), good=False)
    (one,) = rollout_history.read(book)
    assert rollout_charts.timeline(one) is None
    assert "before it got any traffic: the new deployment is not healthy" in page(book)


def test_an_endpoint_that_measures_nothing_has_the_traffic_alone(make: Make) -> None:
    book = make("data")
    tell = rollout_facts.written_down(book, lambda _: None)
    for event in (events.DeploymentChanged("live", "v4", "created"), events.TrafficMoved("live", {"v4": 100})):
        tell(event)
    shown = rollout.section(rollout_history.read(book))
    assert shown is not None
    assert not shown["measured"]
    assert 'aria-label="Share of the traffic over the rollout"' in shown["chart"]
    assert "has not ended" in shown["text"]


def test_a_second_attempt_comes_after_a_sentence_on_the_first(make: Make) -> None:
    book = make("data")
    rolled_out(book, (5,), good=False)
    rolled_out(book, (5, 100))
    text = page(book)
    assert "Before that: v4 was taken off live" in text
    assert "v4 took over all traffic" in text
    assert facts.read(book).rollouts[-1].live


@pytest.mark.parametrize("spoil", [{"at": "yesterday"}, {"shares": 3}, {"measures": {"v4": {"windows": 7}}}])
def test_a_damaged_line_about_a_rollout_costs_its_section_at_most(make: Make, spoil: dict[str, object]) -> None:
    book = make("data")
    rolled_out(book, (5, 100))
    path = book.folder / "journal.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        if line["fact"] == "rollout" and set(spoil) <= set(line):
            line.update(spoil)
    path.write_text("".join(map(journal.line, lines)))
    assert Ledger(book.folder).unreadable == 0
    assert "Origin" in page(Ledger(book.folder))
