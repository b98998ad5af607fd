"""A search space for ftkit: learning rates, epochs and dropout of an encoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from ftkit import hookimpl
from ftkit.contracts.space import Choice, Dimension, Int, LogUniform, Uniform


@dataclass(frozen=True, kw_only=True)
class Seedling:
    """Learning rates around a usual one, epochs and dropout."""

    name: ClassVar[str] = "seedling"
    effort: Literal["quick", "thorough"] = "quick"
    """Whether only the learning rate is searched, or all."""
    usual: float = 5e-5
    """The learning rate in the middle; from a quarter of it to four times as much is searched."""
    log: bool = True
    """Whether small and large learning rates are equally likely, by their logarithm."""
    rate: str = "learning_rate"
    """The backbone's field for the learning rate."""
    epochs: int = 4
    """The most epochs; from half as many on."""
    dropout: tuple[float, ...] = (0.0, 0.1)
    """The values of dropout."""
    further: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Further fields of the backbone, each with its values."""

    def __post_init__(self) -> None:
        if self.usual <= 0:
            raise ValueError("usual must be above 0")
        if self.epochs < 2:
            raise ValueError("epochs must be at least 2")

    def dimensions(self) -> Mapping[str, Dimension]:
        """The fields to search."""
        low, high = self.usual / 4, self.usual * 4
        dimensions: dict[str, Dimension] = {self.rate: LogUniform(low, high) if self.log else Uniform(low, high)}
        if self.effort == "thorough":
            dimensions["epochs"] = Int(self.epochs // 2, self.epochs)
            dimensions["dropout"] = Choice(self.dropout)
        for name, values in self.further.items():
            dimensions[name] = Choice(values)
        return dimensions


@hookimpl
def search_spaces() -> list[type[Seedling]]:
    """The search spaces of this plugin."""
    return [Seedling]
