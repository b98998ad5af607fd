"""A trial of several processes, which train one model together: who can do that, and who starts them."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Distributed(Protocol):
    """A backbone whose `fit` trains one model in several processes together. Nothing requires it.

    Each process calls `fit` with the same arguments, and has RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT in its environment, as
    torchrun sets them. `fit` calls the report callback in the first process only, and returns the same model in all of them. With any
    other backbone, a recipe with `processes` above 1 is refused when it is loaded.
    """

    @property
    def distributed(self) -> bool:
        """Whether it does: an attribute of the class."""
        ...


@runtime_checkable
class MultiProcess(Protocol):
    """A platform that can train each trial in several processes. Nothing requires it."""

    @property
    def processes(self) -> int:
        """Processes that train the model of a trial together: a field."""
        ...
