"""The reference page of the contracts: every value that plugins get or give, and every protocol, with each of their fields and methods."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import typing
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from ftkit import contracts, options
from ftkit.contracts import policies, settings
from ftkit.contracts.event import Event
from ftkit.options import conversion
from ftkit.options.description import own_field_docs
from ftkit.plugins import KINDS
from ftkit.reference.markdown import docstring, one_line, page, table
from ftkit.searching import attempts

_INTRODUCTION = """What passes between ftkit and a plugin. A plugin imports what `ftkit.contracts` offers from there, and the rest from the
module that is named. What the components of each kind do is under [hooks](hooks.md), the events of a run under [events](events.md), and
`[search]`, its policies and `[rollout]` under [recipe](recipe.md)."""

ELSEWHERE = (settings, policies)
"""Modules whose classes are sections of a recipe, which have a page of their own."""


def contract_page() -> str:
    """Every module of the contracts with its classes."""
    parts: list[str] = []
    for module in contract_modules():
        if classes := list(public_classes(module)):
            parts.append(
                f"## {module.__name__}\n\n{one_line((module.__doc__ or '').strip().partition(chr(10) * 2)[0])}"
            )
            parts += [_class(each) for each in classes]
    return page("Contracts", _INTRODUCTION, *parts)


def contract_modules() -> list[ModuleType]:
    """The modules that have what a plugin sees, by name; those of recipe sections are elsewhere."""
    names = sorted(each.name for each in pkgutil.iter_modules(contracts.__path__, f"{contracts.__name__}."))
    modules = [module for module in map(importlib.import_module, names) if module not in ELSEWHERE]
    return [*modules, conversion, attempts]


def public_classes(module: ModuleType) -> Iterator[type[Any]]:
    """The classes that a module defines, without events and the kinds of components; of the options, the mistake alone."""
    for name, each in vars(module).items():
        own = inspect.isclass(each) and each.__module__ == module.__name__ and not name.startswith("_")
        listed = module is not conversion or each is options.Mistake
        if own and listed and each not in KINDS.values() and not issubclass(each, Event):
            yield each


def fields(kind: type[Any]) -> list[tuple[str, str, str, str]]:
    """The fields of a class, those of its parents as well: name, type, default, description."""
    docs = {name: text for each in reversed(kind.__mro__[:-1]) for name, text in own_field_docs(each).items()}
    if dataclasses.is_dataclass(kind):
        return [
            (each.name, _type(each.type), _default(each), docs.get(each.name, "")) for each in dataclasses.fields(kind)
        ]
    annotated = [
        (name, _type(each)) for name, each in inspect.get_annotations(kind).items() if not name.startswith("_")
    ]
    return [(name, type_name, "", docs.get(name, "")) for name, type_name in annotated]


def members(kind: type[Any]) -> list[tuple[str, str, str]]:
    """The methods and properties of a class: name, signature or type, description."""
    listed = []
    for name, each in vars(kind).items():
        function = each.fget if isinstance(each, property) else getattr(each, "__func__", each)
        if name.startswith("_") or not inspect.isfunction(function):
            continue
        signature = inspect.signature(function)
        if isinstance(each, property):
            shown = f": {_type(signature.return_annotation)}"
        else:
            named = [part for part in signature.parameters.values() if part.name not in ("self", "cls")]
            shown = str(signature.replace(parameters=named)).replace("'", "")
        listed.append((name, shown, one_line(inspect.cleandoc(function.__doc__ or ""))))
    return listed


def _class(kind: type[Any]) -> str:
    name = kind.__name__
    offered = f"`{contracts.__name__}.{name}`" if name in contracts.__all__ else f"`{kind.__module__}.{name}`"
    parts = [f"### {name}\n\n{offered}. {_described(kind)}"]
    if rows := fields(kind):
        titles = ("field", "type", "default", "what it is")
        parts.append(table(titles, [(f"`{row[0]}`", f"`{row[1]}`", row[2], row[3]) for row in rows]))
    if listed := members(kind):
        parts.append("\n".join(f"- `{each}{shown}`: {text}" for each, shown, text in listed))
    call = vars(kind).get("__call__")
    if getattr(kind, "_is_protocol", False) and inspect.isfunction(call):
        signature = str(inspect.signature(call)).removeprefix("(self, ").replace("'", "")
        parts.append(f"- `({signature}`: {docstring(call)}")
    return "\n\n".join(parts)


def _described(kind: type[Any]) -> str:
    """The whole docstring of a class as a paragraph; a TypedDict or exception is told as such."""
    what = (
        "An exception. " if issubclass(kind, BaseException) else "A dictionary. " if typing.is_typeddict(kind) else ""
    )
    return what + docstring(kind)


def _type(annotation: Any) -> str:
    return str(annotation).replace("'", "") if isinstance(annotation, str) else getattr(annotation, "__name__", "")


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        return f"`{field.default!r}`"
    if field.default_factory is not dataclasses.MISSING:
        made = field.default_factory()
        return f"`{made!r}`" if isinstance(made, dict | tuple | list) else ""
    return ""
