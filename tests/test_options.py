"""A component's fields as recipe options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from ftkit import options, plugins
from ftkit.contracts import FolderOrId


@dataclass(frozen=True, kw_only=True)
class Parent:
    """The first line says what it is for.

    The rest does not.
    """

    name: ClassVar[str] = "sample"
    checkpoint: FolderOrId = ""
    """Where the weights
    are."""
    rate: float = 1e-5
    """How fast."""

    def __post_init__(self) -> None:
        if self.rate <= 0:
            raise ValueError("rate must be above 0")


@dataclass(frozen=True, kw_only=True)
class Child(Parent):
    """A component with every kind of field."""

    checkpoint: str = "org/model"
    needed: int
    """No default."""
    mode: Literal["fast", "good"] = "good"
    """One of two."""
    path: Path | None = None
    """A file."""
    steps: tuple[int, ...] = (1, 2)
    """A list."""
    labels: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: {"low": (1,)})
    """A table."""


def test_an_option_is_described_by_its_field_its_default_and_the_string_below_it() -> None:
    described = {option.name: option for option in options.options(Child)}
    assert list(described) == ["checkpoint", "rate", "needed", "mode", "path", "steps", "labels"]
    assert described["checkpoint"].doc == "Where the weights are."
    assert described["checkpoint"].default == "org/model"
    assert (described["needed"].required, described["rate"].required) == (True, False)
    assert described["mode"].type == '"fast" or "good"'
    assert described["path"].type == "path"
    assert described["steps"].type == "list of whole numbers"
    assert described["labels"].type == "table of lists of whole numbers"
    assert described["labels"].default == {"low": [1]}
    assert options.summary(Child) == "A component with every kind of field."


def test_a_component_is_built_from_its_section_and_again_from_its_own_table() -> None:
    section = {"needed": 3, "rate": 1, "path": "x.csv", "steps": [3], "labels": {"a": [1, 2]}}
    component = options.build(Child, section)
    assert component == Child(needed=3, rate=1.0, path=Path("x.csv"), steps=(3,), labels={"a": (1, 2)})
    assert options.build(Child, options.to_table(component)) == component


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({}, [(("needed",), "missing; 'sample' needs it")]),
        ({"needed": "3"}, [(("needed",), 'expected whole number, not "3"')]),
        ({"needed": True}, [(("needed",), "expected whole number, not true")]),
        ({"needed": 1, "rate": "x"}, [(("rate",), 'expected number, not "x"')]),
        ({"needed": 1, "mode": "god"}, [(("mode",), 'expected "fast" or "good", not "god"')]),
        ({"needed": 1, "stps": [1]}, [(("stps",), "unknown key; 'sample' has no such option")]),
        ({"needed": 1, "steps": [1, "x"]}, [(("steps",), 'expected list of whole numbers, not "x"')]),
        ({"needed": 1, "rate": -1.0}, [(("rate",), "rate must be above 0")]),
        (
            {"needed": 1, "rate": -1.0, "mode": 3},
            [(("mode",), 'expected "fast" or "good", not 3'), (("rate",), "rate must be above 0")],
        ),
    ],
)
def test_every_mistake_of_a_section_is_reported_in_plain_words(section: dict[str, Any], expected: list[Any]) -> None:
    with pytest.raises(options.Mistakes) as caught:
        options.build(Child, section)
    assert [(mistake.path, mistake.what) for mistake in caught.value.mistakes] == expected


def test_a_similar_name_is_suggested() -> None:
    with pytest.raises(options.Mistakes) as caught:
        options.build(Child, {"needed": 1, "stps": [1], "mode": "god"})
    assert sorted(mistake.hint for mistake in caught.value.mistakes) == [
        'Did you mean "good"?',
        "Did you mean 'steps'?",
    ]


def test_a_folder_is_resolved_where_a_subclass_declares_the_field_as_text(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    assert options.resolve_paths(Child, "checkpoint", "tiny", tmp_path) == str(tmp_path / "tiny")
    assert options.resolve_paths(Child, "checkpoint", "./other", tmp_path) == str(tmp_path / "other")
    assert options.resolve_paths(Child, "checkpoint", "org/model", tmp_path) == "org/model"
    assert options.resolve_paths(Child, "checkpoint", "", tmp_path) == ""
    assert options.resolve_paths(Child, "path", "x.csv", tmp_path) == str(tmp_path / "x.csv")
    assert options.resolve_paths(Child, "mode", "good", tmp_path) == "good"


def test_a_value_that_fits_no_type_of_a_union_is_reported_once() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Either:
        name: ClassVar[str] = "either"
        text: str | tuple[str, ...] = "x"

    globals()["Either"] = Either
    with pytest.raises(options.Mistakes) as caught:
        options.build(Either, {"text": 3})
    assert [mistake.what for mistake in caught.value.mistakes] == ["expected text or list of texts, not 3"]


@pytest.mark.parametrize(
    ("hint", "name"),
    [
        (tuple[Literal["a", "b", "c"], ...], 'list of "a", "b" or "c"'),
        (tuple[int, ...], "list of whole numbers"),
        (Mapping[str, tuple[str, ...]], "table of lists of texts"),
        (tuple[bool, ...], "list of truth values"),
    ],
)
def test_types_are_named_in_plain_words(hint: Any, name: str) -> None:
    assert options.type_name(hint) == name


@pytest.mark.parametrize("installed", plugins.load().offers, ids=lambda installed: f"{installed.kind}-{installed.name}")
def test_every_option_of_every_bundled_component_is_documented(installed: plugins.Offer) -> None:
    assert options.summary(installed.component)
    assert [option.name for option in options.options(installed.component) if not option.doc] == []


def test_a_component_without_options_says_so_when_a_key_is_given() -> None:
    @dataclass(frozen=True)
    class Bare:
        name: ClassVar[str] = "bare"

    with pytest.raises(options.Mistakes) as caught:
        options.build(Bare, {"slack": 1})
    (mistake,) = caught.value.mistakes
    assert mistake.hint.startswith("It has no options")
