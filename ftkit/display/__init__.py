"""How a run is shown: a live view on a terminal, plain lines elsewhere, JSON for machines."""

from __future__ import annotations

import logging
import sys
import threading
import weakref
from types import TracebackType
from typing import IO, TYPE_CHECKING, Protocol

from ftkit.disclosure import without_secrets
from ftkit.display import terminal

if TYPE_CHECKING:
    from ftkit.contracts.events import Event


class Display(Protocol):
    """A way of showing events."""

    def __call__(self, event: Event) -> None: ...

    def close(self) -> None: ...


class Printer:
    """An `Emit` that shows events and never raises: a display that fails must not end a run of hours."""

    def __init__(self, display: Display, stream: IO[str]) -> None:
        self._display: Display | None = display
        self._stream = stream
        self._lock = threading.RLock()
        weakref.finalize(self, _close, display)

    def __call__(self, event: Event) -> None:
        from ftkit.contracts.events import RunFinished

        with self._lock:
            if self._display is None:
                return
            try:
                self._display(without_secrets(event))
            except (OSError, ValueError):
                self._display = None  # the terminal, or the reader of the pipe, is gone
            except Exception:
                logging.getLogger("ftkit").debug("an event could not be shown", exc_info=True)
                self._fall_back(event)
        if isinstance(event, RunFinished):
            self.close()

    def close(self) -> None:
        """Restore the terminal; later events are still shown."""
        with self._lock:
            try:
                if self._display is not None:
                    self._display.close()
            except Exception:
                self._display = None

    def __enter__(self) -> Printer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _fall_back(self, event: Event) -> None:
        """Continue with plain lines when drawing has failed."""
        from ftkit.display.plain import Lines

        self.close()
        try:
            self._display = Lines(self._stream)
            self._display(without_secrets(event))
        except Exception:
            self._display = None


def _close(display: Display) -> None:
    """Restore the terminal when a run breaks off between two stages, or Python ends during one."""
    try:
        display.close()
    except Exception:
        logging.getLogger("ftkit").debug("the terminal could not be restored", exc_info=True)


class Json:
    """Each event as a line of JSON."""

    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream

    def __call__(self, event: Event) -> None:
        terminal.write(terminal.json_line({"event": event_name(type(event)), **terminal.machine(event)}), self.stream)

    def close(self) -> None:
        """Nothing is held open."""


def printer(plain: bool | None = None, stream: IO[str] | None = None, *, json: bool = False) -> Printer:
    """A printer for the events of a run: a live view on a terminal, plain lines anywhere else.

    `plain` overrides that choice; with `json` events are JSON lines instead. The printer never raises.
    """
    stream = terminal.forgiving(stream or sys.stdout)
    if json:
        return Printer(Json(stream), stream)
    if plain or (plain is None and not terminal.is_terminal(stream)):
        from ftkit.display.plain import Lines

        return Printer(Lines(stream), stream)
    from ftkit.display.live import Screen

    return Printer(Screen(stream), stream)


def work_printer(stream: IO[str]) -> Printer:
    """A printer for the progress of a command that is no run: a bar on a terminal, a line now and then anywhere else."""
    from ftkit.display import work

    stream = terminal.forgiving(stream)
    return Printer(work.Bars(stream) if terminal.is_terminal(stream) else work.WorkLines(stream), stream)


def event_name(event: type[Event]) -> str:
    """An event's name for machines: `trial-finished`."""
    name = event.__name__
    return "".join("-" + letter.lower() if letter.isupper() else letter for letter in name).lstrip("-")
