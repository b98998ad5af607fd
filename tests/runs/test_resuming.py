"""A run that goes on: what has changed since it began is told before anything is trained."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ftkit import runner
from ftkit.contracts import Trial
from ftkit.contracts.events import Event, Noticed
from ftkit.recipe import loader
from ftkit.runs import ledger as ledgers
from ftkit.runs import provenance, resuming, source_files
from ftkit.testing import toys

pytest.importorskip("ftkit_tables", reason="the tables plugin is not installed")

TABLE = """
name = "changed"

[dataset]
use = "table"
{files}

[backbone]
use = "toy-words"
"""
ONE, PARTS = 'path = "rows.csv"', 'train = "rows.csv"\ntest = "test.csv"'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with two tables, a home of its own, and the toys installed."""
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for name in ("rows.csv", "test.csv"):
        lines = [f"{name} text number {number} of the table,{('bad', 'good')[number % 2]}" for number in range(80)]
        (tmp_path / name).write_text("\n".join(["text,label", *lines, ""]))
    with toys.install(tmp_path / "plugins"):
        yield tmp_path


def begun(folder: Path, files: str = ONE) -> ledgers.Ledger:
    """A run that was interrupted when it had taken its rows."""
    (folder / "recipe.toml").write_text(TABLE.format(files=files))
    plan = loader.load(folder / "recipe.toml")
    with runner.under_way(plan, lambda event: None) as ledger:
        runner.load_data(plan, ledger, lambda event: None)
    return ledger


def told(folder: Path, **options: object) -> list[Noticed]:
    """What the same command says."""
    events: list[Event] = []
    plan = loader.load(folder / "recipe.toml", **options)  # type: ignore[arg-type]  # options of the test
    with runner.under_way(plan, events.append) as ledger:
        runner.load_data(plan, ledger, events.append)
    return [each for each in events if isinstance(each, Noticed)]


def other_bytes_of_the_same_size(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"bad", b"bat"))


def another_row(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"one more text,bad\n")


def touched(path: Path) -> None:
    os.utime(path, ns=(1, 1))


def the_same_bytes_again(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)


def nothing(path: Path) -> None:
    """Leave it as it is."""


@pytest.mark.parametrize("files", [ONE, PARTS])
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (other_bytes_of_the_same_size, "has changed since the rows were taken"),
        (another_row, "has changed since the rows were taken"),
        (Path.unlink, "is gone since the rows were taken"),
        (touched, ""),
        (the_same_bytes_again, ""),
        (nothing, ""),
    ],
)
def test_a_file_that_changed_is_named(folder: Path, files: str, change: Callable[[Path], None], expected: str) -> None:
    option, path = ("path", folder / "rows.csv") if files == ONE else ("test", folder / "test.csv")
    ledger = begun(folder, files)
    change(path)
    warnings = told(folder)
    assert [each.warning for each in warnings] == [True] * bool(expected)
    for warning in warnings:
        assert f"{path} (dataset.{option}) {expected}" in warning.text
        assert "--fresh" in warning.text
        assert ledger.run in [each.run for each in ledgers.runs()]
        assert ledgers.find(ledger.run).fact("changed")["sentences"] == [warning.text]


def test_a_fresh_run_of_changed_files_says_nothing(folder: Path) -> None:
    begun(folder)
    another_row(folder / "rows.csv")
    assert told(folder, fresh=True) == []


def test_a_journal_without_the_files_says_nothing(folder: Path) -> None:
    ledger = begun(folder)
    journal = ledger.folder / "journal.jsonl"
    lines = [line for line in journal.read_text().splitlines() if f'"fact": "{source_files.FACT}"' not in line]
    journal.write_text("\n".join([*lines, ""]))
    another_row(folder / "rows.csv")
    assert told(folder) == []


def test_a_file_that_is_written_while_it_is_read_is_named(folder: Path) -> None:
    (folder / "recipe.toml").write_text(TABLE.format(files=ONE))
    plan, events = loader.load(folder / "recipe.toml"), []
    with runner.under_way(plan, lambda event: None) as ledger, source_files.recorded(plan, ledger, events.append):
        another_row(folder / "rows.csv")
    assert "rows.csv (dataset.path) was written while it was read" in events[0].text


def test_a_checkpoint_folder_that_changed_is_named(folder: Path) -> None:
    """The folder counts as a whole: its names and all contents, at any depth."""
    quickstart = pytest.importorskip("ftkit_quickstart", reason="the quickstart plugin is not installed")
    checkpoint = folder / "checkpoint"
    (checkpoint / "deeper").mkdir(parents=True)
    (checkpoint / "deeper" / "model.safetensors").write_bytes(b"weights")
    (checkpoint / ".hidden").write_bytes(b"")
    (folder / "recipe.toml").write_text(
        TABLE.format(files=ONE).replace("toy-words", 'minilm"\ncheckpoint = "checkpoint')
    )
    plan = loader.load(folder / "recipe.toml")
    assert isinstance(plan.backbone, quickstart.MiniLM)
    with runner.under_way(plan, lambda event: None) as ledger, source_files.recorded(plan, ledger, lambda event: None):
        pass
    (checkpoint / ".hidden").write_bytes(b"of a tool")
    assert source_files.changes(ledger) == []
    (checkpoint / "config.json").write_text("{}")
    assert source_files.changes(ledger) == [
        f"{checkpoint} (backbone.checkpoint) has changed since the weights were taken from it"
    ]
    shutil.rmtree(checkpoint)
    assert source_files.changes(ledger) == [
        f"{checkpoint} (backbone.checkpoint) is gone since the weights were taken from it"
    ]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("python", "3.0.1", "Python 3.0.1, now"),
        ("gpus", ["A card"], "the GPUs A card, now none"),
        ("bf16_units", ["of_old"], "the bf16 units of_old, now"),
        ("cores", 999, ""),
        ("versions", {"numpy": "0.9"}, "numpy 0.9, now"),
        ("versions", {"ftkit": "0.0.1"}, "ftkit 0.0.1, now"),
        ("versions", {"a-plugin-of-other-recipes": "1.0"}, ""),
    ],
)
def test_other_software_and_another_machine_are_named(folder: Path, key: str, value: object, expected: str) -> None:
    ledger = begun(folder)
    now = {**provenance.described(), "gpus": []}
    ledger.append("environment", **{**now, key: {**now["versions"], **value} if isinstance(value, dict) else value})
    sentences = [each for each in resuming.changes(ledger) if now["gpus"] == [] or "GPUs" not in each]
    assert [expected in each for each in sentences] == [True] * bool(expected)


def test_an_interrupted_run_that_another_recipe_leaves_behind_is_named(folder: Path) -> None:
    ledger = begun(folder)
    ledger.append("failed", error="a reason")
    (folder / "recipe.toml").write_text(TABLE.format(files=ONE) + "epochs = 2\n")
    assert told(folder) == [], "no work is lost"
    for each in ledgers.runs():
        if each.run != ledger.run:
            shutil.rmtree(each.folder)
    ledger.record_trial(Trial(number=0, values={}, seed=1, state="finished"))
    (notice,) = told(folder)
    assert ledger.run in notice.text
    assert "differs in backbone.epochs" in notice.text
    assert not notice.warning


def test_what_changed_is_shown_of_a_run_later(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from ftkit import cli

    ledger = begun(folder)
    another_row(folder / "rows.csv")
    assert cli.main(["runs", ledger.run]) == 0
    assert "rows.csv (dataset.path) has changed" in capsys.readouterr().out


def test_a_source_that_cannot_be_read_any_more_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = begun(folder)
    touched(folder / "rows.csv")

    def refused(path: Path) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(source_files, "_content_hash", refused)
    (sentence,) = source_files.changes(ledger)
    assert sentence.startswith("whether ")
    assert "Permission denied" in sentence
