"""The search-space language: dimensions from and to recipe values."""

import math

import pytest

from ftkit.contracts import space
from ftkit.contracts.space import Choice, Int, LogUniform, Uniform


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([3e-5, 5e-5], Choice((3e-5, 5e-5))),
        (("a",), Choice(("a",))),
        ([True, False, 1], Choice((True, False, 1))),
        ([[0.9, 0.999], [0.9, 0.98]], Choice(([0.9, 0.999], [0.9, 0.98]))),
        ({"low": 1e-5, "high": 1e-4, "log": True}, LogUniform(1e-5, 1e-4)),
        ({"low": 1, "high": 10.0, "log": True}, LogUniform(1.0, 10.0)),
        ({"low": 0.0, "high": 0.3}, Uniform(0.0, 0.3)),
        ({"low": 0, "high": 0.3, "step": 0.1}, Uniform(0.0, 0.3, 0.1)),
        ({"low": 2, "high": 4}, Int(2, 4)),
        ({"low": 8, "high": 32, "step": 8}, Int(8, 32, 8)),
        ({"low": 1, "high": 64, "log": True}, Int(1, 64, log=True)),
    ],
)
def test_a_recipe_value_becomes_its_dimension(value, expected):
    assert space.parse(value) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0.1, "expected a list of values or"),
        ("3e-5", "expected a list of values or"),
        ([], "must not be empty"),
        ([1, 1], "has a value twice"),
        ({"low": 1}, "needs both low and high"),
        ({"low": 1, "hgih": 2}, "unknown key 'hgih'"),
        ({"low": 2, "high": 1}, "low must be below high"),
        ({"low": 2, "high": 2}, "low must be below high"),
        ({"low": 0.0, "high": math.inf}, "must be finite"),
        ({"low": math.nan, "high": 1.0}, "must be finite"),
        ({"low": "1", "high": 2}, "low must be a number"),
        ({"low": False, "high": True}, "low must be a number"),
        ({"low": 1, "high": 2, "log": 1}, "log must be true or false"),
        ({"low": 1, "high": 4, "step": 0.5}, "must be a whole number"),
        ({"low": 1, "high": 4, "step": 0}, "step must be at least 1"),
        ({"low": 0.0, "high": 1.0, "step": -0.1}, "step must be above 0"),
        ({"low": 0.0, "high": 1.0, "log": True}, "low must be above 0"),
        ({"low": 0.1, "high": 1.0, "log": True, "step": 0.1}, "step or log, not both"),
        ({"low": 0, "high": 8, "log": True}, "needs a low of at least 1"),
        ({"low": 1, "high": 8, "log": True, "step": 2}, "a step of 1"),
    ],
)
def test_a_value_that_is_not_a_dimension_is_refused_with_the_reason(value, message):
    with pytest.raises(ValueError, match=message):
        space.parse(value)


@pytest.mark.parametrize(
    ("dimension", "values"),
    [
        (Choice(("b", "a")), ("b", "a")),
        (Int(2, 4), (2, 3, 4)),
        (Int(8, 29, 8), (8, 16, 24)),
        (Int(1, 4, log=True), (1, 2, 3, 4)),
        (Uniform(0.0, 0.3, 0.1), (0.0, 0.1, 0.2, 0.3)),
        (Uniform(0.0, 0.25, 0.1), (0.0, 0.1, 0.2)),
        (Uniform(1e-5, 3e-5, 1e-5), (1e-5, 2e-5, 3e-5)),
    ],
)
def test_the_grid_of_a_finite_dimension_has_its_size(dimension, values):
    assert space.grid(dimension) == values
    assert space.size(dimension) == len(values)


@pytest.mark.parametrize(
    "dimension",
    [
        Choice((1, 1.0, True, "a")),
        Int(2, 9),
        Int(2, 10, 2),
        Int(1, 64, log=True),
        LogUniform(1e-5, 1e-4),
        Uniform(0.0, 1.0),
        Uniform(0.0, 3.0, 1.0),
        Uniform(0.0, 0.3, 0.1),
    ],
)
def test_a_dimension_is_parsed_from_its_own_recipe_form(dimension):
    assert space.parse(space.to_recipe(dimension)) == dimension


@pytest.mark.parametrize("dimension", [Uniform(0.0, 1.0), LogUniform(0.1, 1.0)])
def test_a_continuous_range_has_no_grid(dimension):
    assert space.size(dimension) is None
    with pytest.raises(ValueError, match="a grid needs"):
        space.grid(dimension)


def test_the_ends_of_a_dimension_are_its_choices_or_its_bounds():
    assert space.ends(Choice((1, 2, 3))) == (1, 2, 3)
    assert space.ends(Int(2, 9)) == (2, 9)
    assert space.ends(LogUniform(1e-5, 1e-4)) == (1e-5, 1e-4)
