"""The public surface of ftkit as lines of text, so that a test notices every change of it: names, signatures, fields, defaults.

python -m ftkit.reference.surface tests/public_surface.txt
"""

from __future__ import annotations

import dataclasses
import enum
import importlib
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ftkit.reference.public_modules import STEADY


def surface(modules: Mapping[str, tuple[str, ...]] = STEADY) -> str:
    """All public names of these modules, a line each, with the members of classes indented below them."""
    return "".join(f"{line}\n" for name, names in sorted(modules.items()) for line in _module(name, names))


def public_names(module: Any, names: tuple[str, ...]) -> list[str]:
    """The public names of a module: those that are given, or its `__all__`, or all that it defines without an underscore."""
    defined = (name for name, value in vars(module).items() if not name.startswith("_") and _is_of(module, value))
    return sorted(names or vars(module).get("__all__") or defined)


def _is_of(module: Any, value: Any) -> bool:
    return (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__ == module.__name__


def _module(name: str, names: tuple[str, ...]) -> Iterator[str]:
    module = importlib.import_module(name)
    yield f"# {name}"
    for each in public_names(module, names):
        value = getattr(module, each)
        if inspect.isclass(value):
            yield from _class(each, value)
        elif inspect.isfunction(value):
            yield f"{each}{_signature(value)}"
        else:
            yield f"{each}: {type(value).__name__}"
    yield ""


def _class(name: str, kind: type[Any]) -> Iterator[str]:
    bases = [each.__name__ for each in kind.__bases__ if each not in (object,) and each.__name__ != "Generic"]
    yield f"class {name}({', '.join(bases)})" if bases else f"class {name}"
    if issubclass(kind, enum.Enum):
        yield from (f"    {each.name} = {each.value!r}" for each in kind)
        return
    fields = {each.name: each for each in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else {}
    for field in fields.values():
        yield f"    {field.name}: {_shown(field.type)}{_default(field)}"
    members = {each: inspect.getattr_static(kind, each) for each in dir(kind) if not each.startswith("_")}
    annotated = {each for owner in kind.__mro__ if _is_ours(owner) for each in inspect.get_annotations(owner)}
    for member in sorted(annotated - fields.keys() - members.keys()):
        if not member.startswith("_"):
            yield f"    {member}"
    for member, value in members.items():
        owner = next(each for each in kind.__mro__ if member in vars(each))
        if member not in fields and _is_ours(owner):
            yield f"    {_member(member, value)}"
    if not fields and "__init__" in vars(kind) and not kind.__dict__.get("_is_protocol"):
        yield f"    __init__{_signature(kind.__init__)}"


def _is_ours(kind: type[Any]) -> bool:
    return kind.__module__.partition(".")[0] == "ftkit"


def _member(name: str, value: Any) -> str:
    if isinstance(value, property):
        return f"{name} (property)"
    if isinstance(value, classmethod | staticmethod):
        return f"{name}{_signature(value.__func__)} ({type(value).__name__})"
    if inspect.isfunction(value):
        return f"{name}{_signature(value)}"
    return name


def _signature(function: Any) -> str:
    signature = inspect.signature(function)
    parameters = [each.replace(annotation=_Annotation(each.annotation)) for each in signature.parameters.values()]
    text = signature.replace(parameters=parameters, return_annotation=_Annotation(signature.return_annotation))
    return _plain(str(text).replace(f" -> {_Annotation.empty}", "").replace(f": {_Annotation.empty}", ""))


class _Annotation:
    """An annotation that is shown as it was written."""

    empty = "?"

    def __init__(self, written: Any) -> None:
        self.written = written

    def __repr__(self) -> str:
        return self.empty if self.written is inspect.Signature.empty else _shown(self.written)


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        return f" = {_plain(repr(field.default))}"
    return " = …" if field.default_factory is not dataclasses.MISSING else ""


def _shown(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else _plain(inspect.formatannotation(annotation))


def _plain(text: str) -> str:
    """A text without what differs from process to process."""
    return re.sub(r"<(\S+)[^<>]* at 0x[0-9a-f]+>", r"<\1>", text).replace("'", '"')


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(surface(), encoding="utf-8")
