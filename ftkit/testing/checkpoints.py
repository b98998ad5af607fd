"""Checkpoints that interrupt a training at chosen steps, to test that it goes on to the same model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ftkit.contracts import TrialInterrupted


class InterruptingCheckpoints:
    """`ftkit.contracts.Checkpoints` that interrupt a training after so many steps, once for each call of `interrupt_after`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written = 0
        self._steps = -1

    def interrupt_after(self, steps: int) -> None:
        """Let the training take so many further steps."""
        self._steps = steps

    def latest(self) -> Path | None:
        return self._folder / str(self._written) if self._written else None

    def due(self) -> bool:
        self._steps -= 1
        return self._steps == 0

    def write(self, fill: Callable[[Path], None]) -> None:
        self._written += 1
        folder = self._folder / str(self._written)
        folder.mkdir(parents=True)
        fill(folder)
        for path in folder.rglob("*"):
            assert path.suffix in {".safetensors", ".json"}, (
                f"{path.name}: a checkpoint holds safetensors and JSON alone"
            )
        raise TrialInterrupted("enough steps")

    def discard(self, reason: str) -> None:
        pytest.fail(f"a checkpoint of the same training was discarded: {reason}")
