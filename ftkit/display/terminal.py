"""Writing to a stream that may be a terminal: which characters it has, how wide it is, tables and JSON."""

from __future__ import annotations

import codecs
import os
import sys
import textwrap
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

_PLAIN = {
    "–": "-", "—": "-", "…": "...", "·": "-", "→": "->", "✓": "+", "✗": "x", "●": "*", "×": "x", "≥": ">=", "≤": "<=",
    "“": '"', "”": '"', "‘": "'", "’": "'", "━": "-", "╸": "-", "╺": "-", "─": "-", "│": "|", "−": "-", "\u00a0": " ",
}  # fmt: skip
"""The replacement of each character that an encoding lacks."""


def _plain(error: UnicodeError) -> tuple[str, int]:
    """A codec error handler: the nearest plain character, or a question mark."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(_PLAIN.get(character, "?") for character in missing), error.end


codecs.register_error("ftkit.plain", _plain)


def forgiving(stream: IO[str]) -> IO[str]:
    """The same stream, which now replaces characters that its encoding lacks, instead of failing."""
    encoding = (getattr(stream, "encoding", None) or "utf-8").lower()
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        # Lone surrogates (a file name of broken bytes) fail in UTF-8 as well.
        reconfigure(errors="ftkit.plain" if not encoding.startswith("utf") else "replace")
    return stream


def is_terminal(stream: IO[str]) -> bool:
    """Whether this stream is a terminal that can move its cursor."""
    try:
        return stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")
    except (AttributeError, ValueError):
        return False


def console(stream: IO[str] | None = None) -> Console:
    """A Rich console that prints texts as they are: it does not interpret brackets, numbers or colons."""
    from rich.console import Console

    return Console(file=stream or sys.stdout, highlight=False, markup=False, emoji=False)


def write(text: str, stream: IO[str] | None = None) -> None:
    """Write a text and a line break; lines are never wrapped, so that a command copied from them works."""
    stream = stream or sys.stdout
    stream.write(text + "\n")
    stream.flush()


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], stream: IO[str] | None = None) -> None:
    """Write a table: fitted to the window on a terminal; elsewhere as aligned columns with nothing cut off."""
    stream = stream or sys.stdout
    if not is_terminal(stream):
        lines = [list(titles), *([" ".join(cell.split()) for cell in row] for row in rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
        for line in lines:
            write("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip(), stream)
        return
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for title in titles:
        grid.add_column(title, overflow="fold")
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))
    console(stream).print(grid)


def labelled(rows: Sequence[tuple[str, str]], stream: IO[str] | None = None) -> None:
    """Write texts, each behind its label: wrapped between words on a terminal; elsewhere a line each."""
    stream = stream or sys.stdout
    width = max((len(label) for label, _ in rows), default=0) + 1
    if not is_terminal(stream):
        for label, text in rows:
            write(f"{label + ':':<{width}} {text}", stream)
        return
    from rich.text import Text

    screen = console(stream)
    for label, text in rows:
        # A path that is longer than the line stays whole, so that it can be copied.
        lines = textwrap.wrap(text, max(20, screen.width - width - 1), break_long_words=False, break_on_hyphens=False)
        wrapped = ("\n" + " " * (width + 1)).join(lines)
        screen.print(Text.assemble((f"{label + ':':<{width}} ", "dim"), wrapped), soft_wrap=True)


def machine(value: Any) -> Any:
    """A value as JSON can hold it: dataclasses as mappings, paths as text, null for NaN and infinity."""
    from dataclasses import fields, is_dataclass
    from pathlib import PurePath

    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: machine(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict) or hasattr(value, "items"):
        return {str(key): machine(inner) for key, inner in value.items()}
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, list | tuple | set | frozenset):
        return [machine(inner) for inner in value]
    if hasattr(value, "item") and not isinstance(value, str | bytes):  # a NumPy scalar
        value = value.item()
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def json_line(value: Any, indent: int | None = None) -> str:
    """A value as JSON text; on one line unless indented."""
    import json

    return json.dumps(machine(value), indent=indent, ensure_ascii=indent is None, allow_nan=False)
