"""From a recipe section to a component, with every mistake at once; and the JSON Schema of such a section."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any, get_args

from ftkit.options.description import (
    cached,
    default_value,
    field_docs,
    is_required,
    names,
    option_fields,
    summary,
    type_hints,
)
from ftkit.options.type_names import FolderOrId, type_name


@dataclass(frozen=True)
class Mistake:
    """A value that does not fit its field: the path below the component, what is wrong, and how to fix it."""

    path: tuple[str | int, ...]
    what: str
    hint: str = ""


class Mistakes(Exception):
    """Everything that is wrong with one component's section."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("; ".join(mistake.what for mistake in mistakes))
        self.mistakes = mistakes


def build(component: type[Any], values: Mapping[str, Any]) -> Any:
    """Make a component from its recipe section. Raises: Mistakes, with everything that does not fit."""
    try:
        converted = convert(component, values)
    except Mistakes as error:
        raise Mistakes([*error.mistakes, *_further_mistakes(component, values, error.mistakes)]) from None
    try:
        return component(**converted)
    except (ValueError, TypeError) as error:
        raise Mistakes([_mistake_of_component(component, str(error))]) from error


def convert(component: type[Any], values: Mapping[str, Any], *, partial: bool = False) -> dict[str, Any]:
    """Check and convert values; with `partial`, required fields may be left out. Raises: Mistakes."""
    import pydantic

    text = json.dumps(values, default=str)
    try:
        model = _model(component, partial).model_validate_json(text, strict=True)
    except pydantic.ValidationError as error:
        mistakes = [_mistake_of_pydantic(component, dict(details)) for details in error.errors(include_url=False)]
        first_by_path = {mistake.path: mistake for mistake in reversed(mistakes)}
        raise Mistakes([*first_by_path.values()][::-1]) from error
    return {name: getattr(model, name) for name in model.model_fields_set}


def resolve_paths(component: type[Any], name: str, value: Any, base: Path) -> Any:
    """A field's value with its relative paths resolved against `base`, where the field holds paths."""
    annotation = type_hints(component).get(name)
    if annotation is None:
        return value
    # A subclass that changes the default declares the field again, often as `str` only.
    declared = [type_hints(parent).get(name) for parent in component.__mro__ if dataclasses.is_dataclass(parent)]
    return _resolved(value, FolderOrId if FolderOrId in declared else annotation, base)


def json_schema(component: type[Any]) -> dict[str, Any]:
    """JSON Schema of a component's options, descriptions included."""
    schema = _model(component, False).model_json_schema()
    docs = field_docs(component)
    for name, entry in schema.get("properties", {}).items():
        entry.pop("title", None)
        if name in docs:
            entry["description"] = docs[name]
        if entry.get("default", ...) is None:
            entry.pop("default")
    schema["description"] = summary(component)
    schema.pop("title", None)
    return schema


@cached
def _model(component: type[Any], partial: bool) -> Any:
    """A pydantic model with the component's fields: strict types, no unknown key."""
    import pydantic

    hints = type_hints(component)
    fields: dict[str, Any] = {}
    for field in option_fields(component):
        if is_required(field):
            default = pydantic.Field(default=None) if partial else pydantic.Field()
        elif field.default is not MISSING:
            default = pydantic.Field(default=field.default)
        else:
            default = pydantic.Field(default_factory=functools.partial(default_value, field))
        fields[field.name] = (hints[field.name], default)
    config = pydantic.ConfigDict(extra="forbid", strict=True, protected_namespaces=(), arbitrary_types_allowed=True)
    return pydantic.create_model(component.__name__, __config__=config, **fields)


def _resolved(value: Any, annotation: Any, base: Path) -> Any:
    if isinstance(value, str) and _contains(annotation, Path):
        return str((base / Path(value).expanduser()).absolute())
    if isinstance(value, str) and value and _contains(annotation, FolderOrId):
        folder = base / Path(value).expanduser()
        return str(folder.absolute()) if value.startswith((".", "~", "/")) or folder.is_dir() else value
    if isinstance(value, list):
        return [_resolved(item, annotation, base) for item in value]
    if isinstance(value, Mapping):
        return {key: _resolved(item, annotation, base) for key, item in value.items()}
    return value


def _contains(annotation: Any, wanted: Any) -> bool:
    """Whether a type is the wanted one or has it among its arguments."""
    arguments = (argument for argument in get_args(annotation) if argument is not Ellipsis)
    return annotation == wanted or any(_contains(argument, wanted) for argument in arguments)


def _further_mistakes(component: type[Any], values: Mapping[str, Any], mistakes: list[Mistake]) -> list[Mistake]:
    """What the component's own checks report for the values that could be converted: one try shows all mistakes."""
    wrong_fields = {mistake.path[0] for mistake in mistakes if mistake.path}
    try:
        component(**convert(component, {name: value for name, value in values.items() if name not in wrong_fields}))
    except Mistakes:
        return []  # a required value is missing or wrong, so the component cannot be made and checked
    except (ValueError, TypeError) as error:
        mistake = _mistake_of_component(component, str(error))
        return [mistake] if mistake.path and mistake.path[0] in values else []
    return []


def _mistake_of_component(component: type[Any], message: str) -> Mistake:
    """What a component's own check reports, at the first field that its message names, if it names one."""
    known = names(component)
    words = (word.strip("`'\",.:;()") for word in message.split())
    field = next((word for word in words if word in known), None)
    return Mistake((field,) if field else (), message)


def _mistake_of_pydantic(component: type[Any], error: dict[str, Any]) -> Mistake:
    """One pydantic error in plain words."""
    import difflib

    path, kind, value = tuple(error["loc"]), error["type"], error.get("input")
    # A section without a `use`, such as [search], has a class without a name.
    owner = str(getattr(component, "name", component.__name__.lower()))
    known = [field.name for field in option_fields(component)]
    if kind == "extra_forbidden" and len(path) == 1:
        near = difflib.get_close_matches(str(path[0]), known, 1)
        hint = f"Did you mean {near[0]!r}?" if near else f"The options are {', '.join(known)}."
        hint = hint if known else "It has no options: remove the key, or replace the whole table with --set."
        return Mistake(path, f"unknown key; {owner!r} has no such option", hint)
    if kind == "missing":
        return Mistake(path, f"missing; {owner!r} needs it", field_docs(component).get(str(path[0]), ""))
    if kind == "value_error":
        return Mistake(path[:1], str(error["msg"]).removeprefix("Value error, "))
    annotation = type_hints(component).get(str(path[0]))
    hint = ""
    if kind == "literal_error" and isinstance(value, str):
        literals = [literal for literal in get_args(annotation) if isinstance(literal, str)]
        near = difflib.get_close_matches(value, literals, 1, 0.5)
        hint = f"Did you mean {json.dumps(near[0])}?" if near else ""
    shown = json.dumps(value, ensure_ascii=False, default=str)
    return Mistake(path[:1], f"expected {type_name(annotation)}, not {shown}", hint)
