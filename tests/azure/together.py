"""Trials of two processes, one of which loses its machine and one of which fails: the run, and what must come of it with either SDK."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit import remote, runner
from ftkit.events import Event, TrialReported
from ftkit.recipe import loader
from ftkit.testing import toys
from tests.azure import paired_words
from tests.azure.v1.execution import RANK_LOG

if TYPE_CHECKING:
    from ftkit.contracts import Outcome
    from tests.azure.azure import Azure

RECIPE = (
    toys.RECIPE.replace("toy-words", "paired-words")
    .replace("trials = 2", 'trials = 2\nsampler = "grid"\ncheckpoint = "1h"\nspace.fault = ["none", "diverge"]')
    .replace('on = "local"', "poll = 0.5\nprocesses = 2")
)


def run(azure: Azure, folder: Path, platform: str) -> tuple[Outcome, list[Event]]:
    """Run a recipe with two trials of two processes: the first is asked to end after an epoch, the second diverges."""
    paired_words.install(folder / "plugins")
    azure.v1.execution.taken_away = {0: [(1, signal.SIGTERM)]}
    (folder / "two.toml").write_text(RECIPE)
    events: list[Event] = []
    plan = loader.load(folder / "two.toml", on=platform)
    assert any(sentence.endswith(", each in 2 processes") for _, sentence in plan.platform.outline(plan))
    return runner.run(plan, events.append), events


def check(azure: Azure, outcome: Outcome, events: list[Event], folder: Path) -> None:
    """The trials ended as those of one process do, and only the first process of each reported and wrote."""
    execution, runs = azure.v1.execution, azure.v1.runs
    interrupted, diverged = (next(run for run in runs.runs if run.endswith(f"_{number}")) for number in range(2))
    assert execution.exit_codes[interrupted] == [143, 143, 0, 0]
    assert execution.exit_codes[diverged] == [0, 0]
    assert b"goes on from a checkpoint, after epoch 1" in runs.read(interrupted, RANK_LOG.format(RANK=0))
    assert runs.read(interrupted, RANK_LOG.format(RANK=1)) == b""
    written = [json.loads(line)["event"] for line in runs.read(interrupted, "logs/events.jsonl").splitlines()]
    assert (written.count("TrialStarted"), written.count("TrialReported")) == (1, 2)

    trials = sorted(outcome.trials, key=lambda trial: trial.number)
    alone = [
        remote.trial(
            loader.load(folder / "two.toml", {"run.processes": 1}, on="azureml"),
            folder / "alone" / str(trial.number),
            folder / "work" / str(trial.number),
            number=trial.number,
            values=trial.values,
            seed=trial.seed,
            log=lambda numbers: None,
            emit=lambda event: None,
        )
        for trial in trials
    ]
    assert [trial.state for trial in alone] == ["finished", "failed"]
    for together, single in zip(trials, alone, strict=True):
        assert (together.state, together.error) == (single.state, single.error)
        assert list(together.history) == list(single.history)
    reported = [event.numbers for event in events if isinstance(event, TrialReported) and event.number == 0]
    assert reported == list(alone[0].history)
    model = (folder / "alone" / "0" / "model" / "weights.npy").read_bytes()
    assert (outcome.bundle / "model" / "weights.npy").read_bytes() == model
    assert not [path for path in execution.datastore.rglob("*") if path.is_file()], "a checkpoint was left"
