"""A training that is killed at several steps goes on from its checkpoints to the same bytes."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = '''
import os, signal, sys
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file

from ftkit.encoders import Encoder
from ftkit.stages.checkpoints import TrialCheckpoints
from ftkit.stages.trial import Reporter
from ftkit.testing.backbones import separable_data

torch.set_num_threads(1)  # before the first operation, so that this process can fork
precision, checkpoint, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])


@dataclass(frozen=True, kw_only=True)
class Tiny(Encoder):
    name = "tiny"


encoder = Tiny(
    checkpoint=checkpoint, learning_rate=3e-3, batch_size=8, epochs=3, precision=precision, dropout=0.1,
    calibration="temperature", accumulation=2,
)
data = separable_data(rows=45)  # 6 batches, the last of 5 rows


class Killed(TrialCheckpoints):
    """Writes a checkpoint every three steps, and is killed after so many."""

    def __init__(self, folder, after):
        super().__init__(folder, "key", 3600, print, lambda history: print(len(history), "evaluations"))
        self.steps, self.after = 0, after

    def due(self):
        self.steps += 1
        if self.steps == self.after:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.steps % 3 == 0


def train(folder, after=10**6):
    """The model's bytes, and the evaluations."""
    folder.mkdir(exist_ok=True)
    best = lambda numbers: (True, numbers["epoch"] == 1 or numbers["log_loss"] < report.history[-1]["log_loss"])
    report = Reporter(best, data, folder)
    checkpoints = Killed(folder, after)
    checkpoints.evaluations = report
    classifier = encoder.resume(data, 1, report, checkpoints) if after else encoder.fit(data, 1, report)
    (folder / "model").mkdir()
    classifier.save(folder / "model")
    timed = "rows_per_second"
    history = [{name: value for name, value in each.items() if name != timed} for each in report.history]
    return (folder / "model" / "model.safetensors").read_bytes(), (folder / "model" / "ftkit.json").read_bytes() if (folder / "model" / "ftkit.json").exists() else b"", history


for after in (5, 8, 7):
    if not (child := os.fork()):
        train(folder / "killed", after)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL, after
newest = sorted((folder / "killed" / "checkpoints").glob("0*"))[-1]
assert {path.suffix for path in newest.rglob("*") if path.is_file()} == {".json", ".safetensors"}
assert "embedding.row_step" in load_file(newest / "backbone" / "learner.safetensors"), "the embeddings' updates are not deferred"
went_on = train(folder / "killed")
straight = train(folder / "straight", 0)
assert went_on[2] == straight[2], (went_on[2], straight[2])
assert went_on == straight
print("the same", flush=True)
'''


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_training_killed_at_several_steps_ends_with_the_same_bytes(precision, tiny, tmp_path):
    process = subprocess.run(
        [sys.executable, "-c", CODE, precision, str(tiny), str(tmp_path)], capture_output=True, text=True, timeout=300
    )
    assert process.returncode == 0, process.stderr[-3000:]
    lines = process.stdout.split("\n")
    assert lines[-2] == "the same"
    assert "1 evaluations" in lines
    assert "2 evaluations" in lines
