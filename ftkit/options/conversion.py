"""From a recipe section to a component, with every mistake at once; and the JSON Schema of such a section."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass
from datetime import date, time
from pathlib import Path
from typing import Any, TypeVar, get_args

from ftkit import files
from ftkit.errors import FtkitError, PluginError, in_one_line, message_of
from ftkit.options.description import (
    cached,
    default_value,
    field_docs,
    is_required,
    names,
    option_fields,
    summary,
    title,
    type_hints,
)
from ftkit.options.type_names import FolderOrId, type_name

T = TypeVar("T")

_OWN_CHECK = "A check of its options must raise ValueError with what is wrong. Report this to the plugin's author."


@dataclass(frozen=True)
class Mistake:
    """A value that does not fit its field: the path below the component, what is wrong, and how to fix it."""

    path: tuple[str | int, ...]
    """The keys from the section down to the value."""
    what: str
    """What is wrong, as an unfinished sentence."""
    hint: str = ""
    """What to write instead."""


class Mistakes(Exception):
    """Everything that is wrong with one component's section."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("; ".join(mistake.what for mistake in mistakes))
        self.mistakes = mistakes

    def __reduce__(self) -> tuple[Any, ...]:
        return Mistakes, (self.mistakes,)


def build(component: type[Any], values: Mapping[str, Any]) -> Any:
    """Make a component from its recipe section.

    Raises: Mistakes, with everything that does not fit; PluginError for a component that does not work.
    """
    try:
        converted = convert(component, values)
    except Mistakes as error:
        raise Mistakes([*error.mistakes, *_further_mistakes(component, values, error.mistakes)]) from None
    return made(component, converted)


def made(component: type[Any], converted: Mapping[str, Any]) -> Any:
    """A component of converted values.

    Raises: Mistakes for values that it refuses by a ValueError; PluginError for anything else that its own check raises.
    """
    try:
        return component(**converted)
    except ValueError as error:
        raise Mistakes([_mistake_of_component(component, message_of(error))]) from error
    except (FtkitError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise PluginError(
            f"{title(component)} cannot be made from its options: {in_one_line(error)}", hint=_OWN_CHECK
        ) from error


def changed(component: T, values: Mapping[str, Any]) -> T:
    """A component with these values of a recipe or journal in place of its own. Raises: as `build`."""
    kind = type(component)
    own = {field.name: getattr(component, field.name) for field in option_fields(kind)}
    return made(kind, own | convert(kind, values, partial=True))


def convert(component: type[Any], values: Mapping[str, Any], *, partial: bool = False) -> dict[str, Any]:
    """Check and convert values; with `partial`, required fields may be left out. Raises: Mistakes; PluginError."""
    import pydantic

    text, model_class = json.dumps(values, default=str), _model(component, partial)
    try:
        model = model_class.model_validate_json(text, strict=True)
    except pydantic.ValidationError as error:
        mistakes = [_mistake_of_pydantic(component, dict(details)) for details in error.errors(include_url=False)]
        first_by_path = {mistake.path: mistake for mistake in reversed(mistakes)}
        raise Mistakes([*first_by_path.values()][::-1]) from error
    except Exception as error:  # of a dataclass that is the type of a field
        raise PluginError(
            f"{title(component)} cannot take its options: {in_one_line(error)}", hint=_OWN_CHECK
        ) from error
    converted = {name: getattr(model, name) for name in model.model_fields_set}
    if mistakes := [
        Mistake((name,), f"this is no path: {reason}")
        for name, value in converted.items()
        for path in (value if isinstance(value, tuple | list) else [value])
        if isinstance(path, Path) and (reason := files.no_path(path))
    ]:
        raise Mistakes(mistakes)
    return converted


def resolve_paths(component: type[Any], name: str, value: Any, base: Path) -> Any:
    """A field's value with its relative paths resolved against `base`, where the field holds paths."""
    annotation = _declared_type(component, name)
    return value if annotation is None else _resolved(value, annotation, base)


def local_paths(component: Any) -> dict[str, Path]:
    """The files and folders of this machine that options of a component name, by option; they need not exist.

    A checkpoint by its id at the hub is none. Of an option that holds several, each has the option's name and its own key or number.
    """
    paths: dict[str, Path] = {}
    for field in option_fields(type(component)):
        annotation, value = _declared_type(type(component), field.name), getattr(component, field.name)
        if isinstance(value, str) and _contains(annotation, FolderOrId) and Path(value).is_absolute():
            paths[field.name] = Path(value)
        elif isinstance(value, Path):
            paths[field.name] = value
        elif isinstance(value, Mapping | tuple | list):
            items = value.items() if isinstance(value, Mapping) else enumerate(value)
            paths |= {f"{field.name}.{key}": item for key, item in items if isinstance(item, Path)}
    return paths


def names_elsewhere(component: Any) -> list[str]:
    """The options of a component that may name a folder of this machine, but name something elsewhere, such as at the hub."""
    values = {field.name: getattr(component, field.name) for field in option_fields(type(component))}
    return [
        name
        for name, value in values.items()
        if value and isinstance(value, str) and _contains(_declared_type(type(component), name), FolderOrId)
        if not Path(value).is_absolute()
    ]


def _declared_type(component: type[Any], name: str) -> Any:
    """The type of a field; a subclass that changes the default declares the field again, often as `str` only."""
    declared = [type_hints(parent).get(name) for parent in component.__mro__ if dataclasses.is_dataclass(parent)]
    return FolderOrId if FolderOrId in declared else type_hints(component).get(name)


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


def fits(component: type[Any], name: str, value: Any) -> bool:
    """Whether a value, such as a default, has the type of a field."""
    import pydantic

    try:
        _model(component, False).__pydantic_validator__.validate_python({name: value}, strict=True)
    except pydantic.ValidationError as error:
        return not any(each["loc"][:1] == (name,) for each in error.errors(include_url=False))
    return True


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
    config = pydantic.ConfigDict(
        extra="forbid", strict=True, protected_namespaces=(), arbitrary_types_allowed=True, allow_inf_nan=False
    )
    try:
        return pydantic.create_model(component.__name__, __config__=config, **fields)
    except Exception as error:
        raise PluginError(f"{title(component)} has a field that a recipe cannot write: {in_one_line(error)}") from error


def _resolved(value: Any, annotation: Any, base: Path) -> Any:
    if isinstance(value, date | time):  # a folder may be named by a day, and TOML needs no quotes there
        value = str(value)
    if isinstance(value, str) and _contains(annotation, Path):
        return str((base / files.expanded(value)).absolute())
    if isinstance(value, str) and value and _contains(annotation, FolderOrId):
        folder = base / files.expanded(value)
        is_folder = files.exists(folder) and folder.is_dir()
        return str(folder.absolute()) if value.startswith((".", "~", "/")) or is_folder else value
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
        converted = convert(component, {name: value for name, value in values.items() if name not in wrong_fields})
    except Mistakes:
        return []  # a required value is missing or wrong, so the component cannot be made and checked
    try:
        made(component, converted)
    except Mistakes as error:
        return [mistake for mistake in error.mistakes if mistake.path and mistake.path[0] in values]
    except PluginError:
        pass  # it need not come of a value that is right
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
    if not path:  # of all values together: one that cannot be written as JSON, such as half of a surrogate pair
        return Mistake((), f"a value cannot be read: {error['msg']}")
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
    elif len(path) > 1 and isinstance(value, Mapping) and value and "[" not in str(path[-1]):  # else a type of a union
        key = json.dumps(f"{path[-1]}.{next(iter(value))}", ensure_ascii=False)
        hint = f"TOML takes a point in a key for a table inside: if {key} is one key, quote it, {key} = …"
    elif isinstance(value, list):
        hint = field_docs(component).get(str(path[0]), "")
    elif kind == "string_type" and isinstance(value, bool | int | float):
        hint = f'Put it in quotes: "{json.dumps(value)}".'
    shown = json.dumps(value, ensure_ascii=False, default=str)
    return Mistake(path[:1], f"expected {type_name(annotation)}, not {shown}", hint)
