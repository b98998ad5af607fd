"""The types of recipe options, in words that a recipe's author knows."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

FolderOrId = Annotated[str, "a local folder, or a name elsewhere"]
"""The type of a field that names a local folder or something remote, such as a checkpoint on a model hub.

A recipe's relative folder is resolved against the recipe's own folder.
"""

_SIMPLE = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path", type(None): ""}


def type_name(annotation: Any) -> str:
    """A type in words: `list of whole numbers` for `tuple[int, ...]`; None in a union is left out."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in _SIMPLE:
        return _SIMPLE[annotation]
    if origin is Annotated:
        return type_name(arguments[0])
    if origin is Literal:
        values = [json.dumps(value) for value in arguments]
        return values[0] if len(values) == 1 else f"{', '.join(values[:-1])} or {values[-1]}"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(filter(None, map(type_name, arguments)))
    if origin in (list, tuple, set, frozenset) or getattr(origin, "__name__", "") == "Sequence":
        items = [type_name(item) for item in arguments if item is not Ellipsis] or ["value"]
        return f"list of {_plural(items[0])}" if len(set(items)) == 1 else f"list of {', '.join(items)}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"table of {_plural(type_name(arguments[1]) if arguments else 'value')}"
    return getattr(annotation, "__name__", str(annotation)).lower()


def _plural(noun: str) -> str:
    if noun.endswith('"'):  # literal values have no plural
        return noun
    first, _, rest = noun.partition(" of ")
    plural = {"true or false": "truth values"}.get(first, f"{first}s")
    return f"{plural} of {rest}" if rest else plural
