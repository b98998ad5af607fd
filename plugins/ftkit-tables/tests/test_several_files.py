"""Rows in several files: a list, a pattern, files of different forms; the same splits as from one file."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from ftkit_tables.table import Table

from ftkit.contracts import SPLITS, Data
from ftkit.errors import DataError
from ftkit.recipe import loader
from ftkit.runs import ledger as ledgers
from ftkit.runs import source_files

Row = dict[str, str | int]
ROWS: list[Row] = [
    {
        "text": f"number {row} of some",
        "label": ("bad", "good")[row % 2],
        "writer": f"w{row % 7}",
        "at": 1_600_000_000 + row,
    }
    for row in range(90)
]


def write(path: Path, rows: list[Row]) -> Path:
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [*rows[0]])
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    names = ("a.csv", "b-1.parquet", "b-2.parquet", "c.jsonl")
    starts = (0, 25, 50, 60, 90)
    return [
        write(tmp_path / name, ROWS[begin:end]) for name, begin, end in zip(names, starts, starts[1:], strict=False)
    ]


def load(**options: object) -> Data:
    return Table(**options).load(3, lambda event: None)  # type: ignore[arg-type]  # the options of each test


@pytest.mark.parametrize("options", [{}, {"group": "writer"}, {"order": "at"}, {"columns": ("writer",)}])
def test_several_files_give_the_splits_of_one_with_the_same_rows(
    tmp_path: Path, parts: list[Path], options: dict[str, object]
) -> None:
    one = load(path=write(tmp_path / "all.jsonl", ROWS), **options)
    pattern = (tmp_path / "b-*.parquet", parts[3], parts[0], parts[0])
    several = load(path=pattern, **options)
    assert several.report.fingerprint == one.report.fingerprint
    assert all(getattr(several, name) == getattr(one, name) for name in SPLITS)
    assert several.report.rows_read == len(ROWS)
    assert several.report.source == ", ".join(map(str, pattern))
    assert [Path(name).name for name in several.report.files] == [path.name for path in parts]
    assert several.report.files[str(parts[1])]["format"] == "parquet"


def test_train_and_test_may_be_several_files(tmp_path: Path, parts: list[Path]) -> None:
    data = load(train=(parts[0], parts[3]), test=tmp_path / "b-*.parquet")
    assert len(data.test) == 35
    assert len(data.train) + len(data.valid) == 55


def test_a_pattern_that_no_file_matches_is_an_error(tmp_path: Path, parts: list[Path]) -> None:
    with pytest.raises(DataError, match="no file matches this pattern") as caught:
        load(path=(parts[0], tmp_path / "d-*.csv"))
    assert caught.value.where == str(tmp_path / "d-*.csv")


def test_a_file_without_a_column_of_the_others_is_named(tmp_path: Path, parts: list[Path]) -> None:
    other = write(tmp_path / "z.csv", [{"text": "words", "sort": "good"}, {"text": "more words", "sort": "bad"}])
    with pytest.raises(DataError, match="no column 'label'") as caught:
        load(path=(*parts, other))
    assert str(other) in (caught.value.where or "")
    with pytest.raises(DataError, match=r"[Nn]o such file") as caught:
        load(path=(*parts, tmp_path / "gone.csv"))
    assert str(tmp_path / "gone.csv") in (caught.value.where or "")


def test_a_file_that_orders_by_numbers_where_another_has_dates_is_named(tmp_path: Path, parts: list[Path]) -> None:
    dated = write(
        tmp_path / "z.csv", [{**row, "at": f"2024-01-{1 + index % 28:02}"} for index, row in enumerate(ROWS[:9])]
    )
    with pytest.raises(DataError, match="has dates here and numbers in another file") as caught:
        load(path=(*parts, dated), order="at")
    assert caught.value.where == str(dated)


def test_a_column_that_one_file_lacks_says_nothing_about_splits(tmp_path: Path, parts: list[Path]) -> None:
    short = write(tmp_path / "z.csv", [{"text": f"short {row}", "label": "good"} for row in range(5)])
    data = load(path=(*parts, short))
    assert not [note for note in data.report.notes if "'at'" in note or "'writer'" in note]
    with pytest.raises(DataError, match="no column 'writer'"):
        load(path=(*parts, short), group="writer")


def test_a_label_that_is_none_is_named_with_its_own_file_and_line(tmp_path: Path, parts: list[Path]) -> None:
    path = tmp_path / "z.jsonl"
    path.write_text('{"text": "one", "label": "good"}\n{"text": "two", "label": ["good", "bad"]}\n')
    with pytest.raises(DataError, match="the label of line 2 is a list of 2") as caught:
        load(path=(*parts, path))
    assert caught.value.where == f"{path}:2, column 'label'"


def test_damaged_lines_are_named_with_their_file(tmp_path: Path, parts: list[Path]) -> None:
    with parts[3].open("a") as file:
        file.write("{\n")
    data = load(path=tuple(parts), max_damaged=0.1)
    assert f"Damaged in {parts[3]}: line 31." in data.report.notes
    assert data.report.rows_read == len(ROWS) + 1


def test_what_is_wrong_with_the_option_is_said() -> None:
    with pytest.raises(ValueError, match="path names no file"):
        Table(path=())


RECIPE = """
name = "several"
[dataset]
use = "table"
path = ["a.csv", "b-*.parquet"]
[backbone]
use = "toy-words"
"""


def test_a_recipe_names_files_beside_itself_and_a_run_notices_a_new_one(tmp_path: Path, parts: list[Path]) -> None:
    from ftkit.testing import toys

    with toys.install(tmp_path / "plugins"):
        (tmp_path / "several.toml").write_text(RECIPE)
        plan = loader.load(tmp_path / "several.toml")
        assert not plan.missing
        assert source_files.named(plan) == {
            "dataset.path.0": parts[0],
            "dataset.path.1": tmp_path / "b-*.parquet",
        }
        ledger = ledgers.at(tmp_path / "run", "several", plan.text)
        with source_files.recorded(plan, ledger, pytest.fail):
            assert len(plan.dataset.load(3, lambda event: None).train) > 40
        assert source_files.unchanged(ledger, plan)
        write(tmp_path / "b-3.parquet", ROWS[:2])
        (change,) = source_files.changes(ledger)
        assert "b-*.parquet (dataset.path.1) has changed since the rows were taken from it" in change
        for path in tmp_path.glob("b-*.parquet"):
            path.unlink()
        assert "is gone since" in source_files.changes(ledger)[0]
        assert [problem.what for problem in loader.load(tmp_path / "several.toml").missing] == [
            f"{tmp_path / 'b-*.parquet'} matches no file"
        ]
