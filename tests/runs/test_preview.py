"""The preview of a run: its steps and its estimated time."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import ftkit
from ftkit import cli, files
from ftkit.contracts import Split
from ftkit.encoders import Encoder
from ftkit.encoders.training import pace
from ftkit.errors import CheckpointError, DataError
from ftkit.recipe import loader
from ftkit.runs import cost, preview
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
    monkeypatch.setattr(Encoder, "epoch_seconds", lambda self, data: 20.0 + len(data.test))
    shown = preview.preview(loader.load("quickstart"))
    sentences = {step.stage: step.says for step in shown.steps}
    assert list(sentences) == ["data", "backbone", "search", "test", "register", "deploy"]
    assert "parameters 22.7 million" in sentences["backbone"]
    assert "texts in 5 classes" in sentences["data"]
    assert "3 trials of minilm on local" in sentences["search"]
    assert "beats-champion" in sentences["test"]
    assert "news-endpoint" in sentences["deploy"]
    assert shown.seconds == 3 * (cost.STARTING + 2 * 20.0), (
        "three trials of two epochs, and the test split stays closed"
    )
    assert "steps of training" in shown.basis


def test_the_time_of_an_epoch_is_measured_by_training_a_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps are timed; longer rows take longer, and more rows take longer in proportion."""
    data = loader.load("quickstart").dataset.load(7, lambda event: None)
    few = replace(data, train=Split(data.train.texts[:64], data.train.labels[:64]), valid=Split((), ()))
    twice = replace(few, train=Split(2 * few.train.texts, 2 * few.train.labels))
    backbone = loader.load("quickstart").backbone
    assert replace(backbone, max_length=16).epoch_seconds(few) > 0
    monkeypatch.setattr(pace, "_step", lambda learner, rows, length: (length / 1000, 0.5))
    short, long, more = (
        replace(backbone, max_length=length).epoch_seconds(rows)
        for length, rows in ((16, few), (256, few), (256, twice))
    )
    assert short == pytest.approx(64 * 16 / 1000 + 4 * 0.5)
    assert short < long
    assert more == pytest.approx(2 * long, rel=0.05)  # batches pad a little differently


def test_a_checkpoint_that_is_not_here_is_guessed_by_the_speed_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "_speed", lambda: 1e11)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    shown = preview.preview(loader.load("quickstart", {"backbone.checkpoint": "nobody/nothing"}))
    rows, tokens, epochs = 1700 + 212 / 3, 96, 3 * 2
    operations = 6 * shown.plan.backbone.encoder_parameters * tokens * rows * epochs
    assert shown.seconds == pytest.approx(operations / 1e11 + 3 * cost.STARTING)
    assert "guessed" in shown.basis
    assert "would be downloaded first" in shown.steps[1].says


def test_the_speed_of_this_machine_is_plausible() -> None:
    assert 1e8 < cost._speed() < 1e16


def test_other_processes_hardly_change_the_measured_speed() -> None:
    """Eight processes that never rest, at the same priority, on any number of cores."""
    alone = cost._speed()
    busy_processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(8)]
    try:
        beside_others = cost._speed()
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


TABLE = """
name = "table"

[dataset]
use = "table"
path = "rows.csv"

[backbone]
use = "{backbone}"
"""


@pytest.fixture
def table(toy: Path) -> Path:
    """A recipe whose data are a file."""
    pytest.importorskip("ftkit_tables", reason="the tables plugin is not installed")
    rows = [f"a text with the number {number},{('bad', 'good')[number % 2]}" for number in range(60)]
    (toy.parent / "rows.csv").write_text("\n".join(["text,label", *rows, ""]))
    toy.write_text(TABLE.format(backbone="toy-words"))
    return toy


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "no such file"),
        ("text,label\n", ""),
        ("text,label\none text,bad\n", ""),
        ("title,topic\none text,bad\n" * 60, "column"),
    ],
)
def test_errors_of_local_data_are_those_of_the_run(table: Path, content: str | None, expected: str) -> None:
    file = table.parent / "rows.csv"
    file.unlink() if content is None else file.write_text(content)
    plan = loader.load(table)
    with pytest.raises(DataError) as of_preview:
        preview.preview(plan)
    with pytest.raises(DataError) as of_run:
        plan.platform.run(plan, lambda event: None)
    assert str(of_preview.value) == str(of_run.value)
    assert expected in str(of_preview.value)


def test_a_local_checkpoint_that_is_missing_is_the_error_of_the_run(table: Path) -> None:
    table.write_text(TABLE.format(backbone='minilm"\ncheckpoint = "./nothing'))
    with pytest.raises(CheckpointError, match="no such folder"):
        preview.preview(loader.load(table))


def test_warnings_of_the_data_report_are_shown(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table.write_text(TABLE.format(backbone="minilm"))
    rows = [f"{chr(0x0F40 + number % 30) * 30} {number},{('bad', 'good')[number % 2]}" for number in range(60)]
    (table.parent / "rows.csv").write_text("\n".join(["text,label", *rows, ""]), encoding="utf-8")
    shown = preview.preview(loader.load(table))
    assert any("minilm" in warning for warning in shown.warnings)
    assert cli.main(["plan", str(table)]) == 0
    assert shown.warnings[0][:60] in capsys.readouterr().out


def test_rows_of_an_earlier_run_are_used_only_while_the_file_is_the_same(table: Path) -> None:
    ftkit.run(table, QUIET, emit=lambda event: None)
    assert "60 texts" in preview.preview(loader.load(table)).steps[0].says
    with (table.parent / "rows.csv").open("a") as file:
        file.writelines(f"one more text with the number {number},bad\n" for number in range(60))
    assert "120 texts" in preview.preview(loader.load(table)).steps[0].says


def test_an_earlier_run_whose_data_are_damaged_is_passed_over(table: Path) -> None:
    outcome = ftkit.run(table, QUIET, emit=lambda event: None)
    (outcome.folder / "data" / "report.json").write_text("{")
    assert "60 texts" in preview.preview(loader.load(table)).steps[0].says


def test_data_are_not_downloaded() -> None:
    shown = preview.preview(loader.load("bert_automotive"))
    assert "downloaded first" in shown.steps[0].says
    assert shown.seconds is None


def test_repeats_are_named_and_counted(toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = {"search.trials": 6, "search.space": {"epochs": [1, 3], "decay": [0.0, 0.1]}}
    plain, confirmed = (loader.load(toy, {**space, "search.confirm": each}) for each in (False, {"top": 3, "seeds": 2}))
    assert (cost.repeats(plain), cost.repeats(confirmed)) == (0, 6)
    assert (cost.evaluations(plain), cost.evaluations(confirmed)) == (6 * 2, 12 * 2)
    sentences = {step.stage: step.says for step in preview.preview(confirmed).steps}["search"]
    assert (
        "then the 3 best are trained again with 2 other seeds (6 more), best mean validation roc_auc wins" in sentences
    )
    assert "best validation roc_auc wins" in preview.preview(plain).steps[1].says
    fewer = loader.load(toy, {"search.trials": 6, "search.confirm": {"top": 3, "seeds": 1}})
    assert cost.repeats(fewer) == 1, "without a space all trials are one configuration"
    assert "then the best is trained again with 1 other seed (1 more)" in preview.preview(fewer).steps[1].says


def test_the_estimate_includes_the_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Encoder, "epoch_seconds", lambda self, data: 20.0)
    once = preview.preview(loader.load("quickstart", ["search.confirm=false"]))
    again = preview.preview(loader.load("quickstart", ["search.confirm={top = 2, seeds = 3}"]))
    assert again.seconds == pytest.approx(once.seconds * (3 + 6) / 3)


def test_a_grid_counts_its_combinations(toy: Path) -> None:
    space = {"search.sampler": "grid", "search.trials": 50, "search.space": {"epochs": [1, 2], "decay": [0.0, 0.1]}}
    assert cost.trials(loader.load(toy, space)) == 4
    assert cost.evaluations(loader.load(toy, space)) == 4 * 1.5
