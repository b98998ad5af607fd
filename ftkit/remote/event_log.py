"""Events as lines of JSON, so that the client gets the events of the steps with the same values."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ftkit import strict_json
from ftkit.contracts import Emit, events
from ftkit.contracts.events import Event
from ftkit.disclosure import without_secrets


def writer(path: Path) -> Emit:
    """An `emit` that appends a line to a file for each event; `parse` reads such a line on any machine."""
    path.parent.mkdir(parents=True, exist_ok=True)

    def append(event: Event) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(_line(event) + "\n")

    return append


def parse(line: str) -> Event | None:
    """The event of a line of the file, or None for an incomplete line or an event that this version of ftkit does not know."""
    from pydantic import ValidationError

    try:
        table = strict_json.parse_object(line)
        kind = table.pop("event")
        return _with_integers(_adapter(kind).validate_python(table), table) if kind in _kinds() else None
    except (ValueError, KeyError, AttributeError, TypeError, ValidationError):
        return None


def _line(event: Event) -> str:
    from ftkit.display.terminal import json_line, machine

    return json_line({"event": type(event).__name__, **machine(without_secrets(event))})


def _with_integers(event: Event, table: Mapping[str, Any]) -> Event:
    """The event with the integers of the line, such as an epoch, which the types of the fields turned into floats."""
    if isinstance(event, events.TrialReported):
        return replace(event, numbers=table["numbers"])
    if isinstance(event, events.TrialFinished | events.BestSelected):
        return replace(event, trial=replace(event.trial, history=table["trial"]["history"]))
    return event


@functools.cache
def _kinds() -> dict[str, type[Event]]:
    return {name: each for name, each in vars(events).items() if isinstance(each, type) and issubclass(each, Event)}


@functools.cache
def _adapter(kind: str) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(_kinds()[kind])
