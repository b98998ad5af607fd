"""How much a server takes on at a time, and the recipe options that say so.

Apart from the code that serves, since commands that serve nothing read recipes with these options.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ftkit.contracts import AUTO


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
    """Texts that may wait for the model; a request beyond that is refused with status 429."""
    seconds: float = 30.0
    """Seconds that those which wait may need, at the model's speed of late; a request beyond that is refused as well."""

    def __post_init__(self) -> None:
        _check({name: value for name, value in vars(self).items() if name != "seconds"})


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """A deployer's recipe options for the servers of its deployments: how much they take on, and which engine answers."""

    max_rows: int = Limits.rows
    """Texts that one request may hold."""
    max_batch: int = Limits.batch
    """Texts that are computed together at most, when several requests wait."""
    max_waiting: int = Limits.waiting
    """Texts that may wait for the model; requests beyond that get status 429."""
    engine: str = AUTO
    """Which of the bundle's engines answers: the fastest, where it serves, of those that the promotion tests passed
    (`auto`); `native`; or one that backbone.engines made and the promotion tests passed."""

    def __post_init__(self) -> None:
        _check({"max_rows": self.max_rows, "max_batch": self.max_batch, "max_waiting": self.max_waiting})

    @property
    def limits(self) -> Limits:
        """The limits as the server takes them."""
        return Limits(rows=self.max_rows, batch=self.max_batch, waiting=self.max_waiting)


def _check(limits: Mapping[str, int]) -> None:
    """Raises: ValueError for a limit that lets nothing through, by its name."""
    for name, value in limits.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1")
