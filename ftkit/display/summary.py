"""The end of a run in one look: the verdict first, the line that calls the endpoint last."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import IO, Any

from ftkit import formatting, report
from ftkit.contracts import Endpoint, Outcome, Trial
from ftkit.display import plain, terminal
from ftkit.display.plain import metrics_of
from ftkit.evaluation import selection

SAMPLE = "Shares rose after the bank cut its rates."
"""What the curl line sends when a bundle has no sample of its own."""


def show(outcome: Outcome, metric: str, endpoint: Endpoint | None, stream: IO[str] | None = None) -> None:
    """Print the summary; `endpoint` is the one that is live now, whoever deployed to it."""
    stream = stream or sys.stdout
    rows = list(_rows(outcome, metric, endpoint))
    if terminal.is_terminal(stream):
        _draw(outcome, rows, stream)
    else:
        terminal.write("\n" + verdict(outcome), stream)
        for label, text in rows:
            terminal.write(f"{label + ':':<11} {text}", stream)
    if endpoint is not None and endpoint.url and endpoint.traffic:
        terminal.write("", stream)
        # One unbroken line: the terminal may fold it, copying it must not.
        terminal.write(curl(endpoint, sample(outcome.bundle)), stream)


def verdict(outcome: Outcome) -> str:
    """The decision in a sentence."""
    failed = [each for each in outcome.verdicts if each.status in ("failed", "error")]
    if outcome.promoted and failed:
        return f"PROMOTED AGAINST ITS TESTS: {', '.join(each.test for each in failed)} said no"
    if outcome.promoted:
        passed = sum(each.status == "passed" for each in outcome.verdicts)
        if not passed:
            return f"PROMOTED: {'; '.join(each.sentence for each in outcome.verdicts) or 'no tests were asked for'}"
        rest = len(outcome.verdicts) - passed
        said = f"PROMOTED: {passed} test{'s' * (passed != 1)} passed"
        return f"{said}, {rest} not applicable" if rest else said
    if len(failed) == 1:
        return f"NOT PROMOTED: {failed[0].test}: {failed[0].sentence}"
    return f"NOT PROMOTED: {', '.join(each.test for each in failed) or 'a test'} said no"


def curl(endpoint: Endpoint, text: str) -> str:
    """A command that calls the endpoint as it stands, key and all: to be pasted into a shell."""
    body = json.dumps({"data": [{"text": text}]})
    begun = shlex.join(["curl", "-sS", "-X", "POST", endpoint.url])
    if endpoint.key:
        begun += " " + shlex.join(["-H", f"Authorization: Bearer {endpoint.key}"])
    elif endpoint.key_command:
        begun += f' -H "Authorization: Bearer $({endpoint.key_command})"'
    return f"{begun} {shlex.join(['-H', 'Content-Type: application/json', '-d', body])}"


def sample(bundle: Path) -> str:
    """A short text of the kind the model was trained for."""
    try:
        request = json.loads((bundle / "sample_request.json").read_text(encoding="utf-8"))
        texts = [row["text"] for row in request["data"]]
    except (OSError, ValueError, LookupError, TypeError):
        return SAMPLE
    # The dots of a cut text would be part of what is classified.
    return formatting.beginning(min(texts, key=len), 80).removesuffix("…").rstrip() if texts else SAMPLE


def as_json(outcome: Outcome, endpoint: Endpoint | None) -> dict[str, Any]:
    """The outcome for machines, with what the last line would be."""
    said = {"event": "outcome", **terminal.machine(outcome), "exit_code": outcome.exit_code}
    said["endpoint"] = terminal.machine(endpoint)
    live = endpoint is not None and endpoint.url and endpoint.traffic
    page = outcome.folder / report.NAME
    said["report"] = str(page) if page.is_file() else None
    said["curl"] = curl(endpoint, sample(outcome.bundle)) if endpoint is not None and live else None
    return said


def _rows(outcome: Outcome, metric: str, endpoint: Endpoint | None) -> list[tuple[str, str]]:
    rows = [("best", best(outcome.best, len(outcome.trials), metric))]
    rows += [("confirmed", plain.spread(each, metric)) for each in selection.spreads(outcome.trials, metric)[:1]]
    if outcome.metrics:
        rows.append(("test", metrics_of(outcome.metrics, metric)))
    rows += _verdicts(outcome)
    if outcome.champion is not None and outcome.champion.version != (outcome.version and outcome.version.version):
        how = "was the champion until now" if outcome.promoted else "stays the champion"
        rows.append(("champion", f"{outcome.champion.model} version {outcome.champion.version} {how}"))
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
    """What a test said against the model in full, the others by name: their sentences have been told and are in the report."""
    against = [each for each in outcome.verdicts if each.status in ("failed", "error")]
    told = len(against) == 1 and not outcome.promoted  # by the first line
    rows: list[tuple[str, str]] = [] if told else [(each.status, f"{each.test}: {each.sentence}") for each in against]
    for status, label in (("passed", "passed"), ("not applicable", "not judged")):
        if names := [each.test for each in outcome.verdicts if each.status == status]:
            rows.append((label, ", ".join(names)))
    return rows


def best(trial: Trial, count: int, metric: str) -> str:
    """The winning trial in a line."""
    scored = f"{metric} {formatting.score(trial.metrics.get(metric))} on the validation rows"
    said = f"trial {trial.number} of {count}" if count > 1 else "the only trial"
    if trial.repeats is not None:
        said = f"trial {trial.number}, which repeats trial {trial.repeats}"
    values = f": {formatting.values(trial.values, 60)}" if trial.values else ""
    return f"{said}{values}; {scored}, epoch {trial.epoch}"


def _draw(outcome: Outcome, rows: list[tuple[str, str]], stream: IO[str]) -> None:
    from rich.table import Table
    from rich.text import Text

    console = terminal.console(stream)
    console.print()
    console.print(Text(verdict(outcome), style="bold green" if outcome.promoted else "bold red"))
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in rows:
        table.add_row(label, Text(text))
    console.print(table)
