"""What all kits have in common: they say why, they need nothing of the user's, and they hold every component to the same."""

from __future__ import annotations

import ast
import importlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest

from ftkit import testing
from ftkit.contracts import PromotionTest, Verdict
from ftkit.errors import PluginError
from ftkit.testing.components import ComponentSuite, OwnHome

FOLDER = Path(testing.__file__).parent
KITS = sorted(path for path in FOLDER.glob("*.py") if path.stem not in ("__init__", "toys"))


@pytest.mark.parametrize("path", KITS, ids=lambda path: path.stem)
def test_every_assertion_of_a_kit_says_why(path: Path) -> None:
    silent = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assert) and node.msg is None:
            silent.append(node.lineno)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr.startswith("assert_"):
            told = len(node.args) > 2 or "err_msg" in [keyword.arg for keyword in node.keywords]
            silent += [] if told else [node.lineno]
    assert silent == []


def suites() -> Iterator[type[Any]]:
    for path in KITS:
        module = importlib.import_module(f"ftkit.testing.{path.stem}")
        yield from (
            each
            for name, each in vars(module).items()
            if name.endswith("Suite") and isinstance(each, type) and each.__module__ == module.__name__
        )


@pytest.mark.parametrize("suite", suites(), ids=lambda each: each.__name__)
def test_a_kit_reads_and_writes_nothing_of_the_user(suite: type[Any]) -> None:
    assert issubclass(suite, OwnHome)


@dataclass(frozen=True, kw_only=True)
class Sound:
    """A promotion test that passes everything."""

    name: ClassVar[str] = "sound"
    rate: float = 0.5
    """Stands for any option."""

    def check(self, candidate: Any, champion: Any) -> Verdict:
        return Verdict(self.name, "passed", "it passes")


class Suite(ComponentSuite):
    kind: ClassVar[str] = "promotion_tests"


class TestSound(Suite):
    @pytest.fixture
    def component(self) -> PromotionTest:
        return Sound()


@dataclass(frozen=True, kw_only=True)
class WrongDefault(Sound):
    """Its option has a default of another type."""

    name: ClassVar[str] = "wrong-default"
    rate: float = "fast"  # type: ignore[assignment]
    """Stands for any option."""


@dataclass(frozen=True, kw_only=True)
class NoRecipe(Sound):
    """Its option has a type that no recipe can write."""

    name: ClassVar[str] = "no-recipe"
    stream: bytes = b""
    """Stands for any option."""


@dataclass(frozen=True, kw_only=True)
class Stateful(Sound):
    """It keeps something that no other process gets."""

    name: ClassVar[str] = "stateful"
    calls: list[Any] = field(default_factory=lambda: [lambda: None], init=False, compare=False)


@dataclass(frozen=True, kw_only=True)
class Undocumented(Sound):
    name: ClassVar[str] = "undocumented"
    secret: int = 0


@pytest.mark.parametrize(
    ("component", "check", "error", "message"),
    [
        (WrongDefault(), "test_its_verbs_and_options_are_of_the_right_form", PluginError, "'fast', not number"),
        (NoRecipe(), "test_its_verbs_and_options_are_of_the_right_form", PluginError, "which a recipe cannot write"),
        (Undocumented(), "test_every_option_is_documented", AssertionError, "secret"),
        (Undocumented(), "test_it_says_what_it_is_for", AssertionError, "docstring under the class"),
        (Stateful(), "test_it_can_be_sent_to_another_process", Exception, "pickle"),
    ],
    ids=lambda each: getattr(each, "name", None) or str(each),
)
def test_what_is_wrong_with_a_component_is_found(
    component: Any, check: str, error: type[Exception], message: str
) -> None:
    getattr(Suite(), check)(Sound())
    with pytest.raises(error, match=message):
        getattr(Suite(), check)(component)


@pytest.fixture
def heavy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    (tmp_path / "heavy_plugin.py").write_text("import numpy\n\n\nclass Heavy:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("heavy_plugin")
    del sys.modules["heavy_plugin"]


def test_a_heavy_import_is_found(heavy: ModuleType) -> None:
    with pytest.raises(AssertionError, match="import numpy inside the methods"):
        Suite().test_importing_it_loads_no_heavy_package(heavy.Heavy())


class TestHome(OwnHome):
    def test_the_home_is_new(self, own_home: Path) -> None:
        assert os.environ["FTKIT_HOME"] == str(own_home)
        assert not own_home.exists()
