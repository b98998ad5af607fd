"""A whole run with `[search] confirm`: killed in the middle of its repeats, it continues to the same winner."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

import ftkit
from ftkit import runner
from ftkit.bundle import bundle
from ftkit.contracts import Outcome
from ftkit.errors import SearchError
from ftkit.evaluation import selection
from ftkit.events import BestSelected, Event
from ftkit.recipe import loader
from ftkit.runs import ledger
from tests import recipes

OVERRIDES: dict[str, Any] = {
    "search.trials": 3,
    "search.space.learning_rate": [0.1, 0.5, 1.0],
    "search.confirm": {"top": 2, "seeds": 2},
    "backbone.delay": 0.05,
}
COMMAND = [
    "--set=search.trials=3", "--set=search.space.learning_rate=[0.1, 0.5, 1.0]",
    "--set=search.confirm={top = 2, seeds = 2}", "--set=backbone.delay=0.05",
]  # fmt: skip


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))
    with recipes.written(tmp_path) as path:
        yield path


def ledger_when(process: subprocess.Popen[bytes], condition: Callable[[ledger.Ledger], bool]) -> ledger.Ledger:
    """The run's ledger as soon as the condition holds for it."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for run_ledger in ledger.runs():
            if condition(run_ledger):
                return run_ledger
        assert process.poll() is None, process.stdout.read().decode() if process.stdout else ""
        time.sleep(0.01)
    raise AssertionError("not within two minutes")


def test_a_run_killed_during_its_repeats_continues_to_the_same_winner(toy: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "ftkit", "run", str(toy), "--plain", *COMMAND],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, env=dict(os.environ),
    )  # fmt: skip
    killed = ledger_when(process, lambda run_ledger: any(trial.repeats is not None for trial in run_ledger.trials()))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert killed.fact("selected") is None
    before = killed.trials()

    emitted: list[Event] = []
    outcome = ftkit.run(toy, OVERRIDES, emit=emitted.append)
    assert outcome.folder == killed.folder, "the same run is continued"
    assert list(outcome.trials[: len(before)]) == before, "finished trials are not run again"
    assert [trial.number for trial in outcome.trials] == list(range(7))
    unbroken = ftkit.run(toy, OVERRIDES, emit=lambda event: None, fresh=True)
    assert unbroken.run != outcome.run
    results = [
        [(trial.number, trial.repeats, trial.seed, trial.values, trial.metrics) for trial in each.trials]
        for each in (outcome, unbroken)
    ]
    assert results[0] == results[1]
    assert (outcome.best.number, outcome.best.metrics) == (unbroken.best.number, unbroken.best.metrics)
    files = [bundle.verify(each.bundle).manifest["files"]["model/weights.npy"] for each in (outcome, unbroken)]
    assert files[0] == files[1]

    manifest = bundle.verify(outcome.bundle).manifest
    (chosen,) = [event for event in emitted if isinstance(event, BestSelected)]
    assert manifest["confirmed"]["mean"] == chosen.spreads[0].mean
    assert manifest["confirmed"]["number"] in (outcome.best.number, outcome.best.repeats)
    assert "have the best mean roc_auc over other seeds and won" in (outcome.bundle / "README.md").read_text()
    assert not list(outcome.folder.glob("trials/*/model")), "losers' weights are not kept"
    assert loader.loads((outcome.bundle / "recipe.toml").read_text()).search.confirm is not None


@dataclass(frozen=True, kw_only=True)
class Forgetful:
    """A platform that declares that it repeats trials, and does not."""

    name: ClassVar[str] = "forgetful"
    confirms: ClassVar[bool] = True
    inner: Any = None

    def run(self, plan: Any, emit: Any) -> Outcome:
        def search(plan: Any, run_ledger: ledger.Ledger, emit: Any) -> Any:
            without = replace(plan, platform=self.inner, search=replace(plan.search, confirm=None))
            return self.inner.search(without, run_ledger, emit)

        return runner.carry_out(plan, emit, search)


def test_a_platform_that_leaves_out_the_repeats_is_an_error(toy: Path) -> None:
    plan = loader.load(toy, {"search.confirm": {"top": 1, "seeds": 2}, "search.trials": 1})
    assert selection.most_repeats(plan.search, 1) == 2
    with pytest.raises(SearchError, match=r"'forgetful' of tests\.test_runner_repeats returned 2 repeats too few"):
        runner.run(replace(plan, platform=Forgetful(inner=plan.platform)), lambda event: None)
