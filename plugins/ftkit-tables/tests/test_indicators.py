"""One label in several columns of zeros and ones: read in every format, offered where it is sure, refused where it is none."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.feather
import pyarrow.parquet
import pytest
from ftkit_tables import Table

from ftkit import options
from ftkit.contracts import SPLITS, Data
from ftkit.errors import DataError

COLUMNS = ("neg", "neu", "pos")
PROPOSAL = 'label = ["neg", "neu", "pos"]'
WAYS: dict[str, tuple[Any, Any]] = {
    "numbers": (0, 1),
    "floats": (0.0, 1.0),
    "truth": (False, True),
    "texts": ("0", "1"),
}

FAST = {"near_copies": "ignored"}

Rows = list[dict[str, Any]]


def one_hot(zero: Any = 0, one: Any = 1) -> Rows:
    """Rows of three classes in turn."""
    return [
        {"id": 100 + number, "text": f"text number {number}"}
        | {name: one if place == number % 3 else zero for place, name in enumerate(COLUMNS)}
        for number in range(60)
    ]


def delimited(delimiter: str) -> Callable[[Path, Rows], None]:
    def write(path: Path, rows: Rows) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [*rows[0]], delimiter=delimiter)
            writer.writeheader()
            writer.writerows(rows)

    return write


def write_lines(path: Path, rows: Rows) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


FORMATS: dict[str, Callable[[Path, Rows], Any]] = {
    "csv": delimited(","),
    "tsv": delimited("\t"),
    "jsonl": write_lines,
    "json": lambda path, rows: path.write_text(json.dumps(rows), "utf-8"),
    "parquet": lambda path, rows: pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path),
    "arrow": lambda path, rows: pyarrow.feather.write_feather(pyarrow.Table.from_pylist(rows), str(path)),
}


def load(path: Path, label: str | Sequence[str] = COLUMNS, **values: Any) -> Data:
    written = {"path": str(path), "label": [*label] if not isinstance(label, str) else label} | values | FAST
    return options.build(Table, written).load(7, lambda event: None)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", FORMATS)
def test_one_label_in_several_columns_is_read(tmp_path: Path, form: str, way: str) -> None:
    path = tmp_path / f"rows.{form}"
    FORMATS[form](path, one_hot(*WAYS[way]))
    data = load(path, columns=["id"])
    assert data.classes == COLUMNS
    rows = [
        (text, label, identity)
        for name in SPLITS
        for split in [getattr(data, name)]
        for text, label, identity in zip(split.texts, split.labels, split.columns["id"], strict=True)
    ]
    assert len(rows) == 60
    for text, label, identity in rows:
        number = int(text.rpartition(" ")[2])
        assert (label, int(identity)) == (number % 3, 100 + number)


@pytest.mark.parametrize("form", FORMATS)
def test_it_is_offered_where_only_one_of_the_columns_is_named_and_where_none_is(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"rows.{form}"
    FORMATS[form](path, one_hot())
    (warning,) = [each for each in load(path, "neu").report.warnings if "zeros and ones" in each]
    assert warning.endswith(f"if they are one label, set {PROPOSAL}.")
    with pytest.raises(DataError, match="there is no column 'label'") as caught:
        load(path, "label")
    assert f"set {PROPOSAL}." in caught.value.hint


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({4: {"neg": 1, "pos": 1}}, "1 row has a 1 in several of them (line 6)"),
        ({4: {"neu": 0}, 7: {"neu": 0}}, "2 rows have none in any of them (line 6, …)"),
        (
            {4: {"neg": 1}, 7: {"neu": 0}, 10: {"pos": 1}},
            "2 rows have a 1 in several of them (line 6, …) and 1 row has none in any of them (line 9)",
        ),
    ],
)
def test_rows_of_several_labels_or_of_none_are_an_error_that_counts_them(
    tmp_path: Path, changes: dict[int, dict[str, int]], words: str
) -> None:
    path = tmp_path / "rows.csv"
    FORMATS["csv"](path, [row | changes.get(number, {}) for number, row in enumerate(one_hot())])
    with pytest.raises(DataError) as caught:
        load(path)
    assert "'neg', 'neu', 'pos' are several labels a text (multi-label data), not one: " + words in caught.value.what
    assert f'set task = "multi-label" and {PROPOSAL}' in "".join(load(path, "neu").report.warnings)


def test_columns_of_other_values_and_rows_without_any_are_not_one_label(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    FORMATS["csv"](path, [row | ({"neg": "", "neu": "", "pos": ""} if not row["id"] % 10 else {}) for row in one_hot()])
    assert load(path).report.dropped["no label"] == 6
    FORMATS["csv"](path, [row | {"neu": 0.5} for row in one_hot()])
    with pytest.raises(DataError, match=r"'neu' is '0\.5', not 0 or 1"):
        load(path)


@pytest.mark.parametrize(
    ("label", "words"),
    [([], "names no column"), (["neg", "neg"], "a column twice"), (["neg", "text"], "another column than text")],
)
def test_a_list_that_cannot_be_a_label_is_refused(label: list[str], words: str) -> None:
    with pytest.raises(options.Mistakes, match=words):
        options.build(Table, {"path": "rows.csv", "label": label})
