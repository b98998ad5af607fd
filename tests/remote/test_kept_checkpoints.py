"""A trial of a service that is interrupted and started again goes on from its checkpoint."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from ftkit import remote
from ftkit.contracts import Trial, TrialInterrupted
from ftkit.contracts.plan import Plan
from ftkit.events import Event, Noticed
from ftkit.recipe import loader
from ftkit.testing import toys
from tests import recipes

RECIPE = toys.RECIPE.replace("trials = 2", 'trials = 2\ncheckpoint = "1h"')


@pytest.fixture
def plan(tmp_path: Path) -> Iterator[Plan]:
    with recipes.written(tmp_path, RECIPE) as path:
        yield loader.load(path)


class Service:
    """Runs one trial, each time in a new process's folder, as on a new machine."""

    def __init__(self, plan: Plan, root: Path) -> None:
        self.plan, self.root = plan, root
        self.checkpoints = root / "datastore" / "trial_3"
        self.events: list[Event] = []
        self.logged: list[int] = []
        self.starts = 0

    def start(self, after: Callable[[int], None] = lambda epoch: None, seed: int = 7) -> Trial:
        """`after` is called after each evaluation with its epoch."""
        self.starts += 1

        def log(numbers: Mapping[str, float]) -> None:
            self.logged.append(int(numbers["epoch"]))
            after(int(numbers["epoch"]))

        machine = self.root / f"machine-{self.starts}"
        return remote.trial(
            self.plan,
            machine / "outputs",
            machine / "work",
            number=3,
            values={},
            seed=seed,
            log=log,
            emit=self.events.append,
            checkpoints=self.checkpoints,
        )

    def model(self) -> bytes:
        return (self.root / f"machine-{self.starts}" / "outputs" / "model" / "weights.npy").read_bytes()

    @property
    def notices(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Noticed)]


def interrupt(epoch: int) -> None:
    if epoch == 1:
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_trial_at_sigterm_writes_a_checkpoint_and_goes_on_to_the_same_model(plan: Plan, tmp_path: Path) -> None:
    straight = Service(plan, tmp_path / "straight")
    expected = straight.start()
    interrupted = Service(plan, tmp_path / "interrupted")
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(TrialInterrupted):
        interrupted.start(after=interrupt)
    assert signal.getsignal(signal.SIGTERM) == handler
    assert [path.name for path in (interrupted.checkpoints / "checkpoints").iterdir()] == ["000001"]
    trained = interrupted.start()
    assert interrupted.logged == [1, 2, 3]
    assert interrupted.notices == ["Trial 3: goes on from a checkpoint, after epoch 1."]
    assert (trained.state, trained.history, trained.metrics) == ("finished", expected.history, expected.metrics)
    assert interrupted.model() == straight.model()
    assert not interrupted.checkpoints.exists()
    assert not straight.checkpoints.exists()


def test_a_checkpoint_of_another_seed_is_set_aside_and_told(plan: Plan, tmp_path: Path) -> None:
    service = Service(plan, tmp_path)
    with pytest.raises(TrialInterrupted):
        service.start(after=interrupt, seed=8)
    assert len(service.start().history) == 3
    assert service.logged == [1, 1, 2, 3]
    assert service.notices == ["Trial 3: checkpoint 000001 is not used: it is of a trial with other values."]


def test_a_failed_trial_leaves_no_checkpoint(plan: Plan, tmp_path: Path) -> None:
    service = Service(plan, tmp_path)
    with pytest.raises(TrialInterrupted):
        service.start(after=interrupt)

    def fail(epoch: int) -> None:
        raise RuntimeError("the service refuses the metric")

    assert service.start(after=fail).state == "failed"
    assert not service.checkpoints.exists()
