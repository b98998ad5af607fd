"""The parts of a reference page in Markdown: page, table, and docstrings as paragraphs."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Sequence
from typing import Any

from ftkit.contracts.events import Event
from ftkit.errors import UsageError

NOTE = "<!-- Made of the code by `python -m ftkit.reference docs/reference`. Change the code, not this page. -->"


def page(title: str, *parts: str) -> str:
    """A page with its title and its parts, a blank line between them."""
    return "\n\n".join((NOTE, f"# {title}", *parts)) + "\n"


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table, each cell on one line."""
    lines = [" | ".join(titles), " | ".join("---" for _ in titles)]
    lines += [" | ".join(one_line(cell).replace("|", "\\|") for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def docstring(documented: Any) -> str:
    """A docstring as one paragraph; an event may have none. Raises: UsageError for anything else without one."""
    name, text = getattr(documented, "__name__", str(documented)), documented.__doc__ or ""
    generated = dataclasses.is_dataclass(documented) and text.startswith(f"{name}(")
    if text.strip() and not generated:
        return one_line(inspect.cleandoc(text))
    if isinstance(documented, type) and issubclass(documented, Event):
        return ""
    raise UsageError(f"{name} has no docstring", hint="Write one: what is it for?")


def one_line(text: str) -> str:
    """A text without line breaks and repeated spaces."""
    return " ".join(text.split())
