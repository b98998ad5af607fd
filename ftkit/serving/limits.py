"""How much a server takes on: apart from the requests themselves, since commands that serve nothing read recipes with limits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """How much a server takes on at a time."""

    rows: int = 1024
    """Texts of one request."""
    size: int = 4 * 1024 * 1024
    """Bytes of one request's body."""
    batch: int = 32
    """Texts of one call of the model."""
    waiting: int = 2048
    """Texts that may wait for the model; a request beyond that is told to come back."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1")
