"""Errors for people and for machines: what happened, where, and how to repair it."""

from __future__ import annotations

import sys
from typing import IO, Any

from ftkit.display import terminal
from ftkit.errors import FtkitError, RecipeError


def show(error: FtkitError, stream: IO[str] | None = None) -> None:
    """Print an error, with colour on a terminal."""
    stream = stream or sys.stderr
    coloured = terminal.is_terminal(stream)
    for style, text in _parts(error):
        if coloured:
            from rich.text import Text

            terminal.console(stream).print(Text(text, style=style, overflow="fold"), soft_wrap=True)
        else:
            terminal.write(text, stream)


def as_json(error: FtkitError) -> dict[str, Any]:
    """An error as values for JSON."""
    values: dict[str, Any] = {"what": error.what, "where": error.where, "hint": error.hint}
    if isinstance(error, RecipeError):
        values["problems"] = terminal.machine(error.problems)
    return {"error": values, "exit_code": int(error.exit_code)}


def _parts(error: FtkitError) -> list[tuple[str, str]]:
    if isinstance(error, RecipeError):
        parts = []
        for problem in error.problems:
            place = f"{problem.where}: {problem.key}: " if problem.key else f"{problem.where}: "
            parts.append(("red", f"{place}{problem.what}"))
            parts += [("", f"  {line}") for line in problem.hint.splitlines()]
        return [*parts, ("bold red", error.what)]
    parts = [("bold red", f"error: {error.what}")]
    if error.where:
        parts.append(("", f"  where: {error.where}"))
    label = "  hint:  "
    for line in error.hint.splitlines():
        parts.append(("", f"{label}{line}"))
        label = " " * len(label)
    return parts
