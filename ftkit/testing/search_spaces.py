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
from typing import ClassVar

import pytest

from ftkit import options
from ftkit.contracts import Backbone, SearchSpace, space
from ftkit.contracts.settings import Search
from ftkit.testing.components import ComponentSuite


class SearchSpaceSuite(ComponentSuite):
    """Inherit as a class named `Test…` and override the fixtures `component` and `backbone`."""

    kind: ClassVar[str] = "search_spaces"

    @pytest.fixture
    def component(self) -> SearchSpace:
        """The search space under test."""
        raise NotImplementedError("override the fixture `component`")

    @pytest.fixture
    def backbone(self) -> Backbone:
        """A backbone that the space is meant for."""
        raise NotImplementedError("override the fixture `backbone`")

    def test_it_has_at_least_one_dimension_and_always_the_same(self, component: SearchSpace) -> None:
        dimensions = component.dimensions()
        assert dimensions, "a space without a field searches nothing"
        wrong = [name for name, dimension in dimensions.items() if not isinstance(dimension, space.Dimension)]
        assert not wrong, f"the values of {wrong} are no dimensions of ftkit.contracts.space"
        assert dict(dimensions) == dict(component.dimensions()), "the same options must give the same space every time"
        assert Search(space=dimensions).space == dimensions, "a search does not take it as it is"

    def test_every_dimension_is_a_field_of_the_backbone(self, component: SearchSpace, backbone: Backbone) -> None:
        fields = {field.name for field in dataclasses.fields(backbone) if field.init}  # type: ignore[arg-type]
        unknown = set(component.dimensions()) - fields
        assert not unknown, f"the backbone has no fields {sorted(unknown)}"

    def test_the_backbone_accepts_the_ends_of_every_dimension(self, component: SearchSpace, backbone: Backbone) -> None:
        for name, dimension in component.dimensions().items():
            for value in space.ends(dimension):
                change = options.convert(type(backbone), {name: options.toml_value(value)}, partial=True)
                changed = dataclasses.replace(backbone, **change)  # type: ignore[type-var]
                assert options.toml_value(getattr(changed, name)) == options.toml_value(value), (
                    f"the backbone makes another value of {name} = {value!r}"
                )
