"""What every event is, and what takes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Stage = Literal["data", "search", "select", "test", "register", "deploy"]


@dataclass(frozen=True)
class Event:
    """The parent of all events."""


Emit = Callable[[Event], None]
"""Takes the events of a run; returns nothing. It raises nothing but KeyboardInterrupt, where a person ends the run."""
