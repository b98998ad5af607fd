"""The progress of a command that is no run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO

from rich.console import Console, Group
from rich.live import Live

from ftkit import formatting
from ftkit.contracts import events
from ftkit.display import plain, terminal
from ftkit.display.board import Board
from ftkit.display.live import bar


class WorkLines(plain.Lines):
    """A line about each piece of work, every few seconds."""

    def __call__(self, event: events.Event) -> None:
        if isinstance(event, events.Progressed) and self._due(event):
            terminal.write(plain.progress(event), self.stream)


@dataclass
class Pace:
    """How fast a piece of work has been since it began, or was gone on with."""

    clock: Callable[[], float] = time.monotonic
    begun: dict[str, tuple[float, int]] = field(default_factory=dict)

    def remaining(self, event: events.Progressed) -> str:
        """The time that is left, for a sentence; empty while it is not known."""
        begun, first = self.begun.setdefault(event.label, (self.clock(), event.done))
        if event.total is None or event.done <= first:
            return ""
        seconds = (self.clock() - begun) * (event.total - event.done) / (event.done - first)
        return f", {formatting.duration(seconds)} left"


class Bars:
    """A bar for each piece of work, removed when it is done."""

    def __init__(self, stream: IO[str], console: Console | None = None) -> None:
        self._console = console or terminal.console(stream)
        self._board, self._pace = Board(), Pace()
        self._live: Live | None = None

    def __call__(self, event: events.Event) -> None:
        if not isinstance(event, events.Progressed):
            return
        self._board.update(event)
        if self._live is None:
            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.start()
        left = self._pace.remaining(event)
        width = self._console.width - 4
        self._live.update(
            Group(
                *(
                    bar(f"{label}{left}" if label == event.label else label, work, width)
                    for label, work in self._board.work.items()
                )
            )
        )

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._live is not None:
            live, self._live = self._live, None
            live.stop()
