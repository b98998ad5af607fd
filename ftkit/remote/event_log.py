"""Events as lines of JSON, so that what a step tells elsewhere is told here by the same values."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ftkit.contracts import Emit, events
from ftkit.contracts.events import Event
from ftkit.disclosure import without_secrets


def writer(path: Path) -> Emit:
    """An `emit` that adds a line to a file for each event; the reader of the file may be anywhere."""
    path.parent.mkdir(parents=True, exist_ok=True)

    def tell(event: Event) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(_line(event) + "\n")

    return tell


def parse(line: str) -> Event | None:
    """The event that a line of such a file holds, or None for a torn line or an event of another version of ftkit."""
    from pydantic import ValidationError

    try:
        table = json.loads(line)
        kind = table.pop("event")
        return _whole(_adapter(kind).validate_python(table), table) if kind in _kinds() else None
    except (ValueError, KeyError, AttributeError, TypeError, ValidationError):
        return None


def _line(event: Event) -> str:
    from ftkit.display.terminal import json_line, machine

    return json_line({"event": type(event).__name__, **machine(without_secrets(event))})


def _whole(event: Event, table: Mapping[str, Any]) -> Event:
    """The event with whole numbers where they were said, which its types would make fractions of: an epoch is no 1.0."""
    if isinstance(event, events.TrialReported):
        return replace(event, numbers=table["numbers"])
    if isinstance(event, events.TrialFinished | events.BestSelected):
        return replace(event, trial=replace(event.trial, history=table["trial"]["history"]))
    return event


@functools.cache
def _kinds() -> dict[str, type[Event]]:
    return {each.__name__: each for each in Event.__subclasses__() if each.__module__ == events.__name__}


@functools.cache
def _adapter(kind: str) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(_kinds()[kind])
