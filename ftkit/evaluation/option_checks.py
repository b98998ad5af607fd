"""Checks of the options of promotion tests, so that each mistake in a recipe reads the same."""

from __future__ import annotations

import math


def in_range(name: str, value: float, low: float, high: float = math.inf) -> None:
    """Raises: ValueError when an option is not a finite number from `low` to `high`."""
    if not (math.isfinite(value) and low <= value <= high):
        allowed = f"from {low:g} to {high:g}" if math.isfinite(high) else f"a number of at least {low:g}"
        raise ValueError(f"{name} must be {allowed}")


def at_least(name: str, value: int, least: int) -> None:
    """Raises: ValueError when a count is too small."""
    if value < least:
        raise ValueError(f"{name} must be at least {least}")


def above_zero(name: str, value: float) -> None:
    """Raises: ValueError when an option is not a finite number above 0."""
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be a number above 0")


def between_zero_and_one(name: str, value: float) -> None:
    """Raises: ValueError when a probability is not above 0 and below 1."""
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie between 0 and 1, such as 0.95")
