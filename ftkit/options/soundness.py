"""Whether the fields of a component can be recipe options: their names, types and defaults."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Mapping, Sequence, Set
from dataclasses import Field, is_dataclass
from datetime import date, time
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from ftkit.errors import PluginError, in_one_line
from ftkit.formatting import beginning
from ftkit.options import conversion
from ftkit.options.description import default_value, is_required, option_fields, title, toml_value, type_hints
from ftkit.options.type_names import type_name

RESERVED: Mapping[str, str] = {
    "name": "Write `name: ClassVar[str] = …`: it names the component and is no option.",
    "use": "Choose another name: in a recipe `use` names the component.",
}
"""Names that no field may have, and what to do instead."""

TYPES = "text, a number, true or false, a path, Literal, a dataclass, or a list, tuple, set or mapping of these"

_SINGLE = (str, int, float, bool, type(None), Path, date, time)
_SEVERAL = (Sequence, Set, Mapping)


def examine(component: type[Any]) -> None:
    """Check all fields of a component, and that it can be made from its defaults. Raises: PluginError."""
    for field in option_fields(component):
        if field.name in RESERVED:
            raise PluginError(f"{title(component)} has a field {field.name!r}", hint=RESERVED[field.name])
    hints = type_hints(component)
    for field in option_fields(component):
        if (wrong := _unsupported(hints[field.name])) is not None:
            raise PluginError(
                f"{title(component)} has a field {field.name!r} of the type {type_name(wrong)}, which a recipe cannot write",
                hint=f"Use {TYPES}.",
            )
        if not is_required(field):
            _check_default(component, field, hints[field.name])
    if not any(map(is_required, option_fields(component))):
        _check_making(component)


def _check_making(component: type[Any]) -> None:
    """Raises: PluginError for a component that refuses its own defaults, unless it says which option it lacks."""
    try:
        conversion.made(component, {})
    except conversion.Mistakes as error:
        if all(not mistake.path for mistake in error.mistakes):
            raise PluginError(
                f"{title(component)} refuses its own defaults: {error}",
                hint="Change a default, or leave it out where the recipe must set it.",
            ) from error


def _check_default(component: type[Any], field: Field[Any], annotation: Any) -> None:
    """Raises: PluginError for a default that a recipe could not write."""
    hint = f"Its type is {type_name(annotation)}: give it such a value, or `field(default_factory=…)` that makes one."
    try:
        default = default_value(field)
    except Exception as error:
        raise PluginError(
            f"{title(component)} has a field {field.name!r} whose default cannot be made: {in_one_line(error)}",
            hint=hint,
        ) from error
    try:
        json.dumps(toml_value(default), default=_as_text)
    except Exception as error:
        raise PluginError(
            f"{title(component)} has a field {field.name!r} whose default is {_title(default)}, which a recipe cannot write",
            hint=hint,
        ) from error
    if not conversion.fits(component, field.name, default):
        raise PluginError(
            f"{title(component)} has a field {field.name!r} whose default is {_title(default)}, not {type_name(annotation)}",
            hint=hint,
        )


def _as_text(value: Any) -> str:
    """A date or time as JSON has it. Raises: TypeError for anything else."""
    if isinstance(value, date | time):
        return value.isoformat()
    raise TypeError(type(value).__name__)


def _unsupported(annotation: Any) -> Any:
    """The first type in an annotation that no recipe can write; None if there is none."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in (Any, object) or origin is Literal:
        return None
    if origin is Annotated:
        return _unsupported(arguments[0])
    if origin in (typing.Union, types.UnionType) or (isinstance(origin, type) and issubclass(origin, _SEVERAL)):
        inner = (_unsupported(each) for each in arguments if each is not Ellipsis)
        return next((each for each in inner if each is not None), None)
    if isinstance(annotation, type) and (issubclass(annotation, (*_SINGLE, *_SEVERAL)) or is_dataclass(annotation)):
        return annotation if issubclass(annotation, bytes | bytearray | memoryview) else None
    return annotation


def _title(value: Any) -> str:
    """A value or type in a sentence."""
    if isinstance(value, type):
        return f"the class {value.__qualname__}"
    if isinstance(value, types.FunctionType | types.BuiltinFunctionType | types.MethodType):
        return f"the function {value.__name__}"
    try:
        return beginning(repr(value), 60)
    except Exception:
        return f"a value of the class {type(value).__name__}"
