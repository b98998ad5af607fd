"""Presets: a recipe names a set of promotion tests in one section, and the plan contains the tests themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import jsonschema
import pytest

from ftkit import hookimpl, plugins
from ftkit.contracts import PromotionTest
from ftkit.errors import PluginError, RecipeError
from ftkit.evaluation.promotion_tests import BeatsChampion, BeatsMajority, MetricFloor
from ftkit.recipe import json_schema, loader
from ftkit.testing.promotion_presets import PromotionPresetSuite

RECIPE = """\
name = "reviews"

[dataset]
use = "table"
path = "reviews.csv"
text = "text"
label = "label"

[backbone]
use = "minilm"

[[promote]]
use = "house"
floor = 0.7

"""


@dataclass(frozen=True, kw_only=True)
class House:
    """The promotion tests of one house."""

    name: ClassVar[str] = "house"
    floor: float = 0.5
    """The lowest accuracy that passes."""

    def __post_init__(self) -> None:
        self.tests()

    def tests(self) -> Sequence[PromotionTest]:
        return [MetricFloor(metric="accuracy", floor=self.floor), BeatsMajority()]


@dataclass(frozen=True, kw_only=True)
class Guest:
    """The promotion tests of a guest."""

    name: ClassVar[str] = "guest"

    def tests(self) -> Sequence[PromotionTest]:
        return [BeatsChampion(), BeatsMajority(margin=0.1)]


@dataclass(frozen=True, kw_only=True)
class Absent:
    """A test that no plugin offers."""

    name: ClassVar[str] = "absent"

    def check(self, candidate: Any, champion: Any) -> Any:
        """Never called."""


@dataclass(frozen=True, kw_only=True)
class Careless:
    """A preset with a test that no plugin offers."""

    name: ClassVar[str] = "careless"

    def tests(self) -> Sequence[PromotionTest]:
        return [Absent()]


@dataclass(frozen=True, kw_only=True)
class Stutter:
    """A preset that brings one test twice."""

    name: ClassVar[str] = "stutter"

    def tests(self) -> Sequence[PromotionTest]:
        return [BeatsChampion(), BeatsChampion(metric="accuracy")]


@dataclass(frozen=True, kw_only=True)
class Remote:
    """A test with an option `offline`."""

    name: ClassVar[str] = "remote"
    offline: bool = False
    """Make no connection."""

    def check(self, candidate: Any, champion: Any) -> Any:
        """Never called."""


@dataclass(frozen=True, kw_only=True)
class Faraway:
    """A preset of a test with an option `offline`."""

    name: ClassVar[str] = "faraway"

    def tests(self) -> Sequence[PromotionTest]:
        return [Remote()]


def offering(**hooks: list[Any]) -> SimpleNamespace:
    """A plugin that offers these components with these hooks."""
    offered = {}
    for hook, components in hooks.items():

        def offer(components: list[Any] = components) -> list[Any]:
            return components

        offer.__name__ = hook
        offered[hook] = hookimpl(offer)
    return SimpleNamespace(**offered)


@pytest.fixture(autouse=True)
def presets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The presets above, together with all installed components."""
    installed = plugins.load()
    plugin = offering(promotion_presets=[House, Guest, Careless, Stutter, Faraway], promotion_tests=[Remote])
    components = plugins.collect([], {"plugin": plugin}).offers
    extended = plugins.Plugins(installed._manager, [*installed.offers, *components], ())
    monkeypatch.setattr(plugins, "load", lambda: extended)


def read(tmp_path: Path, more: str = "", *overrides: str, **shorthands: Any) -> Any:
    path = tmp_path / "reviews.toml"
    path.write_text(RECIPE + more)
    return loader.load(path, overrides, **shorthands)


def problems(tmp_path: Path, more: str = "", *overrides: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        read(tmp_path, more, *overrides)
    return [
        f"{Path(problem.where).name}: {problem.key}: {problem.what} | {problem.hint}"
        for problem in caught.value.problems
    ]


class TestHouse(PromotionPresetSuite):
    @pytest.fixture
    def component(self) -> House:
        return House(floor=0.9)


def test_a_preset_is_replaced_by_its_tests_in_its_place(tmp_path: Path) -> None:
    plan = read(tmp_path, '[[promote]]\nuse = "beats-champion"\n')
    assert plan.promote == (MetricFloor(metric="accuracy", floor=0.7), BeatsMajority(), BeatsChampion())
    again = loader.loads(plan.text)
    assert again == plan
    assert again.text == plan.text
    assert "house" not in plan.text


@pytest.mark.parametrize("before", [True, False])
def test_a_test_with_a_section_of_its_own_replaces_that_of_the_preset(tmp_path: Path, before: bool) -> None:
    own = '[[promote]]\nuse = "metric-floor"\nfloor = 0.2\n'
    path = tmp_path / "reviews.toml"
    head, preset = RECIPE.partition("[[promote]]")[0], RECIPE.partition("[[promote]]")[2]
    path.write_text(f"{head}{own}[[promote]]{preset}" if before else RECIPE + own)
    tests = loader.load(path).promote
    assert set(tests) == {MetricFloor(floor=0.2), BeatsMajority()}
    assert len(tests) == 2


def test_positions_of_overrides_are_those_of_the_recipe(tmp_path: Path) -> None:
    more = '[[promote]]\nuse = "beats-champion"\n'
    tests = read(tmp_path, more, "promote.0.floor=0.3", "promote.1.margin=0.05").promote
    assert tests == (MetricFloor(metric="accuracy", floor=0.3), BeatsMajority(), BeatsChampion(margin=0.05))
    assert read(tmp_path, "", 'promote.0={use="guest"}').promote == (BeatsChampion(), BeatsMajority(margin=0.1))


@pytest.mark.parametrize(
    ("more", "override", "message"),
    [
        ("", "promote.0.floor=1.5", "--set promote.0.floor=1.5: promote.0.floor: floor is 1.5, but accuracy lies"),
        ("", "promote.0.flor=0.5", "unknown key; 'house' has no such option | Did you mean 'floor'?"),
        ("", "promote.0.use=hose", "no promotion test named 'hose' is installed | Did you mean 'house'?"),
        (
            '[[promote]]\nuse = "guest"\n',
            "",
            "reviews.toml:17: promote.1.use: 'guest' and promote.0 both bring 'beats-majority' | Add a [[promote]]",
        ),
        ('[[promote]]\nuse = "house"\n', "", "'house' and promote.0 both bring 'metric-floor'"),
        ('[[promote]]\nuse = "careless"\n', "", "promote.1.use: 'careless' needs the promotion test 'absent'"),
        ("[[promote]]\nfloor = 0.5\n", "", "`use` is missing"),
        (
            '[[promote]]\nuse = "stutter"\n',
            "",
            "reviews.toml:17: promote.1.use: 'stutter' brings 'beats-champion' twice | Add a [[promote]] with use",
        ),
        (
            '[[promote]]\nuse = "beats-majority"\n[[promote]]\nuse = "beats-majority"\nmargin = 0.0\n',
            "",
            "reviews.toml:18: promote.2: the test 'beats-majority' is there twice, with the same options | Remove one",
        ),
    ],
)
def test_mistakes_are_reported_with_their_place_in_the_recipe(
    tmp_path: Path, more: str, override: str, message: str
) -> None:
    assert message in "\n".join(problems(tmp_path, more, *filter(None, [override])))


def test_two_presets_may_share_a_test_that_has_a_section_of_its_own(tmp_path: Path) -> None:
    both = '[[promote]]\nuse = "guest"\n[[promote]]\nuse = "beats-majority"\nmargin = 0.2\n'
    assert read(tmp_path, both).promote == (
        MetricFloor(metric="accuracy", floor=0.7),
        BeatsChampion(),
        BeatsMajority(margin=0.2),
    )


def test_an_offline_run_makes_the_tests_of_a_preset_offline(tmp_path: Path) -> None:
    more = '[[promote]]\nuse = "faraway"\n'
    assert read(tmp_path, more).promote[-1] == Remote()
    assert read(tmp_path, more, offline=True).promote[-1] == Remote(offline=True)


def test_a_preset_and_a_test_with_the_same_name_are_refused_in_any_order() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Test:
        """A test with the preset's name."""

        name: ClassVar[str] = "house"

        def check(self, candidate: Any, champion: Any) -> Any: ...

    one, other = offering(promotion_presets=[House]), offering(promotion_tests=[Test])
    for owners in ({"one 1": one, "other 2": other}, {"other 2": other, "one 1": one}):
        for kind in ("promotion_tests", "promotion_presets"):
            with pytest.raises(PluginError, match="the name 'house' is offered by") as refused:
                plugins.collect([], owners).find(kind, "house")
            assert "one 1 (promotion preset)" in refused.value.what
            assert "other 2 (promotion test)" in refused.value.what
            assert "Uninstall one" in refused.value.hint


def test_the_schema_has_presets_and_their_options() -> None:
    body = json_schema.schema(plugins.load())
    jsonschema.Draft202012Validator.check_schema(body)
    validator = jsonschema.Draft202012Validator(body)
    document: dict[str, Any] = {"dataset": {"use": "bbc-news"}, "backbone": {"use": "minilm"}}
    validator.validate({**document, "promote": [{"use": "house", "floor": 0.4}, {"use": "beats-champion"}]})
    for wrong in ({"use": "house", "flor": 0.4}, {"use": "hose"}, {"use": "house", "floor": "high"}):
        with pytest.raises(jsonschema.ValidationError):
            validator.validate({**document, "promote": [wrong]})
