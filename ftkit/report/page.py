"""The report as HTML: one file with its own style, script and charts, and every text from outside escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from ftkit import formatting
from ftkit.formatting import capital, percent, printable, signed
from ftkit.report import answers, origin, rollout, rows, trials, verdict
from ftkit.report.facts import Facts

if TYPE_CHECKING:
    from jinja2 import Template

LONGEST = 280
"""Characters of a row's text that are shown."""


def page(facts: Facts) -> str:
    """The whole page; the same facts give the same bytes."""
    from markupsafe import Markup

    style, script = _file("page.css"), "\n" + _file("page.js")
    shown = _sections(facts)
    return _template().render(
        **shown,
        contents=_contents(shown),
        style=Markup(style),  # noqa: S704  our own file
        script=Markup(script),  # noqa: S704  our own file
        script_hash=f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
    )


def _sections(facts: Facts) -> dict[str, Any]:
    """The values that the template shows; None for sections that the run has not reached."""
    tests, answered = verdict.tests(facts), facts.answers
    scored = answers.scored(answered) if answered is not None else []
    flips = answers.flipped(answered) if answered is not None else None
    return {
        "facts": facts,
        "recipe": facts.recipe,
        "marks": verdict.MARKS,
        "decision": verdict.decision(facts, tests),
        "glance": verdict.glance(facts, scored),
        "tests": tests,
        "tally": verdict.tally(facts.verdicts),
        "rollout": rollout.section(facts.rollouts),
        "scores": rows.scores(facts, scored),
        "errors": rows.errors(facts, answered) if answered is not None else None,
        "flips": rows.changed(facts, answered, flips) if answered is not None and flips is not None else None,
        "slices": rows.slices(facts, answered) if answered is not None else None,
        "certainty": rows.certainty(facts, answered) if answered is not None else None,
        "search": trials.search(facts),
        **origin.data(facts),
        "time": origin.time(facts),
        "environment": origin.environment(facts),
        "origin": origin.origin(facts),
    }


def _contents(shown: Mapping[str, Any]) -> list[dict[str, str]]:
    """The sections that the page has, in their order."""
    sections = [
        ("tests", "Promotion tests", shown["tests"]),
        ("rollout", "Rollout", shown["rollout"]),
        ("metrics", "Test metrics", shown["scores"]),
        ("mistakes", "Mistakes", shown["errors"]),
        ("flips", "Flipped rows", shown["flips"]),
        ("slices", "Parts", shown["errors"]),
        ("certainty", "Certainty", shown["errors"]),
        ("trials", "Trials", True),
        ("data", "Data", shown["facts"].data),
        ("time", "Time", shown["time"]["stages"] or shown["time"]["trials"]),
        ("environment", "Environment", shown["environment"] or shown["facts"].changed),
        ("origin", "Origin", True),
    ]
    return [{"anchor": anchor, "title": title} for anchor, title, content in sections if content]


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "score": lambda value: formatting.score(value).replace("-", "−"),
        "signed": signed,
        "percent": percent,
        "duration": formatting.duration,
        "megabytes": formatting.megabytes,
        "visible": visible,
        "label": label,
        "number": number,
        "moment": moment,
        "capital": capital,
    }
    return environment.from_string(_file("page.html"))


def _file(name: str) -> str:
    return (resources.files("ftkit.report") / name).read_text(encoding="utf-8")


def visible(text: str, longest: int = LONGEST) -> str:
    """A text from outside as the page shows it: cut, on one line, with escapes for characters that cannot be seen."""
    text = str(text)
    shown = printable(text[: 4 * longest])
    if len(shown) <= longest and len(text) <= 4 * longest:
        return shown or "(empty)"
    return f"{formatting.beginning(shown, longest).removesuffix('…').rstrip()} … ({len(text):,} characters)"


def label(text: str) -> str:
    """A name from outside, short."""
    return visible(text, 60) if len(str(text)) <= 60 else printable(str(text))[:59].rstrip() + "…"


def number(value: Any) -> str:
    """A measured number: whole numbers as they are, others with six digits."""
    if not isinstance(value, int | float):
        return "–"
    return f"{int(value):,}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.6g}"


def moment(stamp: str) -> str:
    """A time of the journal, in UTC."""
    try:
        at = datetime.fromisoformat(stamp)
    except ValueError:
        return stamp
    return f"{at.day} {at:%B %Y, %H:%M} UTC"
