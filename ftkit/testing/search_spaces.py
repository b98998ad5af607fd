"""Tests that every ready-made search space must pass, to inherit.

class TestBertPaper(SearchSpaceSuite):
    @pytest.fixture
    def component(self):
        return BertPaper()

    @pytest.fixture
    def backbone(self):
        return BertBaseCased()
"""

from __future__ import annotations

import dataclasses
import pickle

import pytest

from ftkit import options
from ftkit.contracts import Backbone, SearchSpace, space
from ftkit.contracts.settings import Search


class SearchSpaceSuite:
    """Inherit as a class named `Test…` and override the fixtures `component` and `backbone`."""

    @pytest.fixture
    def component(self) -> SearchSpace:
        """The search space under test."""
        raise NotImplementedError("override the fixture `component`")

    @pytest.fixture
    def backbone(self) -> Backbone:
        """A backbone that the space is meant for."""
        raise NotImplementedError("override the fixture `backbone`")

    def test_it_is_a_frozen_dataclass_with_a_name(self, component: SearchSpace) -> None:
        assert isinstance(component, SearchSpace)
        assert isinstance(type(component).name, str)
        assert component.__dataclass_params__.frozen  # type: ignore[attr-defined]

    def test_every_option_is_documented(self, component: SearchSpace) -> None:
        assert not [option.name for option in options.options(type(component)) if not option.doc]

    def test_it_can_be_rebuilt_from_its_recipe_section(self, component: SearchSpace) -> None:
        assert options.build(type(component), options.to_table(component)) == component
        assert pickle.loads(pickle.dumps(component)) == component  # noqa: S301  # our own bytes

    def test_it_has_at_least_one_dimension_and_always_the_same(self, component: SearchSpace) -> None:
        dimensions = component.dimensions()
        assert dimensions
        assert all(isinstance(dimension, space.Dimension) for dimension in dimensions.values())
        assert dict(dimensions) == dict(component.dimensions())
        assert Search(space=dimensions).space == dimensions

    def test_every_dimension_is_a_field_of_the_backbone(self, component: SearchSpace, backbone: Backbone) -> None:
        fields = {field.name for field in dataclasses.fields(backbone) if field.init}  # type: ignore[arg-type]
        assert set(component.dimensions()) <= fields

    def test_the_backbone_accepts_the_ends_of_every_dimension(self, component: SearchSpace, backbone: Backbone) -> None:
        for name, dimension in component.dimensions().items():
            for value in space.ends(dimension):
                change = options.convert(type(backbone), {name: options.toml_value(value)}, partial=True)
                changed = dataclasses.replace(backbone, **change)  # type: ignore[type-var]
                assert options.toml_value(getattr(changed, name)) == options.toml_value(value)
