"""A component's fields as recipe options: their documentation, their conversion from TOML, their JSON Schema.

Field names, types, defaults and the string under each field are the one description there is; recipes,
`ftkit options`, the editor schema and the reference pages all read it here.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import json
import textwrap
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, ParamSpec, TypeVar, cast, get_args, get_origin

FolderOrId = Annotated[str, "a local folder, or a name elsewhere"]
"""The type of a field that names a local folder or something remote, such as a checkpoint on a model hub.

A recipe's relative folder is found from the recipe's own place.
"""

P = ParamSpec("P")
T = TypeVar("T")


def once(function: Callable[P, T]) -> Callable[P, T]:
    """`functools.cache` that keeps the function's types."""
    return cast("Callable[P, T]", functools.cache(function))


@dataclass(frozen=True)
class Option:
    """One field of a component, described for people."""

    name: str
    type: str
    default: Any
    """The default as it would stand in a recipe; None where there is none."""
    required: bool
    doc: str


@dataclass(frozen=True)
class Mistake:
    """A value that does not fit its field: the path below the component, what is wrong, and how to fix it."""

    path: tuple[str | int, ...]
    what: str
    hint: str = ""


class Mistakes(Exception):
    """Everything that is wrong with one component's section."""

    def __init__(self, found: list[Mistake]) -> None:
        super().__init__("; ".join(each.what for each in found))
        self.found = found


def options(component: type[Any]) -> list[Option]:
    """The recipe options of a component class, in the order of its fields."""
    docs, hints = documents(component), _hints(component)
    return [
        Option(
            field.name,
            type_name(hints[field.name]),
            None if _required(field) else toml_value(_default(field)),
            _required(field),
            docs.get(field.name, ""),
        )
        for field in _fields(component)
    ]


def names(component: type[Any]) -> set[str]:
    """The names of the recipe options alone: their documentation is read from source, which takes its time."""
    return {field.name for field in _fields(component)}


@once
def documents(component: type[Any]) -> Mapping[str, str]:
    """The string literal under each field, by field name; inherited fields included."""
    found: dict[str, str] = {}
    for parent in reversed(component.__mro__[:-1]):
        if not dataclasses.is_dataclass(parent):
            continue
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(parent)))
        except (OSError, TypeError, SyntaxError):
            continue  # made without source: its fields are listed without a description
        body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
        for statement, following in zip(body, body[1:], strict=False):
            if (
                isinstance(statement, ast.AnnAssign)
                and isinstance(statement.target, ast.Name)
                and isinstance(following, ast.Expr)
                and isinstance(following.value, ast.Constant)
                and isinstance(following.value.value, str)
            ):
                found[statement.target.id] = " ".join(following.value.value.split())
    return found


def summary(component: type[Any]) -> str:
    """What a component is for: the first line of its docstring."""
    return (component.__doc__ or "").strip().partition("\n")[0]


def build(component: type[Any], values: Mapping[str, Any]) -> Any:
    """Make a component of its recipe section. Raises: Mistakes, with everything that does not fit."""
    try:
        converted = convert(component, values)
    except Mistakes as mistakes:
        raise Mistakes([*mistakes.found, *_further(component, values, mistakes.found)]) from None
    try:
        return component(**converted)
    except (ValueError, TypeError) as error:
        raise Mistakes([_own(component, str(error))]) from error


def convert(component: type[Any], values: Mapping[str, Any], *, partial: bool = False) -> dict[str, Any]:
    """Check and convert the given values; with `partial`, fields that are not given are not missed. Raises: Mistakes."""
    import pydantic

    text = json.dumps(values, default=str)
    try:
        model = _model(component, partial).model_validate_json(text, strict=True)
    except pydantic.ValidationError as error:
        found = [_mistake(component, dict(each)) for each in error.errors(include_url=False)]
        raise Mistakes(list({each.path: each for each in reversed(found)}.values())[::-1]) from error
    return {name: getattr(model, name) for name in model.model_fields_set}


def placed(component: type[Any], name: str, value: Any, base: Path) -> Any:
    """A field's value with relative paths taken from `base`, where the field holds paths."""
    annotation = _hints(component).get(name)
    if annotation is None:
        return value
    # A subclass that changes the default writes the field's type again, often as plain text.
    declared = [_hints(parent).get(name) for parent in component.__mro__ if dataclasses.is_dataclass(parent)]
    return _placed(value, FolderOrId if FolderOrId in declared else annotation, base)


def to_table(component: Any) -> dict[str, Any]:
    """A component as a recipe section without its `use`: what `build` makes an equal component of."""
    pairs = ((field.name, toml_value(getattr(component, field.name))) for field in _fields(type(component)))
    return {name: value for name, value in pairs if value is not None}


def toml_value(value: Any) -> Any:
    """A field's value as TOML can hold it."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): toml_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [toml_value(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_table(value)
    return value


def json_schema(component: type[Any]) -> dict[str, Any]:
    """JSON Schema of a component's options, descriptions included."""
    schema = _model(component, False).model_json_schema()
    docs = documents(component)
    for name, entry in schema.get("properties", {}).items():
        entry.pop("title", None)
        if name in docs:
            entry["description"] = docs[name]
        if entry.get("default", ...) is None:
            entry.pop("default")
    schema["description"] = summary(component)
    schema.pop("title", None)
    return schema


def type_name(annotation: Any) -> str:
    """A type in the words of a recipe's reader."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in (str, int, float, bool, Path, type(None)):
        return {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}.get(
            annotation, ""
        )
    if origin is Annotated:
        return "text" if annotation == FolderOrId else type_name(arguments[0])
    if origin is Literal:
        shown = [json.dumps(each) for each in arguments]
        return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} or {shown[-1]}"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(filter(None, (type_name(each) for each in arguments)))
    if origin in (list, tuple, set, frozenset) or getattr(origin, "__name__", "") == "Sequence":
        inner = [type_name(each) for each in arguments if each is not Ellipsis]
        return f"list of {_plural(inner[0])}" if len(set(inner)) == 1 else f"list of {', '.join(inner)}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"table of {_plural(type_name(arguments[1]))}"
    return getattr(annotation, "__name__", str(annotation)).lower()


def _plural(noun: str) -> str:
    if noun.endswith('"'):  # words that stand for themselves have none
        return noun
    first, _, rest = noun.partition(" of ")
    plural = {"true or false": "truth values"}.get(first, f"{first}s")
    return f"{plural} of {rest}" if rest else plural


def _fields(component: type[Any]) -> list[Field[Any]]:
    return [field for field in dataclasses.fields(component) if field.init]


def _required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _default(field: Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


@once
def _hints(component: type[Any]) -> dict[str, Any]:
    return typing.get_type_hints(component, include_extras=True)


@once
def _model(component: type[Any], partial: bool) -> Any:
    """A pydantic model with the component's fields: strict types, no unknown key."""
    import pydantic

    hints = _hints(component)
    fields: dict[str, Any] = {}
    for field in _fields(component):
        if _required(field):
            default = pydantic.Field(default=None) if partial else pydantic.Field()
        else:
            default = pydantic.Field(default_factory=functools.partial(_default, field))
            if field.default is not MISSING:
                default = pydantic.Field(default=field.default)
        fields[field.name] = (hints[field.name], default)
    config = pydantic.ConfigDict(extra="forbid", strict=True, protected_namespaces=(), arbitrary_types_allowed=True)
    return pydantic.create_model(component.__name__, __config__=config, **fields)


def _placed(value: Any, annotation: Any, base: Path) -> Any:
    if isinstance(value, str) and _holds(annotation, Path):
        return str((base / Path(value).expanduser()).absolute())
    if isinstance(value, str) and value and _holds(annotation, FolderOrId):
        folder = base / Path(value).expanduser()
        return str(folder.absolute()) if value.startswith((".", "~", "/")) or folder.is_dir() else value
    if isinstance(value, list):
        return [_placed(each, annotation, base) for each in value]
    if isinstance(value, Mapping):
        return {key: _placed(each, annotation, base) for key, each in value.items()}
    return value


def _holds(annotation: Any, wanted: Any) -> bool:
    return annotation == wanted or any(_holds(each, wanted) for each in get_args(annotation) if each is not Ellipsis)


def _further(component: type[Any], values: Mapping[str, Any], found: list[Mistake]) -> list[Mistake]:
    """What the component itself says of the values that did convert, so that nothing waits for a second try."""
    wrong = {mistake.path[0] for mistake in found if mistake.path}
    try:
        component(**convert(component, {name: value for name, value in values.items() if name not in wrong}))
    except Mistakes:
        return []  # a value that is missing or wrong has no replacement, so the rest cannot be tried
    except (ValueError, TypeError) as error:
        own = _own(component, str(error))
        return [own] if own.path and own.path[0] in values else []
    return []


def _own(component: type[Any], message: str) -> Mistake:
    """A component's own complaint, placed at the field its message names first, if it names one."""
    names = {field.name for field in _fields(component)}
    words = (word.strip("`'\",.:;()") for word in message.split())
    field = next((word for word in words if word in names), None)
    return Mistake((field,) if field else (), message)


def _called(component: type[Any]) -> str:
    """What a recipe calls it; a section without a `use`, such as [search], goes by its own name."""
    return str(getattr(component, "name", component.__name__.lower()))


def _mistake(component: type[Any], error: dict[str, Any]) -> Mistake:
    """One pydantic error in plain words."""
    import difflib

    path, kind, given = tuple(error["loc"]), error["type"], error.get("input")
    names = [field.name for field in _fields(component)]
    if kind == "extra_forbidden" and len(path) == 1:
        near = difflib.get_close_matches(str(path[0]), names, 1)
        hint = f"Did you mean {near[0]!r}?" if near else f"The options are {', '.join(names)}."
        hint = hint if names else "It has no options: take the key out, or give the whole table another value by --set."
        return Mistake(path, f"unknown key; {_called(component)!r} has no such option", hint)
    if kind == "missing":
        return Mistake(path, f"missing; {_called(component)!r} needs it", documents(component).get(str(path[0]), ""))
    annotation = _hints(component).get(str(path[0]))
    if kind == "value_error":
        return Mistake(path[:1], str(error["msg"]).removeprefix("Value error, "))
    shown = json.dumps(given, ensure_ascii=False, default=str)
    hint = ""
    if kind == "literal_error" and isinstance(given, str):
        near = difflib.get_close_matches(
            given, [each for each in get_args(annotation) if isinstance(each, str)], 1, 0.5
        )
        hint = f"Did you mean {json.dumps(near[0])}?" if near else ""
    return Mistake(path[:1], f"expected {type_name(annotation)}, not {shown}", hint)
