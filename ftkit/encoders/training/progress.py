"""Where a training stands, written into a checkpoint and read back: on a CPU what follows is, bit for bit, what would have followed."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit import strict_json
from ftkit.encoders.training.distributed import broadcast, broadcast_decision, gather

if TYPE_CHECKING:
    import torch

    from ftkit.contracts import Checkpoints
    from ftkit.encoders.training.learner import Learner

FILE = "progress.json"


@dataclass
class Progress:
    """Where the training loop stands between two batches, beside its learner."""

    order: Mapping[str, Any]
    """State of the generator that shuffles the rows, before it made the order of this epoch."""
    train_loss: torch.Tensor
    """Sum of the losses of the batches since the last evaluation, of this process; fp32, ()."""
    epoch: int = 1
    batches: int = 0
    """Batches of this epoch that are done."""
    step: int = 0
    evaluations: int = 0
    evaluated: int = 0
    """The step of the last evaluation."""
    seconds: float = 0.0
    """Time of training so far, interruptions left out."""
    epochs_without_gain: int = 0
    """Evaluations in a row without a better one."""
    best: Mapping[str, torch.Tensor] = field(default_factory=dict)
    """Weights of the best evaluation so far; empty before the first."""
    best_temperature: float = 1.0


class Clock:
    """Says when the minutes of a training are over."""

    def __init__(self, minutes: float | None, seconds: float, ranks: int, rank: int) -> None:
        """`seconds` were used before this process began."""
        self._minutes, self._ranks, self._rank = minutes, ranks, rank
        self._begun = time.monotonic() - seconds

    @property
    def seconds(self) -> float:
        """Time of training so far."""
        return time.monotonic() - self._begun

    def over(self) -> bool:
        """Whether they are, for all processes alike: the first one decides."""
        minutes = self._minutes
        if minutes is None:
            return False
        return broadcast_decision(lambda: self.seconds >= 60 * minutes, self._ranks, self._rank)


class Keeper:
    """Writes the progress of a training when its checkpoints are due, and reads the latest back."""

    def __init__(self, checkpoints: Checkpoints | None, learner: Learner, kind: Mapping[str, Any]) -> None:
        """`kind` is what a training must have in common with one that goes on from its checkpoints."""
        self._checkpoints = checkpoints
        self._learner = learner
        self._kind = kind
        self._ranks, self._rank = learner.ranks, learner.rank

    def latest(self, beginning: Progress) -> Progress:
        """The progress of the latest checkpoint, with the learner as it was then; without one, the beginning."""
        from safetensors.torch import load_file

        checkpoints = self._checkpoints
        if checkpoints is None:
            return beginning
        folder = broadcast(checkpoints.latest, self._ranks, self._rank)
        if folder is None:
            return beginning
        plain = strict_json.read_object(folder / FILE)
        if plain.pop("kind") != self._kind:
            if self._rank == 0:
                checkpoints.discard(f"it is of a training on other hardware or with other processes, not {self._kind}")
            return beginning
        self._learner.restore(load_file(folder / "learner.safetensors"))
        own = load_file(folder / f"process-{self._rank}.safetensors")
        train_loss = own.pop("train_loss").to(self._learner.device)
        best = load_file(folder / "best.safetensors") if plain.pop("has_best") else {}
        self._learner.restore_random(own)
        return Progress(train_loss=train_loss, best=best, **plain)

    def write_if_due(self, progress: Progress) -> None:
        """Write a checkpoint if it is time. Raises: TrialInterrupted."""
        checkpoints = self._checkpoints
        if checkpoints is None or not broadcast_decision(checkpoints.due, self._ranks, self._rank):
            return
        own = {**self._learner.random_state(), "train_loss": progress.train_loss.cpu()}
        processes = gather(own, self._ranks)

        def fill(folder: Path) -> None:
            from safetensors.torch import save_file

            save_file(self._learner.state(), folder / "learner.safetensors")
            if progress.best:
                save_file(dict(progress.best), folder / "best.safetensors")
            for rank, state in enumerate(processes):
                save_file(state, folder / f"process-{rank}.safetensors")
            tensors = ("train_loss", "best")
            plain = {name: value for name, value in vars(progress).items() if name not in tensors}
            plain |= {"has_best": bool(progress.best), "kind": self._kind}
            (folder / FILE).write_text(json.dumps(plain), encoding="utf-8")

        def write() -> bool:
            checkpoints.write(fill)
            return True

        broadcast_decision(write, self._ranks, self._rank)
