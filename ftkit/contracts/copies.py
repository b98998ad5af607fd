"""What a new deployment answers to copies of the live traffic, beside the old one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True)
class Flip:
    """A text that two deployments answer otherwise. It is content of callers: shown only to whoever asks for it."""

    text: str = field(repr=False)
    """The text that both answered."""
    old: Any
    """The answer of the old deployment."""
    new: Any
    """The answer of the new deployment."""


@dataclass(frozen=True)
class Comparison:
    """The answers of two deployments to the same texts."""

    texts: int = 0
    """Texts that both answered."""
    flipped: int = 0
    """Texts that are answered otherwise."""
    shift: float = 0.0
    """By how much the probability of a class differs, as a mean over the texts of the largest difference."""
    largest: float = 0.0
    """The largest difference of a probability."""
    seconds: tuple[float, float] = (0.0, 0.0)
    """What a request took in the mean: the old deployment, the new one."""
    failed: int = 0
    """Copies that the new deployment did not answer."""
    flips: Sequence[Flip] = ()
    """The latest texts that are answered otherwise."""


@runtime_checkable
class Comparing(Protocol):
    """A deployer that compares the answers to copies pairwise. Nothing requires it."""

    def compared(self) -> Comparison | None:
        """The answers to copies since they began, of the latest deployment that got some; None if none did. Raises: DeployError."""
        ...
