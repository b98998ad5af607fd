"""What the terminal can take: whether it is one, which characters it knows, and text that never breaks it."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

_PLAINER = {
    "–": "-", "—": "-", "…": "...", "·": "-", "→": "->", "✓": "+", "✗": "x", "●": "*", "×": "x", "≥": ">=", "≤": "<=",
    "“": '"', "”": '"', "‘": "'", "’": "'", "━": "-", "╸": "-", "╺": "-", "─": "-", "│": "|", "−": "-", "\u00a0": " ",
}  # fmt: skip
"""What to write where an encoding lacks a character."""


def _plainer(error: UnicodeError) -> tuple[str, int]:
    """A codec error handler: the nearest plain character, or a question mark."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(_PLAINER.get(character, "?") for character in missing), error.end


codecs.register_error("ftkit.plainer", _plainer)


def forgiving(stream: IO[str]) -> IO[str]:
    """The same stream, which from now on replaces characters that its encoding lacks instead of failing."""
    encoding = (getattr(stream, "encoding", None) or "utf-8").lower()
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        # Lone surrogates (a file name of broken bytes) fail in UTF-8, too.
        reconfigure(errors="ftkit.plainer" if not encoding.startswith("utf") else "replace")
    return stream


def is_terminal(stream: IO[str]) -> bool:
    """Whether a person looks at this stream through a terminal that can move its cursor."""
    try:
        return stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")
    except (AttributeError, ValueError):
        return False


def console(stream: IO[str] | None = None) -> Console:
    """A Rich console that reads no meaning into brackets, numbers or colons of our texts."""
    from rich.console import Console

    return Console(file=stream or sys.stdout, highlight=False, markup=False, emoji=False)


def write(text: str, stream: IO[str] | None = None) -> None:
    """One text as it stands, never wrapped, so that what is copied from it still works."""
    stream = stream or sys.stdout
    stream.write(text + "\n")
    stream.flush()


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], stream: IO[str] | None = None) -> None:
    """A listing: fitted to the window on a terminal; elsewhere aligned columns with nothing cut off."""
    stream = stream or sys.stdout
    if not is_terminal(stream):
        lines = [list(titles), *([" ".join(cell.split()) for cell in row] for row in rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
        for line in lines:
            write("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip(), stream)
        return
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for title in titles:
        drawn.add_column(title, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(cell) for cell in row))
    console(stream).print(drawn)


def machine(thing: Any) -> Any:
    """A value as JSON can hold it: records as mappings, paths as text, and null for a number that is none."""
    from dataclasses import fields, is_dataclass
    from pathlib import PurePath

    if is_dataclass(thing) and not isinstance(thing, type):
        return {each.name: machine(getattr(thing, each.name)) for each in fields(thing)}
    if isinstance(thing, dict) or hasattr(thing, "items"):
        return {str(key): machine(each) for key, each in thing.items()}
    if isinstance(thing, PurePath):
        return str(thing)
    if isinstance(thing, list | tuple | set | frozenset):
        return [machine(each) for each in thing]
    if hasattr(thing, "item") and not isinstance(thing, str | bytes):  # a NumPy scalar
        thing = thing.item()
    if isinstance(thing, float) and (thing != thing or thing in (float("inf"), float("-inf"))):
        return None
    return thing if thing is None or isinstance(thing, str | int | float | bool) else str(thing)


def json_line(thing: Any, indent: int | None = None) -> str:
    """A value as JSON text; on one line unless indented."""
    import json

    return json.dumps(machine(thing), indent=indent, ensure_ascii=indent is None, allow_nan=False)
