"""Whether a component has a capability, found out without running any of its code."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from ftkit import options
from ftkit.errors import PluginError

if TYPE_CHECKING:
    from typing_extensions import TypeIs

P = TypeVar("P")
T = TypeVar("T")

_ABSENT = object()


def capable(component: object, protocol: Callable[..., P]) -> TypeIs[P]:
    """Whether a component or classifier, or its class, has what a protocol declares.

    Unlike `isinstance`, it reads no property to find out: one may raise.
    """
    protocols = [kind for kind in inspect.getmro(protocol) if getattr(kind, "_is_protocol", False)]  # type: ignore[arg-type]  # a class
    return all(_has(component, name, each) for kind in protocols for name, each in vars(kind).items() if name[0] != "_")


def _has(component: object, name: str, declared: object) -> bool:
    value = inspect.getattr_static(component, name, _ABSENT)
    return value is not _ABSENT and (value is not None or not callable(declared))


def offline(component: T) -> T:
    """The component with its option `offline` set, if it has one. Raises: PluginError where it refuses."""
    if "offline" not in options.names(type(component)):
        return component
    try:
        return options.changed(component, {"offline": True})
    except options.Mistakes as error:
        who = f"{type(component).__name__} of {type(component).__module__}"
        raise PluginError(f"{who} does not take offline = true: {error.mistakes[0].what}") from error
