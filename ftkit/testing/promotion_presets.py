"""What every preset of promotion tests must do, as tests to inherit.

class TestStrict(PromotionPresetSuite):
    @pytest.fixture
    def component(self):
        return Strict(depth="fast")
"""

from __future__ import annotations

import dataclasses
import pickle

import pytest

from ftkit import options, plugins
from ftkit.contracts import PromotionPreset, PromotionTest


class PromotionPresetSuite:
    """Inherit as a class named `Test…` and override the fixture `component`."""

    @pytest.fixture
    def component(self) -> PromotionPreset:
        """The preset under test."""
        raise NotImplementedError("override the fixture `component`")

    def test_it_is_a_frozen_dataclass_with_a_name(self, component: PromotionPreset) -> None:
        assert isinstance(component, PromotionPreset)
        assert isinstance(type(component).name, str)
        assert dataclasses.is_dataclass(component)
        assert component.__dataclass_params__.frozen

    def test_every_option_is_documented(self, component: PromotionPreset) -> None:
        assert not [each.name for each in options.options(type(component)) if not each.doc]

    def test_it_can_be_rebuilt_from_its_recipe_section(self, component: PromotionPreset) -> None:
        assert options.build(type(component), options.to_table(component)) == component
        assert pickle.loads(pickle.dumps(component)) == component  # noqa: S301  # our own bytes

    def test_it_always_brings_the_same_tests(self, component: PromotionPreset) -> None:
        tests = list(component.tests())
        assert tests
        assert all(isinstance(each, PromotionTest) for each in tests)
        assert list(component.tests()) == tests

    def test_no_test_comes_twice(self, component: PromotionPreset) -> None:
        names = [each.name for each in component.tests()]
        assert sorted(set(names)) == sorted(names)

    def test_a_recipe_can_name_every_test_it_brings(self, component: PromotionPreset) -> None:
        for each in component.tests():
            assert plugins.load().find("promotion_tests", each.name) is type(each), (
                "offer it by the hook promotion_tests too"
            )

    def test_its_tests_can_be_written_out_in_a_recipe(self, component: PromotionPreset) -> None:
        for each in component.tests():
            assert options.build(type(each), options.to_table(each)) == each
