"""The annotations of what plugins see resolve at run time: documentation tools, dependency injection and schemas read them."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ftkit import contracts, events, hookspecs
from ftkit.contracts import (
    backbones,
    capabilities,
    checkpoints,
    file_rows,
    monitoring,
    plan,
    policies,
    processes,
    settings,
    space,
)


def public_types() -> Iterator[type[Any]]:
    """Every class that a plugin author may import from the contracts and their modules."""
    for module in (contracts, events, monitoring, plan, policies, settings, space):
        names = getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])
        yield from (
            value
            for value in (getattr(module, name) for name in names)
            if inspect.isclass(value) and value.__module__.startswith("ftkit.")
        )


@pytest.mark.parametrize("public", sorted(set(public_types()), key=lambda each: each.__qualname__))
def test_the_annotations_of_a_public_type_and_of_its_methods_resolve(public: type[Any]) -> None:
    typing.get_type_hints(public, include_extras=True)
    for member in vars(public).values():
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if inspect.isfunction(function) and function.__module__.startswith("ftkit."):
            typing.get_type_hints(function, include_extras=True)


@pytest.mark.parametrize("hook", [name for name, spec in vars(hookspecs).items() if hasattr(spec, "ftkit_spec")])
def test_the_annotations_of_a_hook_resolve(hook: str) -> None:
    assert typing.get_type_hints(getattr(hookspecs, hook))["return"] is not None


def test_the_annotations_of_a_contender_are_its_classes() -> None:
    hints = typing.get_type_hints(contracts.Contender)
    assert hints["classifier"] is contracts.Classifier
    assert hints["data"] is contracts.Data


def test_every_capability_has_its_line_in_the_guide_for_plugin_authors() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text(encoding="utf-8")
    protocols = [
        value
        for module in (backbones, capabilities, checkpoints, file_rows, processes)
        for value in vars(module).values()
        if getattr(value, "_is_protocol", False) and value.__module__ == module.__name__
    ]
    names = {each.__name__ for each in (*protocols, plan.Refusing, plan.Publishing)} - {
        "Protocol",
        "Checkpoints",
        "FileRows",
    }
    assert {name for name in names if f"| `{name}` |" not in guide} == set()
    assert names <= set(contracts.__all__)
