"""The preview of a run: its steps and its estimated time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ftkit
from ftkit import files
from ftkit.recipe import loader
from ftkit.runs import preview
from tests import recipes

QUIET = {"promote": [], "registry.use": "none", "deploy.use": "none"}


@pytest.fixture
def toy(tmp_path: Path) -> Iterator[Path]:
    with recipes.written(tmp_path) as path:
        yield path


def test_a_preview_changes_nothing(toy: Path) -> None:
    preview.preview(loader.load(toy))
    assert not files.home().exists() or not list(files.home().iterdir())


def test_the_preview_of_the_quickstart_names_every_stage_and_estimates_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(preview, "_speed", lambda: 1e11)
    shown = preview.preview(loader.load("quickstart"))
    sentences = {step.stage: step.says for step in shown.steps}
    assert list(sentences) == ["data", "search", "test", "register", "deploy"]
    assert "texts in 5 classes" in sentences["data"]
    assert "3 trials of minilm on local" in sentences["search"]
    assert "beats-champion" in sentences["test"]
    assert "news-endpoint" in sentences["deploy"]
    rows, tokens, epochs = 1700 + 212 / 3, 96, 3 * 2
    assert shown.seconds == pytest.approx(6 * shown.plan.backbone.encoder_parameters * tokens * rows * epochs / 1e11)
    assert "guess" in shown.basis


def test_the_speed_of_this_machine_is_plausible() -> None:
    assert 1e8 < preview._speed() < 1e16


def test_other_processes_hardly_change_the_measured_speed() -> None:
    """Eight processes that never rest, at the same priority, on any number of cores."""
    alone = preview._speed()
    busy_processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(8)]
    try:
        beside_others = preview._speed()
    finally:
        for process in busy_processes:
            process.kill()
            process.wait()
    assert 0.2 < beside_others / alone < 5


def test_the_estimate_after_a_run_is_its_measured_time(toy: Path) -> None:
    outcome = ftkit.run(toy, {**QUIET, "backbone.delay": 0.3}, emit=lambda event: None)
    measured = sum(trial.seconds for trial in outcome.trials)
    shown = preview.preview(loader.load(toy, {**QUIET, "backbone.delay": 0.3, "search.trials": 4}))
    assert outcome.run in shown.basis
    assert shown.seconds == pytest.approx(2 * measured, rel=0.01), "twice the trials, twice the time"


def test_an_interrupted_run_is_named(toy: Path) -> None:
    from ftkit.runs import ledger

    plan = loader.load(toy)
    run_ledger, _ = ledger.begin(plan.name, plan.text)
    assert preview.preview(plan).resumes == run_ledger.run


def test_data_are_not_downloaded() -> None:
    shown = preview.preview(loader.load("bert_automotive"))
    assert "downloaded first" in shown.steps[0].says
    assert shown.seconds is None


def test_repeats_are_named_and_counted(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = {"search.trials": 6, "search.space": {"epochs": [1, 3], "decay": [0.0, 0.1]}}
    plain, confirmed = (loader.load(toy, {**space, "search.confirm": each}) for each in (False, {"top": 3, "seeds": 2}))
    assert (preview.repeats(plain), preview.repeats(confirmed)) == (0, 6)
    assert (preview.evaluations(plain), preview.evaluations(confirmed)) == (6 * 2, 12 * 2)
    sentences = {step.stage: step.says for step in preview.preview(confirmed).steps}["search"]
    assert (
        "then the 3 best are trained again with 2 other seeds (6 more), best mean validation roc_auc wins" in sentences
    )
    assert "best validation roc_auc wins" in preview.preview(plain).steps[1].says
    fewer = loader.load(toy, {"search.trials": 6, "search.confirm": {"top": 3, "seeds": 1}})
    assert preview.repeats(fewer) == 1, "without a space all trials are one configuration"
    assert "then the best is trained again with 1 other seed (1 more)" in preview.preview(fewer).steps[1].says


def test_the_estimate_includes_the_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "_speed", lambda: 1e11)
    once = preview.preview(loader.load("quickstart", ["search.confirm=false"]))
    again = preview.preview(loader.load("quickstart", ["search.confirm={top = 2, seeds = 3}"]))
    assert again.seconds == pytest.approx(once.seconds * (3 + 6) / 3)


def test_a_grid_counts_its_combinations(toy: Path) -> None:
    space = {"search.sampler": "grid", "search.trials": 50, "search.space": {"epochs": [1, 2], "decay": [0.0, 0.1]}}
    assert preview.trials(loader.load(toy, space)) == 4
    assert preview.evaluations(loader.load(toy, space)) == 4 * 1.5
