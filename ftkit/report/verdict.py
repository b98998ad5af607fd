"""How the run ended, in a word, a few numbers, and every promotion test with what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftkit import formatting
from ftkit.contracts import Verdict
from ftkit.evaluation import metrics
from ftkit.formatting import capital, count, printable, signed
from ftkit.report.answers import Row
from ftkit.report.facts import Facts
from ftkit.report.svg import breadth, inline

if TYPE_CHECKING:
    from markupsafe import Markup

NUMBERS = 150
"""Numbers shown of one promotion test."""
DRAWN = 1_200_000
"""Characters of all the promotion tests' figures together."""
LARGEST = 400_000
"""Characters of one of them."""

MARKS = {
    "passed": {"mark": "✓", "tone": "good"},
    "failed": {"mark": "✗", "tone": "bad"},
    "error": {"mark": "!", "tone": "bad"},
    "not applicable": {"mark": "–", "tone": "calm"},
}
"""How each status looks; the word stands beside it always."""
ORDER = ("error", "failed", "passed", "not applicable")


def decision(facts: Facts, verdicts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How the run ended, and why."""
    tested = str(facts.tested.get("sentence", ""))
    ended = tested.removeprefix("Promoted: ").removeprefix("Not promoted: ")
    against = [each for each in verdicts if each["status"] in ("failed", "error")]
    said = {
        "promoted": ("Promoted", "✓", "good", [capital(ended)]),
        "not promoted": ("Not promoted", "✗", "bad", [] if against else [capital(ended)]),
        "failed": (
            "The run failed",
            "✗",
            "bad",
            [f"It broke off: {printable(facts.failure) or 'no reason was kept'}."],
        ),
        "interrupted": ("Interrupted", "!", "warn", ["It broke off before it came to a decision."]),
        "running": ("Still running", "…", "calm", ["This is how far it has come."]),
    }
    title, mark, tone, sentences = said.get(facts.state, said["interrupted"])
    if facts.state in ("failed", "interrupted"):
        sentences.append("What it had finished is kept and shown here; the same command goes on from there.")
    if facts.state not in ("promoted", "not promoted") and tested:
        sentences.append(f"The promotion tests had decided: {tested}")
    if (
        facts.state == "failed"
        and not facts.tested.get("promoted")
        and any(each["status"] == "error" for each in against)
    ):
        title, sentences = "Not promoted", [capital(printable(facts.failure.removeprefix("Not promoted: ")))]
    if facts.override:
        title, mark, tone = "Promoted by override", "!", "warn"
    return {
        "title": title,
        "mark": mark,
        "tone": tone,
        "sentences": [each for each in sentences if each],
        "reasons": against,
    }


def tests(facts: Facts) -> list[dict[str, Any]]:
    """Every promotion test, those that stand in the way first."""
    found, room = [], DRAWN
    ordered = sorted(enumerate(facts.verdicts), key=lambda each: (_rank(each[1]), each[0]))
    for place, verdict in ordered:
        drawing, trouble = _inlined(verdict, f"test{place}", room)
        room -= len(drawing or "")
        numbers = [(str(name), value) for name, value in verdict.numbers.items()]
        found.append(
            {
                "test": verdict.test,
                "status": verdict.status if verdict.status in MARKS else "error",
                "sentence": verdict.sentence,
                "anchor": f"test-{place + 1}",
                "figure": drawing,
                "most": breadth(drawing or ""),
                "trouble": trouble,
                "numbers": numbers[:NUMBERS],
                "more": max(0, len(numbers) - NUMBERS),
            }
        )
    return found


def _rank(verdict: Verdict) -> int:
    return ORDER.index(verdict.status) if verdict.status in ORDER else 0


def _inlined(verdict: Verdict, name: str, room: int) -> tuple[Markup | None, str]:
    if not verdict.figure:
        return None, ""
    try:
        return inline(verdict.figure, name, min(room, LARGEST)), ""
    except ValueError as error:
        return None, printable(str(error))


def tally(verdicts: Sequence[Verdict]) -> str:
    """How many tests ended how."""
    counts = {status: sum(each.status == status for each in verdicts) for status in ORDER}
    named = {"error": "gave no verdict", "failed": "failed", "passed": "passed", "not applicable": "did not apply"}
    return ", ".join(f"{number} {named[status]}" for status, number in counts.items() if number) + "."


def glance(facts: Facts, rows: Sequence[Row]) -> list[dict[str, str]]:
    """The few numbers to know first."""
    found = []
    title = metrics.TITLES.get(facts.metric, facts.metric)
    row = next((each for each in rows if each.metric == facts.metric), None)
    value = row.candidate.value if row else facts.tested.get("metrics", {}).get(facts.metric)
    if value is not None:
        note = (
            f"95 % interval {formatting.score(row.candidate.low)} to {formatting.score(row.candidate.high)}"
            if row
            else ""
        )
        found.append(_item(f"{capital(title)}, test rows", formatting.score(value), note))
    if row is not None and row.champion is not None and row.gain is not None:
        change = f"gain {signed(row.gain.value)}, 95 % interval {signed(row.gain.low)} to {signed(row.gain.high)}"
        found.append(_item(capital(facts.champion), formatting.score(row.champion.value), change))
    winner = facts.winner
    if winner is not None:
        found.append(
            _item(
                "Selected",
                f"Trial {winner.number}",
                f"of {count(len(facts.trials), 'trial')}: {formatting.values(winner.values, 40)}",
            )
        )
    elif facts.trials:
        found.append(_item("Trials", f"{len(facts.trials):,}", "none was selected"))
    if facts.data is not None:
        sizes = {name: sum(each.values()) for name, each in facts.data.counts.items()}
        note = (
            f"in {count(len(facts.classes), 'class') if len(facts.classes) == 1 else f'{len(facts.classes)} classes'}"
        )
        found.append(_item("Rows", f"{sum(sizes.values()):,}", f"{note}; {sizes.get('test', 0):,} for the test"))
    if facts.seconds:
        found.append(_item("Time", formatting.duration(facts.seconds), "all finished stages"))
    if facts.endpoint:
        found.append(_item("Deployed", printable(facts.endpoint), printable(facts.deployment)))
    elif facts.version:
        found.append(_item("Registered", f"Version {printable(facts.version)}", ""))
    return found


def _item(title: str, value: str, note: str) -> dict[str, str]:
    return {"title": title, "value": value, "note": note}
