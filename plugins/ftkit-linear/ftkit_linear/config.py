"""The options of the linear model, with their defaults and their checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class LinearConfig:
    """Which n-grams are used, and how the regression on them is fitted."""

    words: int = 2
    """Words of the longest word n-gram; 0 for none."""
    characters: int = 5
    """Characters of the longest character n-gram, the shortest has 2; 0 for none."""
    min_df: int = 2
    """Training rows that an n-gram must stand in to be used."""
    max_features: int = 100_000
    """Most n-grams of words, and most of characters: those that stand in the most rows."""
    C: float = 4.0
    """Inverse strength of the L2 penalty: the smaller, the smaller the weights."""
    class_weights: Literal["none", "balanced"] = "none"
    """Weight of each class in the loss: equal, or inverse to its number of training rows."""
    max_iterations: int = 100
    """Most iterations of the solver (Newton's method with conjugate gradients)."""
    max_rows: int = 200_000
    """Most training rows that are used, evenly spaced within each class: it bounds time and memory."""

    def __post_init__(self) -> None:
        for field in ("words", "characters"):
            if getattr(self, field) < 0:
                raise ValueError(f"{field} must not be negative")
        if not self.words and self.characters < 2:
            raise ValueError("characters must be at least 2 where words is 0: there would be no n-grams")
        for field in ("min_df", "max_features", "max_iterations"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} must be at least 1")
        if self.max_rows < 100:
            raise ValueError("max_rows must be at least 100")
        if not 0 < self.C < float("inf"):
            raise ValueError("C must be a number above 0")
