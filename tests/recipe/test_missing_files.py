"""`ftkit check` names local files that are missing, with their places; they are warnings, as they may be elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ftkit import cli
from ftkit.recipe import loader

for _plugin in ("ftkit_tables", "ftkit_quickstart", "ftkit_strict", "ftkit_amazon_ucsd"):
    pytest.importorskip(_plugin, reason="a plugin with files among its options is not installed")

TABLE = '[dataset]\nuse = "table"\npath = "here.csv"\n'
MINILM = '[backbone]\nuse = "minilm"\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.csv").write_text("text,label\n")
    (tmp_path / "checkpoint").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TABLE + MINILM, []),
        (TABLE.replace("here", "gone") + MINILM, ["recipe.toml:3 dataset.path gone.csv"]),
        (
            TABLE.replace('path = "here.csv"', 'train = "here.csv"\nvalid = "v.csv"\ntest = "t.csv"') + MINILM,
            ["recipe.toml:4 dataset.valid v.csv", "recipe.toml:5 dataset.test t.csv"],
        ),
        ('[dataset]\nuse = "amazon-ucsd"\npath = "a.gz"\n' + MINILM, ["recipe.toml:3 dataset.path a.gz"]),
        ('[dataset]\nuse = "amazon-ucsd"\n' + MINILM, []),
        (TABLE + MINILM + 'checkpoint = "./gone"\n', ["recipe.toml:6 backbone.checkpoint gone"]),
        (TABLE + MINILM + 'checkpoint = "checkpoint"\n', []),
        (TABLE + MINILM + 'checkpoint = "somebody/model"\n', []),
        (
            TABLE + MINILM + '[[promote]]\nuse = "strict"\nexamples = "e.csv"\n',
            ["recipe.toml:8 promote.0.examples e.csv"],
        ),
    ],
)
def test_missing_files_are_named_with_their_places(
    folder: Path, capsys: pytest.CaptureFixture[str], text: str, expected: list[str]
) -> None:
    (folder / "recipe.toml").write_text(text)
    missing = loader.load("recipe.toml").missing
    assert [f"{each.where} {each.key} {Path(each.what.partition(' is not')[0]).name}" for each in missing] == expected
    assert cli.main(["check", "recipe.toml"]) == 0, "no mistake: the files may be on the machine that trains"
    out = capsys.readouterr().out
    assert "no mistakes" in out
    assert out.count("warning:") == len(expected)
    assert cli.main(["check", "recipe.toml", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)[0].get("warnings", [])) == len(expected)


def test_a_file_that_an_override_names_starts_in_the_working_folder(folder: Path) -> None:
    (folder / "recipe.toml").write_text(TABLE + MINILM)
    (missing,) = loader.load("recipe.toml", ["dataset.path=sub/gone.csv"]).missing
    assert missing.where == "--set dataset.path=sub/gone.csv"
    assert missing.what.startswith(f"{folder / 'sub' / 'gone.csv'} ")
