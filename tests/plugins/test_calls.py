"""Verbs are called so that every error names the plugin, and nothing calls them otherwise."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

import ftkit
from ftkit.contracts import (
    Backbone,
    Data,
    Dataset,
    Deployer,
    Health,
    PromotionPreset,
    Registry,
    SearchSpace,
    StopTrial,
    TextReading,
    Version,
    capabilities,
    plan,
)
from ftkit.contracts.space import Choice
from ftkit.errors import DataError, HopelessError, VerbError
from ftkit.plugins import KINDS, component_checks
from ftkit.plugins.calls import call

ROOT = Path(ftkit.__file__).parent.parent


@dataclass(frozen=True)
class Fake:
    """Answers every verb with its value, or raises it."""

    value: Any = None
    name: ClassVar[str] = "fake"

    def __getattr__(self, verb: str) -> Any:
        if verb.startswith("_"):
            raise AttributeError(verb)

        def answer(*arguments: Any) -> Any:
            if isinstance(self.value, BaseException):
                raise self.value
            return self.value

        return answer


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("verb", "value"),
    [
        (SearchSpace.dimensions, {"epochs": Choice((1, 2))}),
        (PromotionPreset.tests, ()),
        (PromotionPreset.tests, [Fake()]),
        (Registry.champion, None),
        (Registry.champion, Version("m", "1", metrics={"accuracy": 1})),
        (Registry.versions, (Version("m", "1"),)),
        (Registry.fetch, Path("x")),
        (Registry.track, "whatever"),
        (Deployer.health, Health("ready")),
        (Deployer.invoke, object()),
        (capabilities.FileReading.files, {"path": Path("x")}),
        (capabilities.Adapting.adapted, Fake()),
    ],
)
def test_a_right_value_is_returned_as_it_is(verb: Any, value: Any) -> None:
    assert call(verb, Fake(value)) is value


@pytest.mark.parametrize(
    ("verb", "value", "words"),
    [
        (Dataset.load, None, "load of the dataset 'fake' of {module} returned None, not Data"),
        (Dataset.load, Data, "returned the class Data, not Data"),
        (Backbone.load, "model", "returned an object of str, not Classifier"),
        (
            SearchSpace.dimensions,
            {"epochs": [1, 2]},
            "a collection that holds an object of list, not Choice or Uniform",
        ),
        (SearchSpace.dimensions, [("epochs", 2)], "an object of list, not Mapping[str, Choice or"),
        (PromotionPreset.tests, [Fake], "a collection that holds the class Fake, not PromotionTest"),
        (PromotionPreset.tests, "test", "an object of str, not Sequence[PromotionTest]"),
        (Registry.champion, Version("m", 3), "a Version whose version is an object of int, not str"),  # type: ignore[arg-type]
        (Registry.versions, iter(()), "not Sequence[Version]"),
        (Registry.fetch, "bundle", "an object of str, not Path"),
        (
            Deployer.health,
            Health("fine"),  # type: ignore[arg-type]
            "a Health whose state is an object of str, not 'starting' or 'ready' or 'failed'",
        ),
        (Deployer.logs, b"log", "an object of bytes, not str"),
        (capabilities.Adapting.adapted, "another", "an object of str, not Fake"),
    ],
)
def test_a_wrong_value_is_an_error_that_says_what_it_is(verb: Any, value: Any, words: str) -> None:
    with pytest.raises(VerbError) as caught:
        call(verb, Fake(value))
    assert words.format(module=__name__) in caught.value.what
    assert caught.value.exit_code == 3


def test_an_error_names_verb_component_plugin_section_and_details(home: Path) -> None:
    from ftkit import plugins

    kind = plugins.load().find("datasets", "table")
    component = object.__new__(kind)  # without its options, so that it cannot work
    with pytest.raises(VerbError) as caught:
        call(Dataset.load, component, 1, lambda event: None)
    assert caught.value.what.startswith("load of the dataset 'table' of ftkit-tables ")
    assert "failed: " in caught.value.what
    assert caught.value.where == "[dataset] of the recipe"
    (details,) = (home / "failures").iterdir()
    assert str(details) in caught.value.hint
    assert "Traceback" in details.read_text()


def test_details_hold_no_secret_and_the_same_failure_is_kept_once(home: Path) -> None:
    for _ in range(3):
        with pytest.raises(VerbError):
            call(Dataset.load, Fake(ValueError("password=hunter2hunter2")), 1, print)
    (details,) = (home / "failures").iterdir()
    assert "hunter2" not in details.read_text()


@pytest.mark.parametrize("error", [DataError("no rows"), KeyboardInterrupt()])
def test_errors_of_ftkit_and_an_interruption_pass(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught:
        call(Dataset.load, Fake(error), 1, print)
    assert caught.value is error


@pytest.mark.parametrize("error", [StopTrial(), HopelessError("no number")])
def test_what_the_report_callback_raises_passes_through_fit_alone(error: BaseException) -> None:
    with pytest.raises(type(error)):
        call(Backbone.fit, Fake(error), None, 1, None)  # type: ignore[arg-type]
    with pytest.raises(VerbError):
        call(Dataset.load, Fake(error), 1, print)


def test_an_iterator_that_raises_later_is_named_too() -> None:
    def rows() -> Iterator[tuple[int, str]]:
        yield 1, "text"
        raise KeyError("column")

    texts = call(TextReading.texts, Fake(rows()), Path("x"), ("text",))  # type: ignore[misc, call-arg]
    assert next(texts) == (1, "text")
    with pytest.raises(VerbError, match=r"texts of .* failed: KeyError: 'column'"):
        next(texts)


RECEIVERS = {
    "dataset",
    "backbone",
    "registry",
    "deploy",
    "deployer",
    "platform",
    "preset",
    "space",
    "test",
    "component",
    "reader",
    "winner",
}
"""What variables and fields that hold a component are called."""


def verbs() -> set[str]:
    """The verbs of every kind of component, and those that a component may have besides."""
    modules: Sequence[Mapping[str, Any]] = (vars(capabilities), vars(plan))
    optional = {
        value
        for names in modules
        for name, value in names.items()
        if getattr(value, "_is_protocol", False) and name not in ("Counting", "Reading", "Classifier", "Protocol")
    }
    return {verb for protocol in {*KINDS.values(), *optional} for verb in component_checks.verbs(protocol)}


def direct_calls(source: str) -> Iterator[str]:
    """Calls of a verb of a component that do not go through `call`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in verbs():
            receiver = ast.unparse(node.func.value).split(".")[-1]
            if receiver in RECEIVERS:
                yield f"{node.lineno}: {ast.unparse(node.func)}"


def test_a_direct_call_is_found() -> None:
    assert list(direct_calls("data = plan.dataset.load(1, emit)")) == ["1: plan.dataset.load"]
    assert list(direct_calls("data = call(Dataset.load, plan.dataset, 1, emit)")) == []


def test_no_verb_of_a_component_is_called_directly() -> None:
    folders = [ROOT / "ftkit", *(ROOT / "plugins").glob("*/ftkit_*")]
    paths = [
        path for folder in folders for path in folder.rglob("*.py") if not {"testing", "templates"} & {*path.parts}
    ]
    found = {str(path.relative_to(ROOT)): list(direct_calls(path.read_text(encoding="utf-8"))) for path in paths}
    assert {path: calls for path, calls in found.items() if calls} == {}
