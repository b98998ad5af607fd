"""Training that goes on where it was interrupted: the capabilities that it takes, and what a backbone writes its state to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

from ftkit.contracts.classifier import Classifier
from ftkit.contracts.components import Report, StopTrial
from ftkit.contracts.types import Data


class TrialInterrupted(StopTrial):
    """Raised by `Checkpoints.write` when this process is to end and its training to go on in another; a backbone must not catch it."""


class Checkpoints(Protocol):
    """The checkpoints of one trial: folders that a backbone fills with the state of its training now and then.

    A folder is there whole or not at all; ftkit keeps the last two, checks them, and removes them when the trial has ended.
    """

    def latest(self) -> Path | None:
        """The folder of the newest checkpoint, unchanged since it was written; None if the training begins anew.

        To be called once, when the training is ready for its first step.
        """
        ...

    def due(self) -> bool:
        """Whether to write a checkpoint now: to be asked after each step, which it costs next to nothing."""
        ...

    def write(self, fill: Callable[[Path], None]) -> None:
        """Make a checkpoint: `fill` writes safetensors and JSON, never a pickle, into an empty folder.

        A disk that is full does not end the training. Raises: TrialInterrupted when this process is to end.
        """
        ...

    def discard(self, reason: str) -> None:
        """Give up what `latest` returned, from which this training cannot go on, such as one on other hardware."""
        ...


@runtime_checkable
class Resumable(Protocol):
    """A backbone whose training can go on where it was interrupted. Nothing requires it.

    With any other backbone, a recipe with `[search] checkpoint` is refused when it is loaded.
    """

    def resume(self, data: Data, seed: int, report: Report, checkpoints: Checkpoints) -> Classifier:
        """Train as `fit` does, from the latest checkpoint if there is one, and write one after each step at which it is due.

        The state holds all that later steps depend on: weights, the optimizer's moments, random generators, the place in the data, the
        best weights so far. On a CPU the result is that of a training without interruption, bit for bit. `report` remembers the
        evaluations before the checkpoint: they are not reported again.
        """
        ...


@runtime_checkable
class Checkpointing(Protocol):
    """A platform that declares whether its trials go on inside, from checkpoints. Nothing requires it.

    With any other platform, a recipe with `[search] checkpoint` is refused when it is loaded.
    """

    @property
    def checkpoints(self) -> bool:
        """Whether they do: an attribute of the class."""
        ...
