"""Whether a value that a verb returned has the type that the protocol says, as far as that is cheap to see."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from numbers import Integral, Real
from typing import Annotated, Any, Literal, Self, TypeVar, Union, get_args, get_origin, get_type_hints

from ftkit.contracts import Deployment, Endpoint, Health, Inspection, Version
from ftkit.options.description import cached
from ftkit.plugins.component_checks import values, verbs
from ftkit.plugins.offers import class_title

SMALL = (Deployment, Endpoint, Health, Inspection, Version)
"""Values whose fields are checked too; rows, trials and verdicts have checks of their own where they are used."""

_NUMBERS: Mapping[Any, type] = {float: Real, int: Integral}
"""Numbers of numpy are numbers as well."""


def mismatch(value: Any, wanted: Any, owner: type) -> str:
    """What a value is instead of a type, in words; empty if it has the type.

    `owner` is the class whose method returned it. A method that returns nothing may return anything.
    """
    return "" if wanted is type(None) else _mismatch(value, owner if wanted is Self else wanted)


def in_words(wanted: Any) -> str:
    """A type as a plugin's author writes it."""
    origin, arguments = get_origin(wanted), get_args(wanted)
    if origin is Annotated:
        return in_words(arguments[0])
    if origin in (Union, types.UnionType):
        return " or ".join(map(in_words, arguments))
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if origin is not None:
        return f"{in_words(origin)}[{', '.join(map(in_words, arguments))}]"
    return "None" if wanted is type(None) else getattr(wanted, "__name__", str(wanted))


def _mismatch(value: Any, wanted: Any) -> str:
    origin, arguments = get_origin(wanted), get_args(wanted)
    if wanted is Any or isinstance(wanted, TypeVar):
        return ""
    if origin is Annotated:
        return _mismatch(value, arguments[0])
    whole = f"{class_title(value)}, not {in_words(wanted)}"
    if origin in (Union, types.UnionType):
        problems = {each: _mismatch(value, each) for each in arguments}
        own_class = [problem for each, problem in problems.items() if each is type(value)]
        return "" if "" in problems.values() else own_class[0] if own_class else whole
    if origin is Literal:
        return "" if isinstance(value, str) and value in arguments else whole
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            return whole
        return _first(_mismatch(each, arguments[at]) for item in value.items() for at, each in enumerate(item))
    if isinstance(origin, type) and issubclass(origin, Sequence):
        if not isinstance(value, origin) or isinstance(value, str | bytes):
            return whole
        if origin is tuple and Ellipsis not in arguments:
            return _first(map(_mismatch, value, arguments)) if len(value) == len(arguments) else whole
        return _first(_mismatch(each, arguments[0]) for each in value)
    if isinstance(origin, type):
        return "" if isinstance(value, origin) else whole
    if not isinstance(wanted, type):
        return ""
    if getattr(wanted, "_is_protocol", False):
        return "" if _follows(value, wanted) else whole
    if not isinstance(value, _NUMBERS.get(wanted, wanted)):
        return whole
    inner = _field_types(wanted).items() if wanted in SMALL else ()
    problems_by_field = ((name, _mismatch(getattr(value, name), each)) for name, each in inner)
    return next(
        (f"a {wanted.__name__} whose {name} is {problem}" for name, problem in problems_by_field if problem), ""
    )


def _first(problems: Iterable[str]) -> str:
    """The first problem with what a collection holds."""
    return next((f"a collection that holds {problem}" for problem in problems if problem), "")


def _follows(value: Any, protocol: type) -> bool:
    """Whether an object, not a class, has what a protocol declares."""
    return (
        not isinstance(value, type)
        and all(callable(getattr(value, verb, None)) for verb in verbs(protocol))
        and all(hasattr(value, name) for name in values(protocol))
    )


@cached
def _field_types(kind: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}
