"""The section of the page on the rollout: how it ended, its timeline, each step, and what was kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ftkit import formatting
from ftkit.contracts.measures import Measures
from ftkit.formatting import count, percent, printable
from ftkit.report import rollout_charts
from ftkit.report.rollout_history import Happening, Rollout, Step
from ftkit.report.svg import inline, max_width

EVENTS = 200
"""The most events of a rollout that are listed."""
LONGEST = 400
"""Characters of a reason that are shown."""

JUDGED = {
    "healthy": {"mark": "✓", "tone": "good"},
    "unhealthy": {"mark": "✗", "tone": "bad"},
    "inconclusive": {"mark": "?", "tone": "calm"},
}
"""How the verdict of a look is shown."""


def section(rollouts: Sequence[Rollout]) -> dict[str, Any] | None:
    """The latest rollout of the run in full, earlier ones in a sentence each; None where there was none."""
    if not rollouts:
        return None
    last = rollouts[-1]
    chart = rollout_charts.timeline(last)
    return {
        "text": _ending(last),
        "kept": _kept(last),
        "earlier": [_ending(each) for each in rollouts[:-1]],
        "chart": inline(chart, "rollout"),
        "caption": _caption(last),
        "max_width": max_width(chart or ""),
        "steps": [_step(last, each) for each in last.steps],
        "notes": [note for each in last.steps for note in _notes(each)],
        "measured": bool(last.old) or any(each.measures for each in last.steps),
        "events": [_event(last, each) for each in last.happenings[:EVENTS]],
        "more": max(0, len(last.happenings) - EVENTS),
    }


def _caption(rollout: Rollout) -> str:
    """What the lines and marks of the chart mean."""
    sentences = ["Dotted: a step of the traffic begins."] if len(rollout.steps) > 1 else []
    if rollout.rolled_back is not None:
        sentences.append("Dashed: the traffic was taken back.")
    if any(step.judged for step in rollout.steps):
        sentences.append(
            "Above: a look at the live requests found the new deployment healthy (●), worse (✕), or could not tell yet (○)."
        )
    return " ".join(sentences)


def _ending(rollout: Rollout) -> str:
    """How a rollout ended, in a sentence or two."""
    name, endpoint = printable(rollout.deployment), printable(rollout.endpoint)
    if rollout.happenings[0].values.get("step") == "was live already" and not rollout.steps:
        return f"{name} had all traffic of {endpoint} already."
    took = formatting.duration((rollout.rolled_back or rollout.ended) - rollout.began)
    share = rollout.steps[-1].share if rollout.steps else None
    if rollout.live and rollout.rolled_back is None:
        return f"{name} took over all traffic of {endpoint}; from its creation that took {took}."
    if rollout.rolled_back is not None:
        reason = _reason(rollout)
        where = (
            "before it got any traffic" if share is None else f"at {share} % of the traffic" if share else "on copies"
        )
        return f"{name} was taken off {endpoint} after {took}, {where}{f': {reason}' if reason else ''}."
    if rollout.error:
        return f"The rollout of {name} to {endpoint} stopped after {took}: {_short(rollout.error)}."
    return f"The rollout of {name} to {endpoint} has not ended; its last event is {took} after its beginning."


def _reason(rollout: Rollout) -> str:
    judged = [each for step in rollout.steps for each in step.judged]
    if judged and judged[-1].values["state"] == "unhealthy":
        return _short(str(judged[-1].values["sentence"]))
    return _short(rollout.error)


def _short(text: str) -> str:
    lines = text.strip().splitlines()
    return formatting.beginning(printable(lines[0]), LONGEST).removesuffix(".") if lines else ""


def _kept(rollout: Rollout) -> str:
    """What stayed after a success, and what became of it."""
    if not rollout.kept:
        return ""
    names = formatting.listing(map(str, rollout.kept["before"]), 3)
    closed = rollout.closed
    if not closed:
        return f"{names} stays without traffic until {_moment(rollout.kept['until'])}, ready to be put back."
    if closed.get("how") == "retired":
        return f"{names} stayed ready, without traffic, and was retired on {_moment(closed['at'])}."
    reason = _short(str(closed.get("reason", "")))
    return f"On {_moment(closed['at'])}, {names} got the traffic back{f': {reason}' if reason else ''}."


def _step(rollout: Rollout, step: Step) -> dict[str, Any]:
    """A row of the table of steps."""
    new = step.measures.get(rollout.deployment)
    old = [each for name, each in step.measures.items() if name != rollout.deployment]
    judged = step.judged[-1].values if step.judged else None
    return {
        "title": f"{step.share} %" if step.share else "Copies",
        "time": formatting.duration(step.ended - step.began),
        "cells": [
            {"new": cell([new] if new else []), "old": cell(old)} for cell in (_requests, _failures, _mean, _slow)
        ],
        "judged": {**JUDGED[judged["state"]], "state": judged["state"]} if judged else None,
    }


def _notes(step: Step) -> Iterator[str]:
    """What the table of steps has no room for: how copies compared, and why a step could not be judged."""
    if step.copies:
        yield f"Copies: {_copies(step.copies)}"
    judged = step.judged[-1].values if step.judged else None
    if judged and judged["state"] == "inconclusive":
        title = f"At {step.share} %" if step.share else "On copies"
        yield f"{title}: {str(judged['sentence']).removesuffix('.')}."


def _requests(several: Sequence[Measures]) -> str:
    return f"{sum(each.requests for each in several):,}" if several else "–"


def _failures(several: Sequence[Measures]) -> str:
    requests = sum(each.requests for each in several)
    return percent(sum(each.failed for each in several) / requests) if requests else "–"


def _mean(several: Sequence[Measures]) -> str:
    windows = [window for each in several for window in each.windows]
    requests = sum(each.requests for each in windows)
    return _milliseconds(sum(each.seconds for each in windows) / requests) if requests else "–"


def _slow(several: Sequence[Measures]) -> str:
    return _milliseconds(several[0].latency["p95"]) if len(several) == 1 and "p95" in several[0].latency else "–"


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:,.1f} ms" if seconds < 0.0995 else f"{1000 * seconds:,.0f} ms"


def _copies(compared: Mapping[str, Any]) -> str:
    if not compared:
        return ""
    texts = compared["texts"]
    if not texts:
        return "none was answered by both."
    sentence = (
        f"{compared['flipped']:,} of {count(texts, 'text')} ({percent(compared['flipped'] / texts)}) answered otherwise; probabilities "
        f"differ by {compared['shift']:.3f} in the mean, {compared['largest']:.3f} at most"
    )
    failed = compared.get("failed", 0)
    return (
        f"{sentence}; {count(failed, 'copy') if failed == 1 else f'{failed:,} copies'} got no answer."
        if failed
        else f"{sentence}."
    )


def _event(rollout: Rollout, each: Happening) -> dict[str, str]:
    """An event of the rollout as a line."""
    values = each.values
    match each.event:
        case "DeploymentChanged":
            what = f"{values['deployment']} {values['step']}"
            what += f": {_short(str(values['detail']))}" if values.get("detail") else ""
        case "TrafficMoved":
            what = f"traffic: {formatting.traffic(values['shares'])}"
        case "DeploymentJudged":
            what = f"{values['deployment']} is {values['state']}: {values['sentence']}"
        case "CopiesCompared":
            what = f"copies: {_copies(values['comparison'])}"
        case "TrafficMeasured":
            what = f"measured: {formatting.listing([_did(*item) for item in values['measures'].items()]) or 'nothing'}"
        case _:
            what = each.event
    return {"when": f"+{formatting.duration(each.at - rollout.began)}", "what": what}


def _did(name: str, measures: Mapping[str, Any]) -> str:
    failed = sum(measures["errors"].values())
    return f"{name} {count(measures['requests'], 'request')}{f', {failed:,} failed' if failed else ''}"


def _moment(stamp: str) -> str:
    at = datetime.fromisoformat(stamp).astimezone(UTC)
    return f"{at.day} {at:%B %Y, %H:%M:%S} UTC"
