"""The search-space language: which values a searched field may take.

learning_rate = [3e-5, 5e-5]                          Choice
learning_rate = { low = 1e-5, high = 1e-4, log = true }   LogUniform
dropout       = { low = 0.0, high = 0.3 }             Uniform
epochs        = { low = 2, high = 4 }                 Int (both ends whole numbers; `step` optional)
backbone      = ["linear", "minilm"]                  BackboneChoice, where the names are those of backbones

Of several backbones, each has dimensions of its own. They are named `minilm.learning_rate`, in recipes by a table of the backbone's name.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ftkit import options


@dataclass(frozen=True)
class Choice:
    """One of a list of values, all equally likely."""

    values: tuple[Any, ...]
    """These values."""

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("a list of values to search must not be empty")
        if len(set(map(repr, self.values))) < len(self.values):
            raise ValueError("a list of values to search has a value twice")


@dataclass(frozen=True)
class BackboneChoice(Choice):
    """One of several backbones, by name: its values decide which other dimensions a trial has."""


@dataclass(frozen=True)
class Uniform:
    """A number between two ends, all equally likely; with `step`, on a grid that begins at `low`."""

    low: float
    """The lower end, included."""
    high: float
    """The upper end, included."""
    step: float | None = None
    """Distance between two values; None for any number."""

    def __post_init__(self) -> None:
        _ordered(self.low, self.high)
        if self.step is not None and self.step <= 0:
            raise ValueError("step must be above 0")


@dataclass(frozen=True)
class LogUniform:
    """A number between two positive ends, uniform in its logarithm, as for learning rates."""

    low: float
    """The lower end, above 0."""
    high: float
    """The upper end."""

    def __post_init__(self) -> None:
        _ordered(self.low, self.high)
        if self.low <= 0:
            raise ValueError("low must be above 0 on a logarithmic scale")


@dataclass(frozen=True)
class Int:
    """A whole number from `low` to `high`, both included, in steps; `log` makes small numbers more likely."""

    low: int
    """The lower end, included."""
    high: int
    """The upper end, included."""
    step: int = 1
    """Distance between two values."""
    log: bool = False
    """Whether it is uniform in the logarithm."""

    def __post_init__(self) -> None:
        _ordered(self.low, self.high)
        if self.step < 1:
            raise ValueError("step must be at least 1")
        if self.log and (self.low < 1 or self.step != 1):
            raise ValueError("a range of whole numbers with log needs a low of at least 1 and a step of 1")


Dimension = Choice | Uniform | LogUniform | Int

BACKBONE = "backbone"
"""The name of the dimension that chooses the backbone, and of the value that says which one a trial has."""


def parse(value: Any) -> Dimension:
    """A dimension from its recipe form. Raises: ValueError."""
    if isinstance(value, list | tuple):
        return Choice(tuple(value))
    if not isinstance(value, Mapping):
        raise ValueError(f"expected a list of values or {{ low = …, high = … }}, not {value!r}")
    unknown = sorted(set(value) - {"low", "high", "step", "log"})
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r}; a range has low, high, and optionally step or log")
    if "low" not in value or "high" not in value:
        raise ValueError("a range needs both low and high")
    low, high, step, log = value["low"], value["high"], value.get("step"), value.get("log", False)
    for key, number in (("low", low), ("high", high), ("step", step)):
        if number is not None and (isinstance(number, bool) or not isinstance(number, int | float)):
            raise ValueError(f"{key} must be a number, not {number!r}")
    if not isinstance(log, bool):
        raise ValueError(f"log must be true or false, not {log!r}")
    if isinstance(low, int) and isinstance(high, int):
        if step is not None and not isinstance(step, int):
            raise ValueError("the step of a range of whole numbers must be a whole number")
        return Int(low, high, 1 if step is None else step, log)
    if log:
        if step is not None:
            raise ValueError("a range takes step or log, not both")
        return LogUniform(float(low), float(high))
    return Uniform(float(low), float(high), step)


def to_recipe(dimension: Dimension) -> Any:
    """A dimension in the form that `parse` reads."""
    if isinstance(dimension, Choice):
        return list(dimension.values)
    table: dict[str, Any] = {"low": dimension.low, "high": dimension.high}
    if isinstance(dimension, LogUniform) or (isinstance(dimension, Int) and dimension.log):
        table["log"] = True
    elif isinstance(dimension, Uniform | Int) and dimension.step != (1 if isinstance(dimension, Int) else None):
        table["step"] = dimension.step
    return table


def ends(dimension: Dimension) -> tuple[Any, ...]:
    """Every choice, or both ends of a range: the values to check a whole dimension with."""
    return dimension.values if isinstance(dimension, Choice) else (dimension.low, dimension.high)


def size(dimension: Dimension) -> int | None:
    """The number of values, or None for a continuous range."""
    if isinstance(dimension, Choice):
        return len(dimension.values)
    if isinstance(dimension, Int):
        return (dimension.high - dimension.low) // dimension.step + 1
    if isinstance(dimension, Uniform) and dimension.step:
        return int((dimension.high - dimension.low) / dimension.step + 1e-9) + 1
    return None


def grid(dimension: Dimension) -> tuple[Any, ...]:
    """Every value in order. Raises: ValueError for a continuous range."""
    count = size(dimension)
    if count is None:
        raise ValueError("a grid needs a list of values, whole numbers, or a range with a step")
    if isinstance(dimension, Choice):
        return dimension.values
    assert isinstance(dimension, Int | Uniform) and dimension.step is not None
    if isinstance(dimension, Int):
        return tuple(dimension.low + index * dimension.step for index in range(count))
    # 0.1 + 2 * 0.1 is 0.30000000000000004: rounding to twelve digits gives the number that the recipe means.
    steps = (dimension.low + index * dimension.step for index in range(count))
    return tuple(min(dimension.high, float(f"{value:.12g}")) for value in steps)


def branches(dimensions: Mapping[str, Dimension]) -> dict[str, dict[str, Dimension]]:
    """The dimensions of each backbone that is searched, by its name; all of them under an empty name where no backbone is searched."""
    chosen = dimensions.get(BACKBONE)
    if not isinstance(chosen, BackboneChoice):
        return {"": dict(dimensions)}
    return {
        backbone: {name: each for name, each in dimensions.items() if name.rpartition(".")[0] == backbone}
        for backbone in chosen.values
    }


def dimensions_of(dimensions: Mapping[str, Dimension], values: Mapping[str, Any]) -> dict[str, Dimension]:
    """The dimensions of a trial with these values: those of its backbone and the choice of it, where backbones are searched."""
    every = branches(dimensions)
    if "" in every:
        return every[""]
    return {BACKBONE: dimensions[BACKBONE], **every.get(values.get(BACKBONE, ""), {})}


def table(dimensions: Mapping[str, Dimension]) -> dict[str, Any]:
    """A whole space as `[search] space` has it."""
    every = branches(dimensions)
    if "" in every:
        return {name: to_recipe(each) for name, each in dimensions.items()}
    own = {
        backbone: {name.rpartition(".")[2]: to_recipe(each) for name, each in fields.items()}
        for backbone, fields in every.items()
        if fields
    }
    return {BACKBONE: to_recipe(dimensions[BACKBONE]), **own}


def combinations(dimensions: Mapping[str, Dimension]) -> int | None:
    """How many different sets of values these hold, or None when a range is continuous."""
    total = 0
    for fields in branches(dimensions).values():
        sizes = [size(dimension) for dimension in fields.values()]
        if None in sizes:
            return None
        total += math.prod(each for each in sizes if each is not None)
    return total


def holds(dimension: Dimension, value: Any) -> bool:
    """Whether a value, as a journal holds it, is one of a dimension's."""
    if isinstance(dimension, Choice) or (not isinstance(dimension, Int) and size(dimension) is not None):
        return key(value) in {key(options.toml_value(each)) for each in grid(dimension)}
    if isinstance(value, bool) or not isinstance(value, int if isinstance(dimension, Int) else int | float):
        return False
    inside = dimension.low <= value <= dimension.high
    return inside and (not isinstance(dimension, Int) or (value - dimension.low) % dimension.step == 0)


def key(values: Any) -> str:
    """Equal for equal values, as a journal holds them: their JSON, which differs for 1, 1.0 and true."""
    return json.dumps(values, sort_keys=True)


def _ordered(low: float, high: float) -> None:
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"low and high must be finite, not {low} and {high}")
    if not low < high:
        raise ValueError(f"low must be below high, not {low} and {high}")
