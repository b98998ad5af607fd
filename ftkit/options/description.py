"""What a component's fields say of themselves: names, types, defaults, documentation, values."""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import textwrap
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from ftkit.errors import PluginError, in_one_line, message_of
from ftkit.options.type_names import type_name

P = ParamSpec("P")
T = TypeVar("T")


def cached(function: Callable[P, T]) -> Callable[P, T]:
    """`functools.cache` for functions of a class: it keeps the function's types, which mypy would lose."""
    return cast("Callable[P, T]", functools.cache(function))


@dataclass(frozen=True)
class Option:
    """One field of a component, described for people."""

    name: str
    type: str
    default: Any
    """The default as a recipe would write it; None where there is none."""
    required: bool
    doc: str


def options(component: type[Any]) -> list[Option]:
    """The recipe options of a component class, in the order of its fields."""
    docs, hints = field_docs(component), type_hints(component)
    return [
        Option(
            field.name,
            type_name(hints[field.name]),
            None if is_required(field) else toml_value(default_value(field)),
            is_required(field),
            docs.get(field.name, ""),
        )
        for field in option_fields(component)
    ]


def names(component: type[Any]) -> set[str]:
    """The names of the recipe options alone, faster than `options`, which reads the component's source."""
    return {field.name for field in option_fields(component)}


@cached
def field_docs(component: type[Any]) -> Mapping[str, str]:
    """The string literal under each field, by field name; inherited fields included."""
    docs: dict[str, str] = {}
    for parent in reversed(component.__mro__[:-1]):
        if dataclasses.is_dataclass(parent):
            docs.update(own_field_docs(parent))
    return docs


@cached
def own_field_docs(kind: type[Any]) -> Mapping[str, str]:
    """The string literal under each field that a class itself declares, by field name; empty for a class without source."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError, SyntaxError):
        return {}  # its fields are listed without a description
    docs: dict[str, str] = {}
    body = tree.body[0].body if tree.body and isinstance(tree.body[0], ast.ClassDef) else []
    for statement, following in zip(body, body[1:], strict=False):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
            and isinstance(following.value.value, str)
        ):
            docs[statement.target.id] = " ".join(following.value.value.split())
    return docs


def title(component: type[Any]) -> str:
    """A component's class in a sentence."""
    return f"the component {getattr(component, 'name', component.__name__)!r}"


def summary(component: type[Any]) -> str:
    """What a component is for: the first line of its docstring."""
    return str(component.__doc__ or "").strip().partition("\n")[0]


def to_table(component: Any) -> dict[str, Any]:
    """A component as a recipe section without its `use`: `build` makes an equal component of it."""
    pairs = ((field.name, toml_value(getattr(component, field.name))) for field in option_fields(type(component)))
    return {name: value for name, value in pairs if value is not None}


def toml_value(value: Any) -> Any:
    """A field's value in the types that TOML has."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): toml_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [toml_value(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_table(value)
    return value


def option_fields(component: type[Any]) -> list[Field[Any]]:
    """The fields that a recipe may set."""
    return [field for field in dataclasses.fields(component) if field.init]


def is_required(field: Field[Any]) -> bool:
    """Whether a recipe must set the field."""
    return field.default is MISSING and field.default_factory is MISSING


def default_value(field: Field[Any]) -> Any:
    """The default of a field that is not required."""
    return field.default_factory() if field.default_factory is not MISSING else field.default


@cached
def type_hints(component: type[Any]) -> dict[str, Any]:
    """The evaluated types of a component's fields, by field name. Raises: PluginError for one that cannot be resolved."""
    try:
        return typing.get_type_hints(component, include_extras=True)
    except Exception as error:
        unresolved = getattr(error, "name", None) or message_of(error)
        annotated = {
            name: str(each) for kind in component.__mro__ for name, each in inspect.get_annotations(kind).items()
        }
        field = next((name for name, text in annotated.items() if str(unresolved) in text), "")
        whose = f"has a field {field!r} whose type" if field else "has a type that"
        raise PluginError(
            f"{title(component)} {whose} cannot be resolved: {in_one_line(error)}",
            hint="Import the type at the top of the module; not under TYPE_CHECKING, and not inside a function.",
        ) from error
