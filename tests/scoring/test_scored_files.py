"""`ftkit predict --in`: every row of a table comes out in its order, with its columns and its answer, whatever happens."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from ftkit import cli
from ftkit.bundle.bundle import verify
from ftkit.scoring import score
from ftkit.scoring.columns import safe_names
from ftkit.scoring.unfinished import Unfinished, folder_of
from ftkit.serving.schema import answer
from ftkit.testing import toys
from ftkit.testing.bundles import BAD, GOOD, toy_bundle

pytest.importorskip("ftkit_tables", reason="the tables plugin is not installed")

RECIPE = """name = "toys"
[dataset]
use = "table"
path = "rows.csv"
text = "review"
[backbone]
use = "toy-words"
"""
ROWS: list[dict[str, Any]] = [
    {"id": "007", "review": GOOD, "place": "Çelik, “here”"},
    {"id": "008", "review": BAD, "place": ""},
    {"id": "009", "review": "", "place": "no text"},
    {"id": "010", "review": f'{BAD}, "quoted"\n{BAD}', "place": "two\nlines"},
]
LABELS = ["good", "bad", "", "bad"]
FORMS = ("csv", "tsv", "jsonl", "parquet")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    with toys.install(tmp_path / "plugins"):
        toy_bundle(tmp_path / "bundle", recipe=RECIPE)
        yield tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: str, model: str = "bundle") -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main(["predict", model, *arguments])
        return (code, *capsys.readouterr())

    return command


def write(path: Path, rows: list[dict[str, Any]] = ROWS) -> None:
    if path.suffix == ".parquet":
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [*rows[0]], delimiter="," if path.suffix == ".csv" else "\t")
            writer.writeheader()
            writer.writerows(rows)


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return parquet.read_table(path).to_pylist()
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    with path.open(newline="", encoding="utf-8") as file:
        return [*csv.DictReader(file, delimiter="," if path.suffix == ".csv" else "\t")]


@pytest.mark.parametrize("out", FORMS)
@pytest.mark.parametrize("source", FORMS)
def test_every_form_into_every_form(folder: Path, run: Run, source: str, out: str) -> None:
    write(folder / f"rows.{source}")
    code, printed, err = run("--in", f"rows.{source}", "--out", f"scored.{out}", "--scores")
    assert (code, printed) == (0, f"4 rows written to scored.{out}.\n")
    assert "1 row without a text: no answer." in err
    rows = read(folder / f"scored.{out}")
    assert [[*row] for row in rows] == [[*ROWS[0], "label", "score", "score_bad", "score_good"]] * 4
    assert [{name: row[name] or "" for name in ROWS[0]} for row in rows] == ROWS
    assert [row["label"] or "" for row in rows] == LABELS
    expected = answer(
        verify("bundle").probabilities([row["review"] for row in ROWS if row["review"]]), ("bad", "good"), True
    )
    answered = [row for row in rows if row["label"]]
    for row, each in zip(answered, expected, strict=True):
        assert float(row["score"]) == each["score"] == max(float(row["score_bad"]), float(row["score_good"]))
    assert not folder_of(folder / f"scored.{out}").exists()


def test_a_packed_file_is_read_and_the_column_is_named(folder: Path, run: Run) -> None:
    content = "".join(json.dumps({"body": text}) + "\n" for text in (GOOD, BAD))
    (folder / "rows.jsonl.gz").write_bytes(gzip.compress(content.encode()))
    code, out, _ = run("--in", "rows.jsonl.gz", "--text", "body", "--out", "scored.csv", "--json")
    assert code == 0
    numbers = {"rows": 2, "answered": 2, "without_text": 0, "unreadable": 0, "labels": {"bad": 1, "good": 1}}
    assert json.loads(out) == {"out": "scored.csv", **numbers}
    assert [[*row] for row in read(folder / "scored.csv")] == [["body", "label", "score"]] * 2


def test_values_keep_their_types(folder: Path, run: Run) -> None:
    values = {"review": GOOD, "count": 3, "share": 0.5, "tags": ["a", "b"], "at": {"x": 1, "y": None}, "none": None}
    write(
        folder / "rows.jsonl", [values, {"review": BAD, "count": 4, "share": 1, "mixed": 1, "more": {}}, {"mixed": "a"}]
    )
    for name in ("scored.jsonl", "scored.parquet"):
        assert run("--in", "rows.jsonl", "--out", name)[0] == 0
    lines = read(folder / "scored.jsonl")
    assert list(lines[0].items())[:-2] == list(values.items())
    assert [*lines[1]] == ["review", "count", "share", "mixed", "more", "label", "score"]
    table = read(folder / "scored.parquet")
    assert [row["mixed"] for row in table] == [None, "1", "a"]
    assert [row["more"] for row in table] == [None, "{}", None]
    assert (table[0]["count"], table[0]["tags"], table[0]["at"]["x"], table[1]["share"]) == (3, ["a", "b"], 1, 1.0)
    write(folder / "dates.parquet", [{"review": GOOD, "raw": b"\xff"}])
    assert run("--in", "dates.parquet", "--out", "dates.csv")[0] == 0
    assert read(folder / "dates.csv")[0]["raw"] == "\ufffd"


def test_rows_that_cannot_be_read_are_counted_and_keep_their_place(folder: Path, run: Run) -> None:
    (folder / "rows.csv").write_bytes(f"id,review\n1,{GOOD}\n2,{BAD},more\n3,{BAD}\n".encode())
    code, _, err = run("--in", "rows.csv", "--out", "scored.jsonl")
    assert code == 0
    assert "1 row cannot be read (line 3): no answer." in err
    rows = read(folder / "scored.jsonl")
    assert [(row.get("id"), row["label"]) for row in rows] == [("1", "good"), (None, None), ("3", "bad")]


PROGRAM = """
import os, signal, sys
from ftkit import cli
from ftkit.scoring import score, unfinished
score.BLOCK, score.SECONDS = 4, 0.0
add = unfinished.Unfinished.add
def killed(self, form, blocks, tally):
    if tally.rows == 12:
        form.write(self.folder / "000000000008", blocks[:0])  # half a part
        os.kill(os.getpid(), signal.SIGKILL)
    add(self, form, blocks, tally)
unfinished.Unfinished.add = killed
sys.exit(cli.main(["predict", "bundle", *sys.argv[1:]]))
"""


def many(folder: Path) -> None:
    write(folder / "rows.csv", [{"id": f"{number}", "review": (GOOD, BAD, "")[number % 3]} for number in range(30)])


def test_a_killed_command_goes_on_to_the_same_bytes(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    many(folder)
    command = ("--in", "rows.csv", "--out", "killed.csv", "--scores")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run([sys.executable, "-c", PROGRAM, *command], env=environment, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (folder / "killed.csv").exists()
    assert json.loads((folder_of(folder / "killed.csv") / "about.json").read_text())["tally"]["rows"] == 8
    monkeypatch.setattr("ftkit.scoring.score.BLOCK", 4)
    code, out, err = run(*command)
    assert (code, out) == (0, "30 rows written to killed.csv.\n")
    assert "10 rows without a text" in err
    assert run("--in", "rows.csv", "--out", "whole.csv", "--scores")[0] == 0
    assert (folder / "killed.csv").read_bytes() == (folder / "whole.csv").read_bytes()


@pytest.mark.parametrize("out", FORMS)
def test_an_interrupted_command_goes_on_to_the_same_bytes(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    many(folder)
    monkeypatch.setattr("ftkit.scoring.score.BLOCK", 4)
    assert run("--in", "rows.csv", "--out", f"whole.{out}")[0] == 0
    monkeypatch.setattr("ftkit.scoring.score.SECONDS", 0.0)
    compute, calls = score._answers, itertools.count()

    def interrupted(*arguments: Any) -> Any:
        if next(calls) == 3:
            raise KeyboardInterrupt
        return compute(*arguments)

    monkeypatch.setattr("ftkit.scoring.score._answers", interrupted)
    code, _, err = run("--in", "rows.csv", "--out", f"scored.{out}")
    assert code == 130
    assert "12 rows kept in" in err
    assert run("--in", "rows.csv", "--out", f"scored.{out}", "--force")[0] == 0
    assert next(calls) == 9  # 8 blocks, and the one that was interrupted
    assert (folder / f"scored.{out}").read_bytes() == (folder / f"whole.{out}").read_bytes()


def test_what_differs_from_what_was_begun_is_refused(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder / "rows.csv")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    command = ("--in", "rows.csv", "--out", "scored.csv")
    with monkeypatch.context() as patch:
        patch.setattr("ftkit.scoring.forms.Delimited.join", full)
        code, _, err = run(*command)
    assert code == 4
    assert "the disk is full" in err
    assert "4 rows that are done are kept: the same command goes on from there" in err
    for more, words in (
        (("--scores",), "another choice of --scores"),
        (("--text", "place", "--prefix", "its_"), "another text column and another --prefix"),
        (("--engine", "native"), "another engine"),
    ):
        code, _, err = run(*command, *more)
        assert (code, f"begun with {words}; 4 rows done" in err) == (2, True), err
    toy_bundle(folder / "another", ("no", "yes"), recipe=RECIPE)
    assert "begun with another model" in run(*command, model="another")[2]
    content = (folder / "rows.csv").read_bytes()
    write(folder / "rows.csv", ROWS[:3])
    assert "begun with other rows" in run(*command)[2]
    (folder / "rows.csv").write_bytes(content)
    calls: list[Any] = []
    monkeypatch.setattr("ftkit.scoring.score._answers", lambda *_: calls.append(_))
    assert run(*command)[0] == 0
    assert (calls, len(read(folder / "scored.csv"))) == ([], 4)


def test_a_file_is_replaced_only_by_force(folder: Path, run: Run) -> None:
    write(folder / "rows.csv")
    (folder / "scored.csv").write_text("mine")
    code, _, err = run("--in", "rows.csv", "--out", "scored.csv")
    assert (code, (folder / "scored.csv").read_text()) == (2, "mine")
    assert "--force" in err
    assert run("--in", "rows.csv", "--out", "scored.csv", "--force")[0] == 0
    assert len(read(folder / "scored.csv")) == 4


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["--in", "none.csv", "--out", "a.csv"], 2, "there is no such file"),
        (["--in", "rows.csv"], 2, "no --out FILE"),
        (["--in", "rows.csv", "--out", "a.csv", "a text"], 2, "further texts"),
        (["--in", "rows.csv", "--out", "a.xlsx"], 2, ".csv, .tsv, .jsonl or .parquet"),
        (["--in", "rows.csv", "--out", "nowhere/a.csv"], 2, "there is no such folder"),
        (["--in", "rows.csv", "--out", "rows.csv"], 2, "would replace the rows"),
        (["--in", "rows.csv", "--out", "a.csv", "--text", "body"], 4, "the columns are 'id', 'review', 'place'"),
        (["--in", "rows.csv", "--out", "a.csv", "--engine", "onnx"], 4, "no engine 'onnx'"),
        (["--in", "labelled.csv", "--out", "a.csv"], 2, "--prefix predicted_"),
        (["--prefix", "a_", "a text"], 2, "--in FILE"),
    ],
)
def test_what_cannot_be_done_is_said(folder: Path, run: Run, arguments: list[str], code: int, expected: str) -> None:
    write(folder / "rows.csv")
    write(folder / "labelled.csv", [{**ROWS[0], "Label": "good"}])
    result, _, err = run(*arguments)
    assert (result, expected in err) == (code, True), err


def test_a_folder_that_cannot_be_written_is_said(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder / "rows.csv")

    def refused(*_: Any, **__: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("filelock.FileLock.acquire", refused)
    code, _, err = run("--in", "rows.csv", "--out", "a.csv")
    assert (code, "cannot be written: Read-only file system" in err) == (2, True)


def test_two_commands_do_not_write_one_file(folder: Path, run: Run) -> None:
    write(folder / "rows.csv")
    with Unfinished(folder / "a.csv", {}).opened(anew=False):
        code, _, err = run("--in", "rows.csv", "--out", "a.csv", "--force")
    assert (code, "another command writes this file" in err) == (2, True)


def test_another_prefix_keeps_the_labels_that_are_there(folder: Path, run: Run) -> None:
    write(folder / "rows.csv", [{**ROWS[0], "label": "bad"}])
    assert run("--in", "rows.csv", "--out", "scored.csv", "--prefix", "predicted_")[0] == 0
    (row,) = read(folder / "scored.csv")
    assert (row["label"], row["predicted_label"]) == ("bad", "good")


def test_names_of_columns_are_safe_and_distinct() -> None:
    classes = ("1 star", "1_star", "1-STAR", "größe", '"; drop', "")
    assert safe_names("score_", classes) == (
        "score_1_star",
        "score_1_star_2",
        "score_1_STAR_3",
        "score_größe",
        "score____drop",
        "score__",
    )


def test_several_labels_are_a_list_or_joined(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text with no label has an empty list, which is an answer."""
    toy_bundle(folder / "several", recipe=RECIPE, beside={"task.json": '"multi-label"'})
    monkeypatch.setattr("ftkit.bundle.bundle.Bundle.task", "multi-label")
    scores = {GOOD: [0.9, 0.8], BAD: [0.7, 0.1], ROWS[3]["review"]: [0.2, 0.3]}
    monkeypatch.setattr(
        toys.ToyClassifier, "probabilities", lambda _, texts: np.array([scores[text] for text in texts])
    )
    write(folder / "rows.jsonl")
    for out, empty in (("jsonl", []), ("parquet", []), ("csv", "")):
        code, printed, err = run("--in", "rows.jsonl", "--out", f"scored.{out}", "--json", model="several")
        assert (code, json.loads(printed)["labels"]) == (0, {"bad": 2, "good": 1}), err
        labels = [row["label"] for row in read(folder / f"scored.{out}")]
        both, one = ("bad|good", "bad") if out == "csv" else (["bad", "good"], ["bad"])
        assert labels == [both, one, "" if out == "csv" else None, empty]
