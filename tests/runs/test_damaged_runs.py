"""Runs whose files are damaged or gone: every command says what, where and how to mend, and none of them hides other runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import ftkit
from ftkit import cli
from ftkit.testing import toys
from tests import recipes

Damage = Callable[[Path], object]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of two finished runs, `toy-1` and `toy-2`."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch, recipes.written(folder) as recipe:
        patch.setenv("FTKIT_HOME", str(folder / "home"))
        quiet = {"registry.use": "none", "deploy.use": "none", "search.trials": 1, "search.confirm": False}
        for name in ("toy-1", "toy-2"):
            ftkit.run(recipe, quiet, emit=lambda event: None).folder.rename(folder / "home" / "runs" / name)
    return folder / "home"


@pytest.fixture
def home(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of it that a test may damage."""
    shutil.copytree(finished, tmp_path / "home")
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    with toys.install(tmp_path / "plugins"):
        yield tmp_path / "home"


def cut(name: str) -> Damage:
    return lambda run: (run / name).write_bytes((run / name).read_bytes()[:-20])


def overwrite(name: str, text: str) -> Damage:
    return lambda run: (run / name).write_text(text)


def remove(name: str) -> Damage:
    return lambda run: shutil.rmtree(run / name) if (run / name).is_dir() else (run / name).unlink()


def lose(fact: str) -> Damage:
    """A journal without the lines of one kind."""

    def damage(run: Path) -> None:
        lines = (run / "journal.jsonl").read_text().splitlines(keepends=True)
        (run / "journal.jsonl").write_text("".join(line for line in lines if f'"fact": "{fact}"' not in line))

    return damage


@pytest.mark.parametrize(
    ("damage", "command", "code", "what", "where"),
    [
        (remove("data"), "promote toy-1", 4, "the rows of the run are gone", "data/report.json"),
        (overwrite("data/report.json", "{"), "promote toy-1", 4, "rows of the run cannot be read", "data/report.json"),
        (overwrite("data/report.json", "[]"), "promote toy-1", 4, "rows of the run cannot be read", "data/report.json"),
        (remove("recipe.toml"), "promote toy-1", 4, "recipe cannot be read: No such file", "recipe.toml"),
        (overwrite("recipe.toml", "name ="), "export toy-1 --out x", 4, "it is damaged", "recipe.toml"),
        (remove("bundle"), "export toy-1 --out x", 2, "the model of this run is gone", "bundle"),
        (remove("bundle"), "promote toy-1", 2, "the model of this run is gone", "bundle"),
        (remove("bundle"), "predict toy-1 text", 4, "the model of this run is gone", "bundle"),
        (overwrite("bundle/manifest.json", "{"), "predict toy-1 text", 4, "manifest cannot be read", "manifest.json"),
        (cut("bundle/promotion.json"), "promote toy-1", 4, "promotion record", "promotion.json"),
        (overwrite("journal.jsonl", ""), "promote toy-1", 2, "has not come to a decision", "toy-1"),
    ],
)
def test_a_damaged_run_is_explained(
    home: Path, capsys: pytest.CaptureFixture[str], damage: Damage, command: str, code: int, what: str, where: str
) -> None:
    run = home / "runs" / "toy-1"
    damage(run)
    assert cli.main(command.split()) == code
    error = capsys.readouterr().err
    assert what in error
    assert f"{run}" in error
    assert where in error
    assert "hint:" in error
    assert "unexpected" not in error
    assert cli.main(["runs", "--json"]) == 0
    assert {each["run"] for each in json.loads(capsys.readouterr().out)} == {"toy-1", "toy-2"}


@pytest.mark.parametrize(
    "damage",
    [
        *map(lose, ("started", "environment", "data", "trial-started", "trial", "selected", "tested", "finished")),
        remove("data"),
        remove("data/report.json"),
        overwrite("data/report.json", "{"),
        overwrite("data/report.json", "[]"),
        cut("data/test.arrow"),
        remove("tested"),
        cut("tested/candidate.npy"),
        remove("recipe.toml"),
        overwrite("recipe.toml", "name ="),
        remove("bundle"),
        overwrite("bundle/manifest.json", "{"),
    ],
)
def test_what_is_left_of_a_damaged_run_is_shown(home: Path, capsys: pytest.CaptureFixture[str], damage: Damage) -> None:
    """The report says what it cannot show."""
    damage(home / "runs" / "toy-1")
    for command in ("runs toy-1", "report toy-1", "compare toy-1 toy-2"):
        assert cli.main(command.split()) == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    [
        "\0\0\0",
        "[1, 2]",
        '{"fact": 3}',
        '{"fact": "trial"}',
        '{"fact": "trial", "trial": {"number": 1}}',
        '{"fact": "selected"}',
        '{"fact": "started"}',
        '{"fact": "trial", "trial": {"number"',
    ],
)
def test_lines_of_a_journal_that_are_no_facts_are_counted_and_left_out(
    home: Path, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    with (home / "runs" / "toy-1" / "journal.jsonl").open("a") as journal:
        journal.write(f"{line}\n")
    for command in ("runs", "runs toy-1", "report toy-1", "compare toy-1 toy-2"):
        assert cli.main(command.split()) == 0, command
    assert "1 line cannot be read" in capsys.readouterr().out


def test_what_a_newer_ftkit_wrote_besides_is_left_out(home: Path) -> None:
    run = home / "runs" / "toy-1"
    for name, key in (("journal.jsonl", '"attempts"'), ("data/report.json", '"source"')):
        text = (run / name).read_text()
        assert key in text
        (run / name).write_text(text.replace(key, f'"of_the_future": 1, {key}'))
    for command in ("runs toy-1", "report toy-1", "compare toy-1 toy-2"):
        assert cli.main(command.split()) == 0, command
