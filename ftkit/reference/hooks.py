"""The reference pages of the hook points and of the events."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

from ftkit import hookspecs
from ftkit.contracts import events, monitoring
from ftkit.display import event_name
from ftkit.plugins import KINDS
from ftkit.reference.markdown import docstring, page

_INTRODUCTION = """A plugin is a module under the entry-point group `ftkit` that offers hooks marked `@hookimpl`.
[Writing a plugin](../plugins.md) shows one from start to end."""


def hooks() -> str:
    """Every hook point: what it offers, what its components do, and the kit that checks them."""
    components = [
        f"## {kind}\n\n{docstring(getattr(hookspecs, kind))} Returns a list of classes that follow "
        f"`ftkit.contracts.{protocol.__name__}`: {docstring(protocol)} "
        f"Conformance kit: `ftkit.testing.{kind}.{protocol.__name__}Suite`.\n\n" + _methods(protocol)
        for kind, protocol in KINDS.items()
    ]
    observers = (
        f"## on_event\n\n{docstring(hookspecs.on_event)} [All events](events.md). "
        "Conformance kit: `ftkit.testing.observers.ObserverSuite`."
    )
    watchers = (
        f"## watchers\n\n{docstring(hookspecs.watchers)} Returns a list of objects that follow "
        f"`ftkit.contracts.monitoring.Watcher`. Conformance kit: `ftkit.testing.watchers.WatcherSuite`.\n\n"
        + _methods(monitoring.Watcher)
    )
    return page("Hooks", _INTRODUCTION, *components, observers, watchers)


def event_types() -> list[type[events.Event]]:
    """Every kind of event, in the order they are defined."""
    return [
        each
        for each in vars(events).values()
        if isinstance(each, type) and issubclass(each, events.Event) and each is not events.Event
    ]


def event_page() -> str:
    """Every event with its fields: what `on_event` gets and what `ftkit run --json` prints."""
    introduction = (
        "Observers get these events. `ftkit run --json` prints one a line, with the event's name under `event`."
    )
    parts: list[str] = []
    for event in event_types():
        fields = "\n".join(f"- `{field.name}`: `{field.type}`" for field in dataclasses.fields(event))
        parts += filter(None, (f"## {event_name(event)}", docstring(event), fields))
    return page("Events", introduction, *parts)


def _methods(protocol: type[Any]) -> str:
    """The methods of a protocol as a list, each with its signature and docstring."""
    methods = {name: method for name, method in vars(protocol).items() if callable(method) and not name.startswith("_")}
    return "\n".join(f"- `{name}{_signature(method)}`: {docstring(method)}" for name, method in methods.items())


def _signature(method: Callable[..., Any]) -> str:
    """A method's signature without `self` and without the quotes of postponed annotations."""
    return str(inspect.signature(method)).replace("'", "").replace("(self, ", "(").replace("(self)", "()")
