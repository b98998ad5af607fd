"""`ftkit compare`: two runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from ftkit import formatting
from ftkit.commands import as_json, completer, print_json, run_names
from ftkit.display import terminal

if TYPE_CHECKING:
    from ftkit.report.comparison import Change, Comparison, Scored


@click.command()
@click.argument("one", metavar="RUN", shell_complete=completer(run_names))
@click.argument("other", metavar="RUN", shell_complete=completer(run_names))
@as_json
def compare(one: str, other: str, json_: bool) -> None:
    """Compare two runs: their recipes, data, selected trials, metrics, verdicts and times.

    If both runs were tested on the same rows, the difference of each metric has a 95 % interval, and the rows with
    different answers are counted. A difference is the second run minus the first.
    """
    from ftkit.report.comparison import compare as compare_runs
    from ftkit.report.facts import read
    from ftkit.runs import ledger

    comparison = compare_runs(read(ledger.find(one)), read(ledger.find(other)))
    if json_:
        print_json(_machine(comparison))
    else:
        _show(comparison)


def _machine(comparison: Comparison) -> dict[str, Any]:
    from ftkit.report import summary

    parts = ("recipe", "data", "same_data", "winners", "validation", "flipped", "verdicts", "stages", "notes")
    values = {name: terminal.machine(getattr(comparison, name)) for name in parts}
    test = [{**terminal.machine(each), "told": each.direction or None} for each in comparison.test]
    return {"one": summary(comparison.one), "other": summary(comparison.other), **values, "test": test}


def _show(comparison: Comparison) -> None:
    titles = (comparison.one.run, comparison.other.run)
    states = [
        (each.state, formatting.duration(each.seconds) if each.seconds else "–")
        for each in (comparison.one, comparison.other)
    ]
    _table("runs", titles, [("state", *(each[0] for each in states)), ("time", *(each[1] for each in states))])
    _table("recipe", titles, _rows(comparison.recipe), "the same in both runs")
    _table(
        "data",
        titles,
        _rows(comparison.data),
        "the same in both runs" if comparison.same_data else "no data in one of the runs",
    )
    _table("selected", titles, _rows(comparison.winners), "no trial in either run")
    _table(
        "validation rows",
        (*titles, "difference"),
        _scores(comparison.validation),
        "no trial was selected in either run",
    )
    paired = any(each.low is not None for each in comparison.test)
    headings = (*titles, "difference", "95 % interval", "second run is") if paired else (*titles, "difference")
    _table("test rows", headings, _scores(comparison.test, paired), "neither run reached its promotion tests")
    if (flipped := comparison.flipped) is not None:
        terminal.write(
            f"\n{flipped.agree:,} of {flipped.rows:,} test rows have the same answer in both runs; the second run fixes {flipped.fixed:,} "
            f"and breaks {flipped.broken:,} (McNemar's exact test: p = {flipped.p:.3g})"
        )
    _table("verdicts", titles, _rows(comparison.verdicts), "none in either run")
    stages = [(each.key, *(_seconds(value) for value in (each.one, each.other))) for each in comparison.stages]
    if stages:
        _table("time by stage", titles, stages)
    for note in comparison.notes:
        terminal.write(f"\nNote: {note}")


def _table(name: str, titles: Sequence[str], rows: Sequence[Sequence[str]], empty: str = "") -> None:
    terminal.write("")
    if rows:
        terminal.table((name, *titles), rows)
    else:
        terminal.write(f"{name}: {empty}")


def _rows(changes: Sequence[Change]) -> list[tuple[str, ...]]:
    return [(each.key, _value(each.one), _value(each.other)) for each in changes]


def _scores(scores: Sequence[Scored], paired: bool = False) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for each in scores:
        row: tuple[str, ...] = (
            each.metric,
            formatting.score(each.one),
            formatting.score(each.other),
            _signed(each.difference),
        )
        if paired:
            row += (
                f"{_signed(each.low)} to {_signed(each.high)}" if each.low is not None else "–",
                each.direction or "–",
            )
        rows.append(row)
    return rows


def _signed(value: float | None) -> str:
    return "–" if value is None else formatting.signed(value)


def _seconds(value: Any) -> str:
    return "–" if value is None else formatting.duration(value)


def _value(value: Any) -> str:
    return "–" if value is None else formatting.value(value, 48)
