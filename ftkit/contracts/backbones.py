"""What a backbone declares of itself beside what it does."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class FittedAtOnce(Protocol):
    """A backbone without epochs, such as one that solves an equation. Nothing requires it."""

    @property
    def fitted_at_once(self) -> bool:
        """Whether `fit` reports one evaluation only and its seed changes nothing: an attribute of the class."""
        ...
