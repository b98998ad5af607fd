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


@click.command(short_help="Show two runs side by side.")
@click.argument("one", metavar="RUN", shell_complete=completer(run_names))
@click.argument("other", metavar="RUN", shell_complete=completer(run_names))
@as_json
def compare(one: str, other: str, json_: bool) -> None:
    """Compare two runs: what differs between their recipes and data, what each selected and came to, and by how much.

    Where both were tested on the same rows, the difference of each metric has a 95 % interval, and the rows that flipped
    are counted. Differences are the second run less the first.
    """
    from ftkit.report.comparison import compare as compared
    from ftkit.report.facts import gather
    from ftkit.runs import ledger

    found = compared(gather(ledger.find(one)), gather(ledger.find(other)))
    if json_:
        print_json(_machine(found))
    else:
        _show(found)


def _machine(found: Comparison) -> dict[str, Any]:
    from ftkit.report import summary

    parts = ("recipe", "data", "same_data", "winners", "validation", "flipped", "verdicts", "stages", "notes")
    said = {name: terminal.machine(getattr(found, name)) for name in parts}
    test = [{**terminal.machine(each), "told": each.told or None} for each in found.test]
    return {"one": summary(found.one), "other": summary(found.other), **said, "test": test}


def _show(found: Comparison) -> None:
    titles = (found.one.run, found.other.run)
    states = [
        (each.state, formatting.duration(each.seconds) if each.seconds else "–") for each in (found.one, found.other)
    ]
    _table("runs", titles, [("state", *(each[0] for each in states)), ("time", *(each[1] for each in states))])
    _table("recipe", titles, _rows(found.recipe), "both runs have the same")
    _table("data", titles, _rows(found.data), "the same data" if found.same_data else "no data in one of the runs")
    _table("selected", titles, _rows(found.winners), "no trial in either run")
    _table("validation rows", (*titles, "difference"), _scores(found.validation), "no trial was selected in either run")
    paired = any(each.low is not None for each in found.test)
    headings = (*titles, "difference", "95 % interval", "second is") if paired else (*titles, "difference")
    _table("test rows", headings, _scores(found.test, paired), "neither run came to its promotion tests")
    if (flipped := found.flipped) is not None:
        terminal.write(
            f"\n{flipped.agree:,} of {flipped.rows:,} test rows are answered alike; the second run fixes {flipped.fixed:,} "
            f"and breaks {flipped.broken:,} (McNemar's exact test: p = {flipped.p:.3g})"
        )
    _table("verdicts", titles, _rows(found.verdicts), "none in either run")
    stages = [(each.key, *(_seconds(value) for value in (each.one, each.other))) for each in found.stages]
    if stages:
        _table("time by stage", titles, stages)
    for note in found.notes:
        terminal.write(f"\nNote: {note}")


def _table(name: str, titles: Sequence[str], rows: Sequence[Sequence[str]], empty: str = "") -> None:
    terminal.write("")
    if rows:
        terminal.table((name, *titles), rows)
    else:
        terminal.write(f"{name}: {empty}")


def _rows(changes: Sequence[Change]) -> list[tuple[str, ...]]:
    return [(each.key, _said(each.one), _said(each.other)) for each in changes]


def _scores(found: Sequence[Scored], paired: bool = False) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for each in found:
        row: tuple[str, ...] = (
            each.metric,
            formatting.score(each.one),
            formatting.score(each.other),
            _signed(each.difference),
        )
        if paired:
            row += (f"{_signed(each.low)} to {_signed(each.high)}" if each.low is not None else "–", each.told or "–")
        rows.append(row)
    return rows


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.4f}"


def _seconds(value: Any) -> str:
    return "–" if value is None else formatting.duration(value)


def _said(value: Any) -> str:
    return "–" if value is None else formatting.value(value, 48)
