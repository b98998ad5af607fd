"""`ftkit runs`: list the runs of this machine, or show one in detail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from ftkit import formatting
from ftkit.commands import as_json, completer, print_json, run_names
from ftkit.display import terminal

if TYPE_CHECKING:
    from ftkit.bundle.promotion_record import PromotionRecord
    from ftkit.contracts import Spread, Verdict
    from ftkit.runs.ledger import Ledger


@click.command()
@click.argument("name", metavar="[RUN]", required=False, shell_complete=completer(run_names))
@as_json
def runs(name: str | None, json_: bool) -> None:
    """List the runs of this machine, newest first, or show RUN with its trials and verdicts."""
    from ftkit.runs import ledger

    if name is not None:
        run = ledger.find(name)
        if json_:
            details = {"trials": run.trials(), "spreads": _spreads(run), "verdicts": _verdicts(run)}
            print_json(_described(run) | details)
        else:
            _show(run)
        return
    described = [_described(run) for run in ledger.runs()]
    if json_:
        print_json(described)
    elif not described:
        terminal.write("No run has been made yet: `ftkit run RECIPE` makes one.")
    else:
        rows = [(each["run"], _when(each["began"]), each["state"], _count(each), each["best"]) for each in described]
        terminal.table(("run", "began", "state", "trials", "best"), rows)


def _described(ledger: Ledger) -> dict[str, Any]:
    from ftkit import report
    from ftkit.runs import status

    trials, metric = ledger.trials(), status.metric(ledger)
    selected = ledger.fact("selected") or {}
    best = next((each for each in trials if each.number == selected.get("number")), None)
    decided, deployed = _decision(ledger), ledger.fact("deployed") or {}
    bundle = ledger.folder / "bundle"
    return {
        "run": ledger.run,
        "began": (ledger.fact("started") or {}).get("at", ""),
        "state": status.state(ledger),
        "trials": len(trials),
        "failed_trials": sum(each.state == "failed" for each in trials),
        "best": f"{metric} {formatting.score(best.metrics.get(metric))}" if best else "",
        "best_trial": best.number if best else None,
        "metric": metric,
        "test_metrics": decided.metrics if decided else {},
        "version": (ledger.fact("registered") or {}).get("version"),
        "endpoint": deployed.get("endpoint"),
        "deployment": deployed.get("deployment"),
        "bundle": str(bundle) if bundle.is_dir() else None,
        "report": str(ledger.folder / report.NAME) if (ledger.folder / report.NAME).is_file() else None,
        "folder": str(ledger.folder),
        "changed": _changes(ledger),
    }


def _changes(ledger: Ledger) -> list[str]:
    """What has changed since the run read its files, and what had changed when it went on after an interruption."""
    from ftkit.runs import source_files

    earlier = list(dict.fromkeys(sentence for fact in ledger.facts("changed") for sentence in fact["sentences"]))
    now = source_files.changes(ledger)
    return earlier + [each for each in now if not any(sentence.startswith(each) for sentence in earlier)]


def _show(ledger: Ledger) -> None:
    run = _described(ledger)
    rows = [("run", run["run"]), ("state", run["state"]), ("began", _when(run["began"]))]
    if ledger.failure:
        from ftkit.redaction import redacted  # a journal of ftkit 0.1.0 may hold a secret

        rows.append(("reason", redacted(ledger.failure)))
    if ledger.unreadable:
        damaged = f"{formatting.count(ledger.unreadable, 'line')} cannot be read and is left out of what is shown here"
        rows.append(("journal", damaged if ledger.unreadable == 1 else damaged.replace(" is left", " are left")))
    rows += [("changed", sentence) for sentence in run["changed"]]
    if run["test_metrics"]:
        rows.append(("test", formatting.metrics(run["test_metrics"])))
    rows += [(verdict.test, f"{verdict.status}: {verdict.sentence}") for verdict in _verdicts(ledger)]
    if overridden := ledger.fact("overridden"):
        rows.append(("override", f"by {overridden['by']}, {_when(overridden['at'])}: {overridden['reason']}"))
    rows += [
        (key, str(run[key])) for key in ("version", "endpoint", "deployment", "bundle", "report", "folder") if run[key]
    ]
    terminal.labelled(rows)
    trials, metric = ledger.trials(), run["metric"]
    if not trials:
        terminal.write("\nNo trial has ended yet.")
        return
    terminal.write("")
    lines: list[tuple[str, ...]] = [
        (
            f"{each.number}{' *' if each.number == run['best_trial'] else ''}",
            formatting.values(each.values, 40)
            if each.repeats is None
            else f"as trial {each.repeats}, seed {each.seed}",
            each.state,
            formatting.score(each.metrics.get(metric)),
            f"{each.epoch or '–'}",
            formatting.duration(each.seconds),
            formatting.beginning(each.error, 160),
        )
        for each in trials
    ]
    titles: tuple[str, ...] = ("trial", "values", "state", metric, "epoch", "time", "why it failed")
    if not any(line[-1] for line in lines):
        titles, lines = titles[:-1], [line[:-1] for line in lines]
    terminal.table(titles, lines)
    if run["best_trial"] is not None:
        terminal.write("* the trial that was selected")
    if spreads := _spreads(ledger):
        terminal.write("")
        terminal.table(
            ("repeated", f"{metric} in the search", "mean", "standard deviation", "range", "other seeds"),
            [
                (
                    f"{each.number}",
                    formatting.score(each.searched),
                    formatting.score(each.mean),
                    formatting.score(each.deviation),
                    f"{formatting.score(each.low)} to {formatting.score(each.high)}" if each.finished else "–",
                    f"{each.finished}" + (f" ({each.failed} failed)" if each.failed else ""),
                )
                for each in spreads
            ],
        )


def _spreads(ledger: Ledger) -> list[Spread]:
    """The results of the trials that were trained again with other seeds, as far as the run went."""
    from ftkit.evaluation.selection import spreads
    from ftkit.runs import status

    return spreads(ledger.trials(), status.metric(ledger))


def _decision(ledger: Ledger) -> PromotionRecord | None:
    from ftkit.runs import decision

    return decision.read(ledger)


def _verdicts(ledger: Ledger) -> Sequence[Verdict]:
    decided = _decision(ledger)
    return decided.verdicts if decided else ()


def _when(stamp: str) -> str:
    """A time of the journal in the local time zone."""
    from datetime import datetime

    try:
        return f"{datetime.fromisoformat(stamp).astimezone():%Y-%m-%d %H:%M}"
    except ValueError:
        return "?"


def _count(run: dict[str, Any]) -> str:
    return f"{run['trials']}" + (f" ({run['failed_trials']} failed)" if run["failed_trials"] else "")
