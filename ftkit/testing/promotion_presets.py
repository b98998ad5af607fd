"""What every preset of promotion tests must do, as tests to inherit.

class TestStrict(PromotionPresetSuite):
    @pytest.fixture
    def component(self):
        return Strict(depth="fast")
"""

from __future__ import annotations

from typing import ClassVar

import pytest

from ftkit import options, plugins
from ftkit.contracts import PromotionPreset, PromotionTest
from ftkit.testing.components import ComponentSuite


class PromotionPresetSuite(ComponentSuite):
    """Inherit as a class named `Test…` and override the fixture `component`."""

    kind: ClassVar[str] = "promotion_presets"

    @pytest.fixture
    def component(self) -> PromotionPreset:
        """The preset under test."""
        raise NotImplementedError("override the fixture `component`")

    def test_it_always_brings_the_same_tests(self, component: PromotionPreset) -> None:
        tests = list(component.tests())
        assert tests, "it brings no test"
        assert all(isinstance(each, PromotionTest) for each in tests), "`tests` returns what is no promotion test"
        assert list(component.tests()) == tests, "the same options must bring the same tests every time"

    def test_no_test_comes_twice(self, component: PromotionPreset) -> None:
        names = [each.name for each in component.tests()]
        assert sorted(set(names)) == sorted(names), f"a test comes twice: {names}"

    def test_a_recipe_can_name_every_test_it_brings(self, component: PromotionPreset) -> None:
        for each in component.tests():
            assert plugins.load().find("promotion_tests", each.name) is type(each), (
                f"offer {each.name!r} by the hook promotion_tests too: a recipe may name it by itself"
            )

    def test_its_tests_can_be_written_out_in_a_recipe(self, component: PromotionPreset) -> None:
        for each in component.tests():
            again = options.build(type(each), options.to_table(each))
            assert again == each, f"a recipe that writes {each.name!r} out has another test"
