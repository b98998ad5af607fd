"""A model that learns from the answers of another one: who can do that, and how it names its teacher."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

CHAMPION = "champion"
"""In place of a teacher's folder: the registered version that is live."""


@runtime_checkable
class Distilling(Protocol):
    """A backbone that can learn from the answers of another model. Nothing requires it.

    Where its `teacher` is `CHAMPION`, a run puts the champion's bundle into the folder `teacher` of `Data.cache` before it trains.
    """

    @property
    def teacher(self) -> str | None:
        """The folder of a bundle, `CHAMPION`, or None: a field."""
        ...
