"""Whether a class that a plugin offers can be a component: first by its structure, and when it is needed in every detail."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from ftkit import options
from ftkit.errors import PluginError
from ftkit.formatting import beginning
from ftkit.options.description import cached

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
"""What the name of a component looks like: it is a key of TOML, and part of file names."""

RESERVED = ("none",)
"""Names that recipes use for something else: `[deploy] use = "none"`."""

_DECORATE = "Decorate it with @dataclass(frozen=True, kw_only=True)"


def check(component: Any, noun: str, protocol: type) -> None:
    """Check what every component must have: cheap enough for all of them at each start. Raises: PluginError."""
    if not isinstance(component, type):
        raise PluginError(f"a {noun} is {_shown(component)}, which is no class", hint="Return classes, not instances.")
    title = f"the {noun} {component.__name__}"
    if not is_dataclass(component) or _forgotten(component):
        raise PluginError(f"{title} is no dataclass", hint=f"{_DECORATE}: its fields are its options.")
    name = vars(component).get("name", getattr(component, "name", None))
    if not isinstance(name, str):
        raise PluginError(f"{title} has no name", hint='Give the class `name: ClassVar[str] = "…"`.')
    if not re.fullmatch(NAME, name) or name in RESERVED:
        raise PluginError(
            f"{title} has the name {_shown(name)}, which a recipe cannot use",
            hint="A name has up to 64 letters, digits, dots, dashes and underscores, and is not 'none'.",
        )
    title = f"the {noun} {name!r}"
    if not component.__dataclass_params__.frozen:  # type: ignore[attr-defined]  # every dataclass has it
        raise PluginError(f"{title} is not frozen", hint=f"{_DECORATE}: components are values.")
    own_fields = {field.name for field in fields(component)}
    missing = [verb for verb in verbs(protocol) if not callable(getattr(component, verb, None))]
    missing += [name for name in values(protocol) if name not in own_fields and not hasattr(component, name)]
    if missing:
        raise PluginError(
            f"{title} is without {', '.join(missing)}", hint=f"The protocol is ftkit.contracts.{protocol.__name__}."
        )


@cached
def examine(component: type[Any], noun: str, protocol: type) -> None:
    """Check the fields of a component and the parameters of its verbs. Raises: PluginError."""
    for verb in verbs(protocol):
        if problem := _unlike(component, verb, getattr(protocol, verb)):
            parameters = ", ".join(inspect.signature(getattr(protocol, verb)).parameters)
            raise PluginError(
                f"{verb} of the {noun} {component.name!r} {problem}",
                hint=f"The protocol is ftkit.contracts.{protocol.__name__}: `def {verb}({parameters})`.",
            )
    options.examine(component)


@functools.cache
def verbs(protocol: type) -> tuple[str, ...]:
    """The methods of a protocol."""
    return tuple(name for name, value in _public(protocol) if callable(value))


@functools.cache
def values(protocol: type) -> tuple[str, ...]:
    """The fields and properties of a protocol, without the name that every component has."""
    annotated = (name for name in inspect.get_annotations(protocol) if name != "name")
    return (*annotated, *(name for name, value in _public(protocol) if isinstance(value, property)))


def _public(protocol: type) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in vars(protocol).items() if not name.startswith("_"))


def _forgotten(component: type[Any]) -> bool:
    """Whether a class below a dataclass is none itself, although it has fields of its own."""
    if "__dataclass_params__" in vars(component):
        return False
    return any("ClassVar" not in str(annotation) for annotation in inspect.get_annotations(component).values())


def _unlike(component: type[Any], verb: str, declared: Any) -> str:
    """In what a method cannot be called as its protocol says; empty if it can."""
    method = getattr(component, verb)
    if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
        return "is asynchronous: ftkit does not await it"
    wanted = [name for name in inspect.signature(declared).parameters if name != "self"]
    bound = isinstance(inspect.getattr_static(component, verb), staticmethod | classmethod)
    try:
        signature = inspect.signature(method)
    except (TypeError, ValueError):
        return ""  # of a built-in, which does not say
    try:
        signature.bind(*([] if bound else [None]), *wanted)
    except TypeError:
        count = f"{len(wanted)} argument{'s' * (len(wanted) != 1)}"
        return (
            f"cannot be called with {count} ({', '.join(wanted)})" if wanted else "cannot be called without arguments"
        )
    return ""


def _shown(value: Any) -> str:
    try:
        return beginning(repr(value), 60)
    except (Exception, SystemExit):
        return f"an instance of {type(value).__name__}"
