"""Checkpoints of a trial: one that was changed is set aside, and the trial goes on from the one before, or from the beginning."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from benchmarks.fuzzing.families import Case, Outcome, Silent
from benchmarks.fuzzing.mutations import another_value, damaged, one_byte_changed, written

KEY = "ab" * 32


class Evaluations:
    """Two evaluations of a trial."""

    def __init__(self) -> None:
        self.history: Sequence[Mapping[str, float]] = [{"epoch": 1, "accuracy": 0.5}, {"epoch": 2, "accuracy": 0.7}]
        self.best: Any = np.full((4, 2), 0.5)

    def best_probabilities(self) -> Any:
        """Those of the second one."""
        return self.best

    def restore(self, history: Sequence[Mapping[str, float]], best: Any) -> None:
        """Remember what a checkpoint has."""
        self.history, self.best = history, best


class Cases:
    """A trial with two checkpoints."""

    def __init__(self, folder: Path) -> None:
        from safetensors.numpy import save_file

        self._kept, self._trial = folder / "kept", folder / "trial"
        checkpoints = self._checkpoints(self._kept)
        for number in range(3):
            checkpoints.write(lambda path: save_file({"weights": np.full(20, number)}, path / "state.safetensors"))  # noqa: B023

    def close(self) -> None:
        """Nothing was started."""

    def case(self, random: Random) -> Case:
        """One or both of the checkpoints with damages."""
        changes: dict[str, bytes | None] = {}
        for folder in random.choice((["000003"], ["000003"], ["000002", "000003"])):
            name = random.choice(("manifest.json", "manifest.json", "valid.safetensors", "backbone/state.safetensors"))
            content = (self._kept / "checkpoints" / folder / name).read_bytes()
            if name == "manifest.json" and random.random() < 0.5:
                changes[f"{folder}/{name}"] = written(another_value(random, json.loads(content)))
            elif random.random() < 0.1:
                changes[f"{folder}/{name}"] = None
            else:
                changes[f"{folder}/{name}"] = random.choice((one_byte_changed, damaged))(random, content)

        def read() -> Outcome:
            shutil.rmtree(self._trial, ignore_errors=True)
            shutil.copytree(self._kept, self._trial)
            for name, content in changes.items():
                path = self._trial / "checkpoints" / name
                path.unlink() if content is None else path.write_bytes(content)
            checkpoints = self._checkpoints(self._trial)
            folder = checkpoints.latest()
            own = checkpoints.evaluations
            true = Evaluations()
            if folder is None:
                return "refused"
            if json.dumps(own.history) != json.dumps(true.history) or not np.array_equal(
                own.best_probabilities(), true.best
            ):
                raise Silent(f"goes on after other evaluations\n{own.history}")
            kept = self._kept / "checkpoints" / folder.parent.name / "backbone" / "state.safetensors"
            if kept.read_bytes() != (folder / "state.safetensors").read_bytes():
                raise Silent("goes on from another state")
            return "accepted"

        return Case(repr(changes)[:3000], read)

    def _checkpoints(self, folder: Path) -> Any:
        from ftkit.stages.checkpoints import TrialCheckpoints

        checkpoints = TrialCheckpoints(folder, KEY, 0.0, lambda _: None, lambda _: None)
        checkpoints.evaluations = Evaluations()
        return checkpoints
