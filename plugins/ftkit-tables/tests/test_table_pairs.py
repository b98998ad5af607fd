"""Two columns that stay apart: pairs of texts."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from ftkit_tables.table import Table

from ftkit import pairs
from ftkit.contracts import SPLITS, Data
from ftkit.data.near_duplicates import clusters
from ftkit.errors import DataError
from ftkit.runs import stored_data

COLUMNS = ("premise", "hypothesis")
WORDS = ["cat", "dog", "cow", "pig", "hen", "fox", "owl", "bat", "elk", "ram", "ewe", "yak"]
Row = tuple[object, object, str]


def rows(count: int = 120) -> list[Row]:
    random_words = random.Random(0)
    return [
        (" ".join(random_words.choices(WORDS, k=6)), f"{random_words.choice(WORDS)} number {number}", "ab"[number % 2])
        for number in range(count)
    ]


def load(path: Path, rows: Sequence[Row], **options: object) -> Data:
    lines = [json.dumps(dict(zip((*COLUMNS, "label"), row, strict=True))) for row in rows]
    path.write_text("\n".join(lines), encoding="utf-8")
    options = {"text": COLUMNS, "join": "pair", **options}
    return Table(path=path, **options).load(0, lambda event: None)  # type: ignore[arg-type]  # any options


def test_the_two_columns_stay_apart(tmp_path: Path) -> None:
    data = load(tmp_path / "rows.jsonl", rows())
    assert data.fields == COLUMNS
    texts = {text for split in SPLITS for text in getattr(data, split).texts}
    assert {pairs.sides(text) for text in texts} == {(first, second) for first, second, _ in rows()}
    assert data.report.lengths["max"] == 9, "the words of both sides"


def test_columns_are_joined_by_lines_unless_they_are_a_pair(tmp_path: Path) -> None:
    data = load(tmp_path / "rows.jsonl", rows(), join="lines")
    assert data.fields == ("text",) and data.train.texts[0].count("\n") == 1


def test_stored_rows_keep_their_sides_and_their_names(tmp_path: Path) -> None:
    data = load(tmp_path / "rows.jsonl", rows())
    stored_data.write(tmp_path, data)
    again = stored_data.read(tmp_path)
    assert again.fields == COLUMNS and list(again.train.texts) == list(data.train.texts)
    assert again.report.fingerprint == data.report.fingerprint


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (("a cat", "", "a"), "pair with one empty side"),
        ((None, "a cat", "b"), "pair with one empty side"),
        (("  ", "a cat", "b"), "pair with one empty side"),
        (("", " ", "a"), "empty text"),
        ((rows()[0][0], f"  {str(rows()[0][1]).upper()} ", "a"), "duplicate"),
        ((rows()[0][0], rows()[0][1], "b"), "same text, different labels"),
    ],
)
def test_a_pair_that_cannot_be_learnt_is_left_out_and_counted(tmp_path: Path, odd: Row, reason: str) -> None:
    assert reason in load(tmp_path / "rows.jsonl", [*rows(), odd]).report.dropped


def test_a_word_on_the_other_side_is_another_pair(tmp_path: Path) -> None:
    first, second, label = rows()[0]
    moved = (f"{first} {str(second).split()[0]}", " ".join(str(second).split()[1:]), label)
    assert load(tmp_path / "rows.jsonl", [*rows(), moved]).report.dropped == {}


def test_near_copies_of_a_pair_are_in_one_split(tmp_path: Path) -> None:
    long = [(f"{first} " * 3, second, label) for first, second, label in rows()]
    copies = [(f"{first}!", f"{second}.", label) for first, second, label in long]
    data = load(tmp_path / "rows.jsonl", [*long, *copies])
    split_of = {text: split for split in SPLITS for text in getattr(data, split).texts}
    groups = clusters([*split_of])
    assert groups and all(len({[*split_of.values()][row] for row in group}) == 1 for group in groups)


@pytest.mark.parametrize("side", [0, 1])
def test_rows_that_all_lack_a_side_are_an_error(tmp_path: Path, side: int) -> None:
    without = [tuple("" if place == side else value for place, value in enumerate(row)) for row in rows()]
    with pytest.raises(DataError, match="no rows are left: 120 pair with one empty side"):
        load(tmp_path / "rows.jsonl", without)  # type: ignore[arg-type]  # rows of three


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"text": "premise"}, "join = \"pair\" needs two columns.*not 'premise'"),
        ({"text": ("a", "b", "c")}, "needs two columns"),
        ({"text": ("a", "a")}, "needs two columns"),
        ({"format": "fasttext"}, "fasttext.*has one"),
    ],
)
def test_a_pair_has_two_columns(options: dict[str, object], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        Table(path=Path("rows.csv"), **{"text": COLUMNS, "join": "pair", **options})  # type: ignore[arg-type]  # any options


@pytest.mark.parametrize(("form", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_every_form_of_table_has_pairs(tmp_path: Path, form: str, delimiter: str) -> None:
    path = tmp_path / f"rows.{form}"
    lines = [delimiter.join(map(str, row)) for row in [(*COLUMNS, "label"), *rows()]]
    path.write_text("\n".join(lines), encoding="utf-8")
    data = Table(path=path, text=COLUMNS, join="pair").load(0, lambda event: None)
    assert {*map(pairs.is_pair, data.train.texts)} == {True}
    assert "Each row is a pair of texts: premise and hypothesis." in data.report.notes


def test_the_encoding_of_each_side_is_repaired(tmp_path: Path) -> None:
    garbled = ("un cafÃ© noir", "plain", "a")
    data = load(tmp_path / "rows.jsonl", [*rows(), garbled], repair=True)
    assert pairs.join("un café noir", "plain") in {text for split in SPLITS for text in getattr(data, split).texts}
