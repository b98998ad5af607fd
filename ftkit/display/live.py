"""A run on a terminal: what is done stays above; what is running is drawn below it and kept up to date."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from typing import IO, Any

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ftkit import formatting
from ftkit.contracts import DataReport, Task, events
from ftkit.contracts.tasks import SINGLE_LABEL
from ftkit.data import description
from ftkit.display import plain, terminal
from ftkit.display.board import Board, Row, Work

STATES = {"running": "cyan", "retrying": "yellow", "finished": "green", "stopped": "yellow", "failed": "red"}
MARKS = {"passed": ("✓", "green"), "failed": ("✗", "red"), "not applicable": ("–", "dim"), "error": ("!", "bold red")}
JUDGED = {"healthy": ("✓", "green"), "unhealthy": ("✗", "red"), "inconclusive": ("?", "yellow")}
WHOLE_TABLE = 40
"""With up to this many trials, a finished search is shown in full."""


class Screen:
    """Draws events on a terminal."""

    def __init__(self, stream: IO[str], console: Console | None = None) -> None:
        self.console = console or terminal.console(stream)
        self.board = Board()
        self._lock = threading.RLock()
        self._live: Live | None = None

    def __call__(self, event: events.Event) -> None:
        with self._lock:
            searched = self.board.stage == "search" and isinstance(event, events.StageFinished | events.StageFailed)
            self.board.update(event)
            if isinstance(event, events.RunStarted | events.StageStarted):
                self._start()
            for part in lasting(event, self.board):
                self.console.print(part)
            if searched and self.board.rows:
                self.console.print(
                    Padding(trials(self.board, self.console.width, WHOLE_TABLE), (0, 0, 0, 2), expand=False)
                )
            if isinstance(event, events.RunFinished | events.StageFailed):
                self._stop()

    def close(self) -> None:
        """Leave the terminal as it was, with everything printed so far."""
        with self._lock:
            self._stop()

    def _start(self) -> None:
        if self._live is None and self.console.is_terminal:
            # Transient: the moving part is removed at the end; everything lasting has been printed above it.
            self._live = Live(_Now(self), console=self.console, refresh_per_second=4, transient=True)
            self._live.start()

    def _stop(self) -> None:
        if self._live is not None:
            live, self._live = self._live, None
            live.stop()


class _Now:
    """The moving part, drawn again at every refresh.

    Rich draws it in a thread that holds Rich's lock. Waiting for the screen's lock here would be a deadlock: the
    thread of an event holds that lock while it waits for Rich. So the board is read without a lock.
    """

    def __init__(self, screen: Screen) -> None:
        self.screen = screen

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        try:
            yield now(self.screen.board, options.max_width, options.size.height)
        except Exception:  # it would end the refresh thread, and the display with it
            logging.getLogger("ftkit").debug("the moving part could not be drawn", exc_info=True)


def now(board: Board, width: int, height: int) -> RenderableType:
    """What is running at this moment."""
    parts: list[RenderableType] = []
    if board.stage == "search" and board.rows:
        parts.append(trials(board, width - 2, max(3, height - 6 - len(board.work))))
    parts += [bar(label, work, width) for label, work in list(board.work.items())[-4:]]
    status = Text("  ").append_text(_status(board))
    # The cursor stays behind the last line. If that line were full, the ^C that a terminal echoes would wrap into the
    # next line, and one line too few would be erased.
    status.truncate(max(10, width - 4), overflow="ellipsis")
    return Group(*(Padding(part, (0, 0, 0, 2), expand=False) for part in parts), status)


def lasting(event: events.Event, board: Board) -> Iterator[RenderableType]:
    """What stays on the screen after an event."""
    match event:
        case events.RunStarted(run, folder, _, resumed):
            yield _line((run, "bold"), (" goes on where it was interrupted" if resumed else "", "yellow"))
            yield _line((folder, "dim"))
        case events.StageStarted(stage):
            yield _line(("\n" + stage, "bold cyan"))
        case events.StageFinished(_, seconds, reused):
            yield _line(
                (
                    "  already done before the interruption" if reused else f"  done in {formatting.duration(seconds)}",
                    "dim",
                )
            )
        case events.StageFailed(stage, seconds, error):
            style = "yellow" if error in plain.INTERRUPTED else "red"
            yield _line((f"  ✗ {stage} {plain.how_failed(error)} after {formatting.duration(seconds)}", style))
        case events.Noticed(text, warning):
            yield _indented(" ".join(text.split()), "yellow" if warning else "", "! " if warning else "")
        case events.DataLoaded(report, task):
            yield Padding(data(report, task), (0, 0, 0, 2), expand=False)
        case events.SearchStarted():
            yield _indented(plain.search(event))
        case events.ConfirmationStarted():
            yield _indented(plain.confirmation(event))
        case events.BudgetSpent():
            yield _indented(f"{event.sentence} {plain.ENDING}", "yellow")
        case events.TrialRetried(number, reason):
            yield _indented(f"trial {number} starts again: {formatting.beginning(reason, 160)}", "yellow", "! ")
        case events.TrialFinished(trial) if trial.state == "failed":
            yield _indented(plain.trial(trial, board.metric), "red", "✗ ")
        case events.VerdictReached(verdict):
            mark, style = MARKS[verdict.status]
            yield _indented(f"{verdict.test}: {verdict.sentence}", "", f"{mark} ", style)
        case events.PromotionDecided(promoted, sentence):
            yield _indented(sentence, "bold green" if promoted else "bold red")
        case events.DeploymentJudged(_, deployment, state, sentence):
            mark, style = JUDGED[state]
            yield _indented(f"{deployment} is {state}: {sentence}", "", f"{mark} ", style)
        case events.ReportWritten(path):
            yield _line(("\nreport", "bold cyan"))
            yield _indented(path)
        case events.RunFinished():
            pass  # the summary shows it
        case _:
            for line in plain.decisions(event):
                yield _indented(line.partition(": ")[2])


def data(report: DataReport, task: Task = SINGLE_LABEL) -> RenderableType:
    """A data report: a table of classes by split, and what was dropped."""
    counts = plain.by_split(report)
    splits = list(counts)
    names = list(dict.fromkeys(name for each in counts.values() for name in each))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("class", overflow="ellipsis", no_wrap=True, max_width=40)
    for split in splits:
        table.add_column(split, justify="right", no_wrap=True)
    for name in names[: plain.CLASSES]:
        table.add_row(Text(name), *(f"{counts[split].get(name, 0):,}" for split in splits))
    if len(names) > plain.CLASSES:
        rest = names[plain.CLASSES :]
        sums = (sum(counts[split].get(name, 0) for name in rest) for split in splits)
        table.add_row(Text(f"{len(rest):,} more classes", style="dim"), *(f"{each:,}" for each in sums))
    if len(names) > 1:
        table.add_row(Text("all", style="bold"), *(Text(f"{report.sizes[split]:,}", "bold") for split in splits))
    lines = [f"{report.rows_read:,} rows read from {report.source}{plain.of_task(task)}", plain.dropped(report)]
    if report.damaged_lines:
        lines.append(f"damaged lines: {formatting.listing(map(str, report.damaged_lines), 10)}")
    if report.lengths:
        lines.append(plain.lengths(report))
    lines += description.how_read(report)
    if tokens := description.what_is_seen(report.tokens):
        lines.append(f"tokens: {tokens}")
    notes = (Text(note, overflow="fold") for note in report.notes)
    warnings = (_indented(warning, "yellow", "! ", indent="") for warning in report.warnings)
    tail = Text(f"fingerprint {report.fingerprint[:16]}", style="dim")
    return Group(*(Text(line, overflow="fold") for line in lines), table, *notes, *warnings, tail)


def trials(board: Board, width: int, room: int) -> RenderableType:
    """The table of trials, fitted to the window: values are cut before numbers, and less important columns left out."""
    rows = sorted(board.rows.values(), key=lambda row: row.number)
    leader, hidden = board.leader, 0
    if len(rows) > room:
        shown = _chosen(rows, leader, max(1, room - 1))
        hidden, rows = len(rows) - len(shown), shown
    names = list(dict.fromkeys(name for row in rows for name in row.values))
    columns = [("trial", [Text(f"{row.number}") for row in rows])]
    repeated = any(row.repeats is not None for row in rows)
    columns.append((", ".join(names) or "values", [_values(row.values, names) for row in rows]))
    if repeated and width >= 66:
        columns.append(("repeats", [Text("" if row.repeats is None else f"{row.repeats}") for row in rows]))
    columns.append(("epoch", [Text(f"{row.epoch or '–'}") for row in rows]))
    if width >= 66:
        columns.append(("latest", [Text(formatting.score(row.latest)) for row in rows]))
    columns.append(("best", [Text(formatting.score(row.best), "bold green" if row is leader else "") for row in rows]))
    columns.append(("state", [Text(row.state, STATES[row.state]) for row in rows]))
    if width >= 66 and any(row.node for row in rows):
        columns.append(("node", [Text(formatting.printable(row.node)) for row in rows]))
    if width >= 90:
        columns.append(("CPU", [Text(_percent(row.cpu)) for row in rows]))
        columns.append(("memory", [Text(formatting.megabytes(row.memory)) for row in rows]))
    if width >= 90 and any(row.gpu is not None for row in rows):
        columns.append(("GPU", [Text(_percent(row.gpu)) for row in rows]))
    if width >= 56:
        columns.append(("time", [Text(formatting.duration(_seconds(row, board))) for row in rows]))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    others = sum(
        max(len(title), *(cell.cell_len for cell in cells)) + 2
        for title, cells in columns
        if cells is not columns[1][1]
    )
    for title, cells in columns:
        left = title in ("state", "node") or cells is columns[1][1]
        most = max(10, width - others) if cells is columns[1][1] else None
        heading = Text(title, overflow="ellipsis", no_wrap=True)
        table.add_column(
            heading, justify="left" if left else "right", no_wrap=True, overflow="ellipsis", max_width=most
        )
    for line in zip(*(cells for _, cells in columns), strict=True):
        table.add_row(*line)
    if hidden:
        return Group(table, Text(f"and {formatting.count(hidden, 'more trial')}", style="dim"))
    return table


def _chosen(rows: list[Row], leader: Row | None, room: int) -> list[Row]:
    """The most important rows when not all fit: running trials, the leader, then the latest."""
    ranked = sorted(rows, key=lambda row: (row.seconds is not None, row is not leader, -row.number))
    return sorted(ranked[:room], key=lambda row: row.number)


def _values(values: Mapping[str, Any], names: list[str]) -> Text:
    """A trial's values in the order of the heading that names them."""
    return Text(", ".join(formatting.value(values[name]) if name in values else "–" for name in names) or "–")


def _seconds(row: Row, board: Board) -> float:
    if row.seconds is not None:
        return row.seconds
    return board.clock() - row.started if row.started else 0.0


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} %"


def bar(label: str, work: Work, width: int) -> RenderableType:
    """A piece of work: how much of it is done, as a bar where that is known."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, overflow="ellipsis", max_width=max(16, width // 2))
    grid.add_column(no_wrap=True)
    done = formatting.amount(work.done, work.unit)
    if not work.total:
        grid.add_row(Text(label), Text(done))
        return grid
    grid.add_column(no_wrap=True)
    drawn = ProgressBar(total=work.total, completed=min(work.done, work.total), width=max(8, min(30, width // 4)))
    progress = f"{100 * work.done // work.total} %"
    if width >= 70 and work.unit != "%":
        progress += f"  {done} of {formatting.amount(work.total, work.unit)}"
    grid.add_row(Text(label), drawn, Text(progress))
    return grid


def _status(board: Board) -> Text:
    """One line on the whole stage."""
    line = formatting.duration(board.clock() - board.stage_started)
    if not board.stage:
        line = "" if board.started else f"getting ready, {line}"
    if board.stage == "search" and board.total:
        line = f"{board.ended} of {board.total} done, {line}"
        if leader := board.leader:
            line += f", best {board.metric} {formatting.score(leader.best)} (trial {leader.number})"
    return Text(line, style="dim", overflow="ellipsis", no_wrap=True)


def _line(*parts: tuple[str, str]) -> Text:
    text = Text(overflow="fold")
    for part, style in parts:
        text.append(part, style=style)
    return text


def _indented(
    text: str, style: str = "", mark: str = "", mark_style: str | None = None, indent: str = "  "
) -> RenderableType:
    """A sentence below its stage, its further lines indented like the first."""
    grid = Table.grid()
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(indent + mark, style=style if mark_style is None else mark_style), Text(text, style=style))
    return grid
