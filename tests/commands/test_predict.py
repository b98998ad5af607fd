"""`ftkit predict`: every source of texts gets one answer a text, in order; rows of tables keep their numbers."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ftkit import cli
from ftkit.bundle.bundle import Bundle
from ftkit.commands import texts_to_classify
from ftkit.commands.predict import one_line
from ftkit.errors import UsageError
from ftkit.testing import toys
from ftkit.testing.bundles import BAD, GOOD, toy_bundle

pytest.importorskip("ftkit_tables", reason="the tables plugin is not installed")

RECIPE = """name = "toys"
[dataset]
use = "table"
path = "rows.csv"
text = "{text}"
[backbone]
use = "toy-words"
"""
ROWS = [(GOOD, 1), (BAD, 2), (None, 3), (f'{GOOD}, "quoted"\n{GOOD}', 4), (BAD, 5)]
EXPECTED = ["good", "bad", "", "good", "bad"]

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    with toys.install(tmp_path / "plugins"):
        toy_bundle(tmp_path / "bundle", recipe=RECIPE.format(text="review"))
        yield tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main(["predict", "bundle", *arguments])
        return (code, *capsys.readouterr())

    return command


def write(path: Path, column: str = "review") -> list[int]:
    """A table of ROWS, and the number of each of its rows."""
    if path.suffix in (".csv", ".tsv"):
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, delimiter="," if path.suffix == ".csv" else "\t")
            writer.writerows([("id", column), *((number, text) for text, number in ROWS)])
        return [2, 3, 4, 5, 7]
    records = [{"id": number, column: text} for text, number in ROWS]
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(each) + "\n" for each in records))
    else:
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(records), path)
    return [1, 2, 3, 4, 5]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_tables_are_read_as_tables(folder: Path, run: Run, suffix: str) -> None:
    """By the text column of the recipe; a row without a text is named and keeps its place."""
    numbers = write(folder / f"rows.{suffix}")
    code, out, err = run("--file", f"rows.{suffix}")
    assert (code, out.splitlines()) == (0, [f"{n}\t{label}" for n, label in zip(numbers, EXPECTED, strict=True)])
    assert err.splitlines() == [
        f"row {numbers[2]}: there is no text to classify",
        "1 row without a text got no label.",
    ]
    _, out, _ = run("--file", f"rows.{suffix}", "--json", "--scores")
    answers = [json.loads(line) for line in out.splitlines()]
    assert [each["row"] for each in answers] == numbers
    assert [each["label"] or "" for each in answers] == EXPECTED
    assert answers[2] == {"row": numbers[2], "text": None, "label": None}


def test_another_column_is_named_on_the_command_line(folder: Path, run: Run) -> None:
    write(folder / "rows.csv", column="body")
    assert [line.split("\t")[1] for line in run("--file", "rows.csv", "--text", "body")[1].splitlines()] == EXPECTED
    code, _, err = run("--file", "rows.csv")
    assert code == 4
    assert "'review'" in err
    assert "--text COLUMN" in err


def test_a_text_file_is_one_text_a_line(folder: Path, run: Run) -> None:
    (folder / "texts.txt").write_text(f"{GOOD}\n\n{BAD}, and a comma\n")
    code, out, _ = run("--file", "texts.txt")
    assert (code, len(out.splitlines())) == (0, 3)
    assert out.splitlines()[::2] == ["good", "bad"]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl"])
def test_answers_are_written_with_all_scores(folder: Path, run: Run, suffix: str) -> None:
    numbers = write(folder / "rows.csv")
    code, out, _ = run("--file", "rows.csv", "--out", f"answers.{suffix}")
    assert (code, out) == (0, f"Written to answers.{suffix}.\n")
    content = (folder / f"answers.{suffix}").read_text()
    if suffix == "jsonl":
        records = [json.loads(line) for line in content.splitlines()]
        scores = [list(each["scores"].values()) for each in records]
    else:
        lines = content.splitlines(keepends=True)
        records = list(csv.DictReader(lines, delimiter="," if suffix == "csv" else "\t"))
        scores = [[float(each[f"score {name}"] or 0) for name in ("bad", "good")] for each in records]
    assert [int(each["row"]) for each in records] == numbers
    assert [each["label"] or "" for each in records] == EXPECTED
    assert [(each["text"] or None) for each in records] == [text for text, _ in ROWS]
    assert [sum(each) for each in scores] == pytest.approx([1, 1, 0, 1, 1])
    assert sorted(path.name for path in folder.glob("*answers*")) == [f"answers.{suffix}"]


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["--file", "nope.csv"], 2, "there is no such file"),
        (["--file", "plugins"], 2, "this is a folder"),
        (["--file", "rows.xlsx"], 3, "no installed data set reads .xlsx files"),
        (["--file", "texts.txt", "--text", "review"], 2, "is no table by its name"),
        (["--text", "review", "a text"], 2, "there is no table"),
        (["--file", "rows.csv", "--out", "answers.xml"], 2, "'.xml'"),
        (["--file", "rows.csv", "--out", "nowhere/answers.csv"], 2, "there is no such folder"),
        (["--file", "rows.csv", "--out", "rows.csv"], 2, "would replace the texts"),
        (["--file", "empty.csv"], 4, "--text COLUMN"),
    ],
)
def test_what_cannot_be_read_or_written_is_said(
    folder: Path, run: Run, arguments: list[str], code: int, expected: str
) -> None:
    write(folder / "rows.csv")
    for name in ("rows.xlsx", "texts.txt", "empty.csv"):
        (folder / name).write_text("")
    content = (folder / "rows.csv").read_bytes()
    result, out, err = run(*arguments)
    assert (result, out) == (code, "")
    assert expected in err
    assert (folder / "rows.csv").read_bytes() == content


@pytest.mark.parametrize(
    ("label", "line"),
    [
        ("good", "good"),
        ("two\nlines", "two\\nlines"),
        ("a\ttab", "a\\ttab"),
        ("\u2028", "\\u2028"),
        ("schön 好", "schön 好"),
    ],
)
def test_an_answer_is_one_line_whatever_the_label_holds(label: str, line: str) -> None:
    assert one_line(label) == line


def test_a_table_of_pairs_needs_two_columns(tmp_path: Path) -> None:
    """Also where nobody names them: the recipe of the model may be of another data set."""
    (tmp_path / "rows.csv").write_text("text\na\n")
    model = Bundle(tmp_path, {"classes": ["a", "b"], "fields": ["premise", "hypothesis"]}, "")
    with pytest.raises(UsageError, match="names 1 of two columns"):
        list(texts_to_classify.given((), tmp_path / "rows.csv", (), model))
