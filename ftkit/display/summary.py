"""The summary at the end of a run: the verdict first, the command that calls the endpoint last."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from ftkit import formatting, report, strict_json
from ftkit.contracts import Endpoint, Outcome, Trial, Verdict
from ftkit.display import plain, terminal
from ftkit.display.plain import metrics_of
from ftkit.evaluation import selection

SAMPLE = "Shares rose after the bank cut its rates."
"""The text that the curl command sends when a bundle has no sample of its own."""


def show(outcome: Outcome, metric: str, endpoint: Endpoint | None, stream: IO[str] | None = None) -> None:
    """Print the summary; `endpoint` is the one that is live now, also when another run deployed to it."""
    stream = stream or sys.stdout
    rows = list(_rows(outcome, metric, endpoint))
    terminal.write("", stream)
    if terminal.is_terminal(stream):
        from rich.text import Text

        style = "bold green" if outcome.promoted else "bold red"
        terminal.console(stream).print(Text(verdict(outcome), style=style))
    else:
        terminal.write(verdict(outcome), stream)
    terminal.labelled(rows, stream)
    if endpoint is not None and endpoint.url and endpoint.traffic:
        terminal.write("", stream)
        # One unbroken line: the terminal may fold it, copying it must not.
        terminal.write(curl(endpoint, sample(outcome.bundle)), stream)


def verdict(outcome: Outcome) -> str:
    """The decision in a sentence."""
    failed = [each for each in outcome.verdicts if each.status in ("failed", "error")]
    if outcome.promoted and failed:
        return f"PROMOTED AGAINST ITS TESTS: {_names(failed)}"
    if outcome.promoted:
        passed = sum(each.status == "passed" for each in outcome.verdicts)
        if not passed:
            return f"PROMOTED: {'; '.join(each.sentence for each in outcome.verdicts) or 'the recipe has no promotion tests'}"
        rest = len(outcome.verdicts) - passed
        text = f"PROMOTED: {formatting.count(passed, 'test')} passed"
        return f"{text}, {rest} not applicable" if rest else text
    if len(failed) == 1:
        return f"NOT PROMOTED: {failed[0].test}: {failed[0].sentence}"
    return f"NOT PROMOTED: {_names(failed) if failed else 'a test failed'}"


def _names(verdicts: Sequence[Verdict]) -> str:
    """Which promotion tests failed, and which broke off without a verdict."""
    parts = []
    for status, what in (("failed", "failed"), ("error", "gave no verdict")):
        if names := [verdict.test for verdict in verdicts if verdict.status == status]:
            parts.append(f"{', '.join(names)} {what}")
    return "; ".join(parts)


def curl(endpoint: Endpoint, row: str | Mapping[str, str]) -> str:
    """A shell command that calls the endpoint with a text, or with the texts of a pair by their names; its key is included."""
    body = json.dumps({"data": [{"text": row} if isinstance(row, str) else dict(row)]})
    if endpoint.command:
        return f"{endpoint.command} {shlex.quote(body)}"
    command = shlex.join(["curl", "-sS", "-X", "POST", endpoint.url])
    if endpoint.key:
        command += " " + shlex.join(["-H", f"Authorization: Bearer {endpoint.key}"])
    elif endpoint.key_command:
        command += f' -H "Authorization: Bearer $({endpoint.key_command})"'
    return f"{command} {shlex.join(['-H', 'Content-Type: application/json', '-d', body])}"


def sample(bundle: Path) -> str | dict[str, str]:
    """A short text of the kind the model was trained for; for a model of pairs two, by their names."""
    try:
        request = strict_json.read_object(bundle / "sample_request.json")
        row = min(request["data"], key=lambda each: sum(map(len, each.values())), default={"text": SAMPLE})
        # The ellipsis of a cut text would be classified as part of it.
        short = {name: formatting.beginning(text, 80).removesuffix("…").rstrip() for name, text in row.items()}
        return short["text"] if len(short) == 1 else short
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return SAMPLE


def as_json(outcome: Outcome, endpoint: Endpoint | None) -> dict[str, Any]:
    """The outcome as values for JSON, with the command that calls the endpoint."""
    values = {"event": "outcome", **terminal.machine(outcome), "exit_code": outcome.exit_code}
    values["endpoint"] = terminal.machine(endpoint)
    live = endpoint is not None and endpoint.url and endpoint.traffic
    page = outcome.folder / report.NAME
    values["report"] = str(page) if page.is_file() else None
    values["curl"] = curl(endpoint, sample(outcome.bundle)) if endpoint is not None and live else None
    return values


def _rows(outcome: Outcome, metric: str, endpoint: Endpoint | None) -> list[tuple[str, str]]:
    rows = [("best", best(outcome.best, len(outcome.trials), metric))]
    rows += [("confirmed", plain.spread(each, metric)) for each in selection.spreads(outcome.trials, metric)[:1]]
    if outcome.metrics:
        rows.append(("test", metrics_of(outcome.metrics, metric)))
    rows += _verdicts(outcome)
    if outcome.champion is not None and outcome.champion.version != (outcome.version and outcome.version.version):
        standing = "was the champion until now" if outcome.promoted else "stays the champion"
        rows.append(("champion", f"{outcome.champion.model} version {outcome.champion.version} {standing}"))
    if outcome.version is not None:
        aliases = f" ({', '.join(outcome.version.aliases)})" if outcome.version.aliases else ""
        rows.append(("version", f"{outcome.version.model} version {outcome.version.version}{aliases}"))
    rows.append(("bundle", str(outcome.bundle)))
    if endpoint is not None:
        rows.append(("endpoint", f"{endpoint.name} at {endpoint.url or 'no address yet'}"))
        rows.append(("traffic", formatting.traffic(endpoint.traffic)))
    if (page := outcome.folder / report.NAME).is_file():
        rows.append(("report", str(page)))
    rows.append(("details", f"ftkit runs {outcome.run}"))
    return rows


def _verdicts(outcome: Outcome) -> list[tuple[str, str]]:
    """The tests that did not pass with their sentences, the others by name: their sentences are in the report."""
    objections = [each for each in outcome.verdicts if each.status in ("failed", "error")]
    if len(objections) == 1 and not outcome.promoted:
        objections = []  # the first line of the summary has it
    rows: list[tuple[str, str]] = [(each.status, f"{each.test}: {each.sentence}") for each in objections]
    for status, label in (("passed", "passed"), ("not applicable", "not judged")):
        if names := [each.test for each in outcome.verdicts if each.status == status]:
            rows.append((label, ", ".join(names)))
    return rows


def best(trial: Trial, count: int, metric: str) -> str:
    """The winning trial in a line."""
    scored = f"{metric} {formatting.score(trial.metrics.get(metric))} on the validation rows"
    text = f"trial {trial.number} of {count}" if count > 1 else "the only trial"
    if trial.repeats is not None:
        text = f"trial {trial.number}, which repeats trial {trial.repeats}"
    values = f": {formatting.values(trial.values, 60)}" if trial.values else ""
    return f"{text}{values}; {scored}, epoch {trial.epoch}"
