"""The reference pages of the hook points and of the events."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

from ftkit import hookspecs, options
from ftkit.contracts import events, monitoring, rollout_events, search_events
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
    """Every kind of event: of the run, of its search, of its rollout."""
    every = [
        each
        for each in vars(events).values()
        if isinstance(each, type) and issubclass(each, events.Event) and each is not events.Event
    ]
    modules = [events.__name__, search_events.__name__, rollout_events.__name__]
    return sorted(every, key=lambda each: modules.index(each.__module__))


def event_page() -> str:
    """Every event with its fields: what `on_event` gets and what `ftkit run --json` prints."""
    introduction = (
        "Observers get these events. `ftkit run --json` prints one a line, with the event's name under `event`. "
        "What a platform owes is under [hooks](hooks.md#platforms): the events of its search; ftkit emits the others."
    )
    parts: list[str] = []
    for event in event_types():
        docs = options.field_docs(event)
        fields = "\n".join(
            f"- `{field.name}` (`{field.type}`): {docs.get(field.name, '')}" for field in dataclasses.fields(event)
        )
        parts += filter(None, (f"## {event_name(event)}", docstring(event), fields))
    return page("Events", introduction, *parts)


def _methods(protocol: type[Any]) -> str:
    """The attributes and methods of a protocol as a list, each with its type or signature, and its docstring."""
    public = {name: each for name, each in vars(protocol).items() if not name.startswith("_")}
    attributes = {name: each.fget for name, each in public.items() if isinstance(each, property)}
    lines = [f"- `{name}`: {docstring(getter)}" for name, getter in attributes.items()]
    methods = {name: method for name, method in public.items() if callable(method)}
    return "\n".join(
        [*lines, *(f"- `{name}{_signature(method)}`: {docstring(method)}" for name, method in methods.items())]
    )


def _signature(method: Callable[..., Any]) -> str:
    """A method's signature without `self` and without the quotes of postponed annotations."""
    return str(inspect.signature(method)).replace("'", "").replace("(self, ", "(").replace("(self)", "()")
