"""The progress of a command that is no run: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import io

from rich.console import Console

from ftkit import display
from ftkit.display import work
from ftkit.events import Noticed, Progressed


def test_lines_come_now_and_then_and_at_the_end() -> None:
    stream, clock = io.StringIO(), iter([0.0, 1.0, 3.0, 4.0, 14.0, 15.0])
    lines = work.WorkLines(stream, clock=lambda: next(clock))
    for done in (0, 1, 30, 40, 90, 100):
        lines(Progressed("scoring rows.csv", done, 100))
    assert stream.getvalue().splitlines() == [
        "scoring rows.csv: 30 rows of 100 rows, 30 %",
        "scoring rows.csv: 90 rows of 100 rows, 90 %",
        "scoring rows.csv: 100 rows of 100 rows, 100 %",
    ]


def test_a_pipe_gets_lines_and_no_other_event() -> None:
    stream = io.StringIO()
    with display.work_printer(stream) as emit:
        emit(Noticed("no progress"))
        emit(Progressed("short", 1, 1))
    assert stream.getvalue() == ""


def test_a_terminal_gets_a_bar_with_the_time_that_is_left() -> None:
    stream = io.StringIO()
    bars = work.Bars(stream, Console(file=stream, force_terminal=True, width=100))
    clock = iter([0.0, 10.0, 10.0])
    bars._pace = work.Pace(clock=lambda: next(clock))
    bars(Progressed("scoring rows.csv", 1_000, 3_000))  # gone on with after an interruption
    bars(Progressed("scoring rows.csv", 2_000, 3_000))
    bars.close()
    assert "scoring rows.csv, 10 s left" in stream.getvalue()
    assert "66 %  2,000 rows of 3,000 rows" in stream.getvalue()
