"""A trial whose machines are taken away: the run, and what must come of it with either SDK."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit import remote, runner
from ftkit.events import Event, TrialReported
from ftkit.recipe import loader
from ftkit.testing import toys
from tests.azure.v1.execution import LOG

if TYPE_CHECKING:
    from ftkit.contracts import Outcome
    from tests.azure.azure import Azure

RECIPE = toys.RECIPE.replace("trials = 2", 'trials = 1\ncheckpoint = "0.001s"').replace('on = "local"', "poll = 0.5")


class LeftBehind(threading.Event):
    """Lets the decision find a checkpoint of a trial that has ended, as one leaves it that the service ended early."""

    def __init__(self, azure: Azure) -> None:
        super().__init__()
        self.azure = azure

    def wait(self, timeout: float | None = None) -> bool:
        execution = self.azure.v1.execution
        assert not _kept(self.azure), "a trial that has finished left a checkpoint"
        (trial,) = execution.exit_codes
        left = execution.datastore / "ftkit" / "checkpoints" / trial / "checkpoints" / "000001" / "manifest.json"
        left.parent.mkdir(parents=True)
        left.touch()
        return True


def run(azure: Azure, folder: Path, platform: str, decision: str) -> tuple[Outcome, list[Event]]:
    """Run a recipe whose trial loses its machine twice: after its first epoch by SIGTERM, after its second of three by SIGKILL."""
    azure.v1.execution.taken_away = {0: [(1, signal.SIGTERM), (2, signal.SIGKILL)]}
    azure.v1.execution.before[decision] = LeftBehind(azure)
    (folder / "toy.toml").write_text(RECIPE)
    events: list[Event] = []
    return runner.run(loader.load(folder / "toy.toml", on=platform), events.append), events


def check(azure: Azure, outcome: Outcome, events: list[Event], folder: Path) -> None:
    """The trial went on inside, to the bytes of one that nobody interrupted, and no checkpoint is left."""
    execution = azure.v1.execution
    run = next(iter(execution.exit_codes))
    assert execution.exit_codes[run] == [143, -signal.SIGKILL, 0]
    assert b"goes on from a checkpoint, after epoch" in azure.v1.runs.read(run, LOG)
    (trial,) = outcome.trials
    straight = remote.trial(
        loader.load(folder / "toy.toml", on="azureml"),
        folder / "straight",
        folder / "work",
        number=trial.number,
        values=trial.values,
        seed=trial.seed,
        log=lambda numbers: None,
        emit=lambda event: None,
    )
    assert (trial.state, list(trial.history)) == ("finished", list(straight.history))
    assert [event.numbers for event in events if isinstance(event, TrialReported)] == list(straight.history)
    model = (folder / "straight" / "model" / "weights.npy").read_bytes()
    assert azure.v1.runs.read(run, "outputs/model/weights.npy") == model
    assert (outcome.bundle / "model" / "weights.npy").read_bytes() == model
    assert not _kept(azure)


def _kept(azure: Azure) -> list[Path]:
    """The files that the datastore has."""
    return [path for path in azure.v1.execution.datastore.rglob("*") if path.is_file()]
