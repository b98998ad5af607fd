"""The first sections of the page: how the run ended, a few numbers, and every promotion test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftkit import formatting
from ftkit.contracts import Verdict
from ftkit.contracts.tasks import SINGLE_LABEL
from ftkit.evaluation import metrics
from ftkit.formatting import capital, count, printable, signed
from ftkit.report.answers import Row
from ftkit.report.facts import Facts
from ftkit.report.svg import inline, max_width

if TYPE_CHECKING:
    from markupsafe import Markup

NUMBERS = 150
"""The most numbers that are shown of one promotion test."""
ALL_CHARTS = 1_200_000
"""Most characters of all charts of the promotion tests together."""
ONE_CHART = 400_000
"""Most characters of one chart."""

MARKS = {
    "passed": {"mark": "✓", "tone": "good"},
    "failed": {"mark": "✗", "tone": "bad"},
    "error": {"mark": "!", "tone": "bad"},
    "not applicable": {"mark": "–", "tone": "calm"},
}
"""How each status looks; its name is always beside the mark."""
ORDER = ("error", "failed", "passed", "not applicable")


def decision(facts: Facts, verdicts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How the run ended, and why."""
    tested = facts.sentence
    ended = tested.removeprefix("Promoted: ").removeprefix("Not promoted: ")
    objections = [each for each in verdicts if each["status"] in ("failed", "error")]
    endings = {
        "promoted": ("Promoted", "✓", "good", [capital(ended)]),
        "not promoted": ("Not promoted", "✗", "bad", [] if objections else [capital(ended)]),
        "failed": (
            "The run failed",
            "✗",
            "bad",
            [f"The reason: {printable(facts.failure) or 'not known'}."],
        ),
        "interrupted": ("Interrupted", "!", "warn", ["The run was interrupted before it ended."]),
        "running": ("Still running", "…", "calm", ["The page shows what the run has finished so far."]),
    }
    title, mark, tone, sentences = endings.get(facts.state, endings["interrupted"])
    if facts.state in ("failed", "interrupted"):
        sentences.append("What it finished is kept and shown here; the same command goes on from there.")
    if facts.state not in ("promoted", "not promoted") and tested:
        sentences.append(f"The promotion tests had decided: {tested}")
    if (
        facts.state == "failed"
        and not (facts.decision is not None and facts.decision.promoted)
        and any(each["status"] == "error" for each in objections)
    ):
        title, sentences = "Not promoted", [capital(printable(facts.failure.removeprefix("Not promoted: ")))]
    if facts.override:
        title, mark, tone = "Promoted by override", "!", "warn"
    if facts.state == "failed" and facts.rollouts and facts.rollouts[-1].rolled_back is not None:
        title, mark, tone = "Rolled back", "✗", "bad"
    return {
        "title": title,
        "mark": mark,
        "tone": tone,
        "sentences": [each for each in sentences if each],
        "reasons": objections,
    }


def tests(facts: Facts) -> list[dict[str, Any]]:
    """Every promotion test, those that prevent the promotion first."""
    entries, room = [], ALL_CHARTS
    ordered = sorted(enumerate(facts.verdicts), key=lambda each: (_rank(each[1]), each[0]))
    for place, verdict in ordered:
        chart, problem = _chart(verdict, f"test{place}", room)
        room -= len(chart or "")
        numbers = [(str(name), value) for name, value in verdict.numbers.items()]
        entries.append(
            {
                "test": verdict.test,
                "status": verdict.status if verdict.status in MARKS else "error",
                "sentence": verdict.sentence,
                "anchor": f"test-{place + 1}",
                "chart": chart,
                "max_width": max_width(chart or ""),
                "problem": problem,
                "numbers": numbers[:NUMBERS],
                "more": max(0, len(numbers) - NUMBERS),
            }
        )
    return entries


def _rank(verdict: Verdict) -> int:
    return ORDER.index(verdict.status) if verdict.status in ORDER else 0


def _chart(verdict: Verdict, name: str, room: int) -> tuple[Markup | None, str]:
    """The chart of a verdict, or None and why it is not shown."""
    if not verdict.figure:
        return None, ""
    try:
        return inline(verdict.figure, name, min(room, ONE_CHART)), ""
    except ValueError as error:
        return None, printable(str(error))


def tally(verdicts: Sequence[Verdict]) -> str:
    """How many tests ended how."""
    counts = {status: sum(each.status == status for each in verdicts) for status in ORDER}
    names = {"error": "gave no verdict", "failed": "failed", "passed": "passed", "not applicable": "did not apply"}
    return ", ".join(f"{number} {names[status]}" for status, number in counts.items() if number) + "."


def glance(facts: Facts, rows: Sequence[Row]) -> list[dict[str, str]]:
    """The few numbers to know first."""
    items = []
    title = metrics.TITLES.get(facts.metric, facts.metric)
    row = next((each for each in rows if each.metric == facts.metric), None)
    value = row.candidate.value if row else facts.metrics.get(facts.metric)
    if value is not None:
        note = (
            f"95 % interval {formatting.score(row.candidate.low)} to {formatting.score(row.candidate.high)}"
            if row
            else ""
        )
        items.append(_item(f"{capital(title)}, test rows", formatting.score(value), note))
    if row is not None and row.champion is not None and row.gain is not None:
        change = f"gain {signed(row.gain.value)}, 95 % interval {signed(row.gain.low)} to {signed(row.gain.high)}"
        items.append(_item(capital(facts.champion), formatting.score(row.champion.value), change))
    winner = facts.winner
    if winner is not None:
        items.append(
            _item(
                "Selected",
                f"Trial {winner.number}",
                f"of {count(len(facts.trials), 'trial')}: {formatting.values(winner.values, 40)}",
            )
        )
    elif facts.trials:
        items.append(_item("Trials", f"{len(facts.trials):,}", "none was selected"))
    if facts.data is not None:
        sizes = facts.data.sizes
        note = (
            f"in {count(len(facts.classes), 'class') if len(facts.classes) == 1 else f'{len(facts.classes)} classes'}"
        )
        note += f", {facts.task}" if facts.task != SINGLE_LABEL else ""
        items.append(_item("Rows", f"{sum(sizes.values()):,}", f"{note}; {sizes.get('test', 0):,} for the test"))
    if facts.seconds:
        items.append(_item("Time", formatting.duration(facts.seconds), "all finished stages"))
    if facts.endpoint:
        items.append(_item("Deployed", printable(facts.endpoint), printable(facts.deployment)))
    elif facts.version:
        items.append(_item("Registered", f"Version {printable(facts.version)}", ""))
    return items


def _item(title: str, value: str, note: str) -> dict[str, str]:
    return {"title": title, "value": value, "note": note}
