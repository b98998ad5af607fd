"""Attributes of components may be properties that raise or give a wrong type: whoever reads one names plugin, component and attribute."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

import ftkit
from ftkit.cli import main
from ftkit.contracts import capabilities, capable
from ftkit.contracts.plan import Plan
from ftkit.errors import VerbError
from ftkit.plugins import KINDS, component_checks
from ftkit.plugins.calls import call
from ftkit.recipe import loader
from ftkit.remote.decision import client_part
from ftkit.remote.snapshot import needs
from tests import odd_components as odd
from tests.plugins.test_calls import RECEIVERS
from tests.plugins.test_wrong_verbs import RUN

ROOT = Path(ftkit.__file__).parent
CAPABILITIES = {
    name: kind
    for name, kind in vars(capabilities).items()
    if getattr(kind, "_is_protocol", False) and kind is not Protocol
}
CAPABILITIES.pop("Classifier")
ATTRIBUTES = [
    (protocol, name)
    for protocol in (*CAPABILITIES.values(), *KINDS.values())
    for name in component_checks.values(protocol)
]


def component_with(protocol: Any, name: str, value: Callable[[Any], Any]) -> Any:
    """A component that has all a protocol declares, and whose attribute of this name is a property."""
    members: dict[str, Any] = {
        each: (lambda self, *_: None) for kind in protocol.__mro__ for each in vars(kind) if not each.startswith("_")
    }
    return type("Acme", (), {**members, name: property(value), "name": "acme", "__module__": "acme.parts"})()


def broken(self: Any) -> Any:
    raise KeyError("licence")


def test_no_attribute_is_declared_that_cannot_be_read_by_call() -> None:
    assert len(ATTRIBUTES) >= 16
    assert all(isinstance(vars(protocol)[name], property) for protocol, name in ATTRIBUTES)


@pytest.mark.parametrize(("protocol", "name"), ATTRIBUTES)
def test_an_attribute_that_goes_wrong_is_named(
    protocol: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path))
    for value, words in (
        (broken, "failed: KeyError: 'licence'"),
        (lambda self: {1.5}, "is an object of set, not "),
        (lambda self: 1 / 0, "failed: ZeroDivisionError"),
    ):
        component = component_with(protocol, name, value)
        assert capable(component, protocol), "which runs no property"
        with pytest.raises(VerbError) as caught:
            call(getattr(protocol, name), component)
        assert re.search(rf"^{name} of the .*acme.*", caught.value.what, re.I)
        assert words in caught.value.what
        assert "acme.parts" in caught.value.what
        assert "a fault of the plugin" in caught.value.hint


@pytest.mark.parametrize("protocol", CAPABILITIES.values())
def test_a_capability_is_all_that_its_protocol_declares(protocol: Any) -> None:
    whole = type(component_with(protocol, "further", broken))
    assert capable(whole(), protocol)
    assert capable(whole, protocol)
    declared = [name for kind in protocol.__mro__ for name in vars(kind) if not name.startswith("_")]
    for name in declared:
        partly = type("Partly", (), {each: vars(whole)[each] for each in declared if each != name})
        assert not capable(partly(), protocol)


READ: list[tuple[type[Any], Any, str, tuple[str, ...], str]] = [
    (odd.OddDeployer, capabilities.EngineChoosing, "engine", ("check", "odd.toml"), "deploy.use"),
    (
        odd.OddPlatform,
        capabilities.Confirming,
        "confirms",
        ("check", "odd.toml", "--set=search.confirm=true"),
        "run.on",
    ),
    (odd.OddWords, capabilities.Estimable, "encoder_parameters", ("plan", "odd.toml", "--on=local"), "[backbone]"),
    (odd.OddWords, capabilities.Estimable, "max_length", ("plan", "odd.toml", "--on=local"), "[backbone]"),
    (odd.OddDeployer, capabilities.Paced, "ready_timeout", RUN, "[deploy]"),
]


@pytest.mark.parametrize(("kind", "protocol", "name", "command", "place"), READ)
@pytest.mark.parametrize("value", [broken, lambda self: {1.5}], ids=["raises", "wrong type"])
def test_a_command_that_reads_one_says_whose_fault_it_is(
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: type[Any],
    protocol: Any,
    name: str,
    command: tuple[str, ...],
    place: str,
    value: Callable[[Any], Any],
) -> None:
    whole = component_with(protocol, name, value)
    others = {"encoder_parameters": 1_000, "max_length": 16}
    for each in {each for one in protocol.__mro__ for each in vars(one) if not each.startswith("_")}:
        if not hasattr(kind, each):
            monkeypatch.setattr(
                kind, each, vars(type(whole))[each] if each == name else others.get(each), raising=False
            )
    assert main([*command]) in (2, 3, 4)
    shown = " ".join("".join(capsys.readouterr()).split())
    assert re.search(rf"\b{name} of the (deployer|platform|backbone) 'odd-\w+' of ftkit-odd 1.2", shown)
    assert place in shown
    assert "Traceback" not in shown


def test_what_is_sent_elsewhere_names_them_too(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = loader.load(workplace / "odd.toml")
    reads: list[tuple[type[Any], str, Callable[[Plan], Any]]] = [
        (odd.OddRegistry, "local", client_part),
        (odd.OddDeployer, "local", client_part),
        *((kind, "requires", needs) for kind in (odd.OddReviews, odd.OddWords, odd.OddTest, odd.OddPlatform)),
    ]
    for kind, name, read in reads:
        with monkeypatch.context() as patch:
            patch.setattr(kind, name, property(broken), raising=False)
            with pytest.raises(VerbError, match=f"{name} of the .* '{kind.name}' of ftkit-odd"):
                read(plan)


def test_a_computed_endpoint_or_model_is_read_with_the_recipe(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind, name, place in ((odd.OddDeployer, "endpoint", "deploy.use"), (odd.OddRegistry, "model", "registry.use")):
        with monkeypatch.context() as patch:
            patch.setattr(kind, name, property(broken, lambda self, value: None))
            assert main(["check", "odd.toml"]) == 2
        shown = " ".join("".join(capsys.readouterr()).split())
        assert re.search(rf"{place}: {name} of the \w+ '{kind.name}' of ftkit-odd 1.2 failed: KeyError", shown)


NAMES = {name for _, name in ATTRIBUTES} - {"endpoint", "model"}  # which are read when a recipe is
HOLDERS = {*RECEIVERS, "each", "exporting", "paced", "_model"}


def direct_reads(source: str) -> Iterator[str]:
    """Where an attribute or a capability of a component is looked at by other means than `call` and `capable`."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(value=holder, attr=name):
                direct = name in NAMES and ast.unparse(holder).split(".")[-1] in HOLDERS
            case ast.Call(func=ast.Name("isinstance"), args=[_, kinds]):
                names = {each.id for each in ast.walk(kinds) if isinstance(each, ast.Name)}
                direct = not names.isdisjoint({*CAPABILITIES, "Refusing", "Publishing"})
            case _:
                continue
        if direct:
            yield f"{node.lineno}: {ast.unparse(node)}"


def test_a_direct_read_is_found() -> None:
    source = "local = plan.deploy.local\nif isinstance(plan.deploy, Local):\n    call(Local.local, plan.deploy)"
    assert [*direct_reads(source)] == ["1: plan.deploy.local", "2: isinstance(plan.deploy, Local)"]


def test_no_attribute_of_a_component_is_read_directly() -> None:
    paths = [path for path in ROOT.rglob("*.py") if not {"testing", "templates"} & {*path.parts}]
    reads = {str(path.relative_to(ROOT)): [*direct_reads(path.read_text(encoding="utf-8"))] for path in paths}
    assert {path: each for path, each in reads.items() if each} == {}
