"""A file read row by row: every form gives the same rows, with all their columns and in their order."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from ftkit_tables import Table

from ftkit.contracts import FileRows, RowReading, capable
from ftkit.errors import DataError

ROWS: list[dict[str, Any]] = [
    {"id": "1", "body": "It works, every day", "who": "Ann"},
    {"id": "2", "body": "", "who": "Bo"},
    {"id": "3", "body": 'a "quoted"\nline', "who": "Çelik"},
    {"id": "4", "body": "last", "who": ""},
]
TEXTS = ["It works, every day", None, 'a "quoted"\nline', "last"]


def write(folder: Path, form: str) -> Path:
    path = folder / f"rows.{form}"
    if form == "parquet":
        pyarrow = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(pyarrow.Table.from_pylist(ROWS), path, row_group_size=3)
    elif "json" in form:
        content = json.dumps(ROWS) if form == "json" else "".join(json.dumps(row) + "\n" for row in ROWS)
        path.write_text(content, encoding="utf-8")
    else:
        between = "\t" if "tsv" in form else ","
        lines = [[*ROWS[0]], *([f'"{value.replace(chr(34), chr(34) * 2)}"' for value in row.values()] for row in ROWS)]
        content = "".join(between.join(line) + "\n" for line in lines)
        path.write_bytes(gzip.compress(content.encode()) if form.endswith("gz") else content.encode())
    return path


def opened(path: Path, *columns: str) -> FileRows:
    return Table.whole_rows(path, columns or ("body",), lambda event: None)


@pytest.mark.parametrize("form", ["csv", "tsv", "csv.gz", "jsonl", "json", "parquet"])
def test_every_form_gives_the_same_rows(tmp_path: Path, form: str) -> None:
    rows = opened(write(tmp_path, form))
    assert (rows.total, [*rows.names]) == (4, ["id", "body", "who"])
    for size in (1, 3, 10):  # again and again
        parts = [*rows.parts(size)]
        assert [len(part.texts) for part in parts] == [min(size, 4 - begin) for begin in range(0, 4, size)]
        assert [text for part in parts for text in part.texts] == TEXTS
        columns = [part.columns if rows.schema is None else part.columns.to_pylist() for part in parts]
        assert [dict(row) for each in columns for row in each] == ROWS


def test_the_types_of_a_parquet_file_are_kept(tmp_path: Path) -> None:
    rows = opened(write(tmp_path, "parquet"))
    assert [part.columns.schema for part in rows.parts(3)] == [rows.schema] * 2


def test_several_columns_make_one_text(tmp_path: Path) -> None:
    part = next(opened(write(tmp_path, "csv"), "who", "body").parts(10))
    assert part.texts[:2] == ["Ann\nIt works, every day", "Bo"]


def test_rows_that_cannot_be_read_keep_their_place(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"id,body\n1,good\n2,bad,extra\n3,\xff\xfe\n4,good\n")
    part = next(opened(path).parts(10))
    assert [*part.numbers] == [2, 3, 4, 5]
    assert part.texts == ["good", None, None, "good"]
    assert [*part.damaged] == [1, 2]
    assert "3 columns" in part.damaged[1]
    path = tmp_path / "rows.jsonl"
    path.write_text('{"body": "good", "id": 1}\n{"body": ["a"], "id": 2}\nno json\n{"body": "good", "more": 4}\n')
    rows = opened(path)
    part = next(rows.parts(10))
    assert [*rows.names] == ["body", "id", "more"]
    assert (part.texts, [*part.damaged]) == (["good", None, None, "good"], [1, 2])
    assert part.columns[1]["id"] == 2


@pytest.mark.parametrize("form", ["csv", "jsonl", "json", "parquet"])
def test_a_column_that_is_not_there_is_an_error_that_lists_those_there(tmp_path: Path, form: str) -> None:
    with pytest.raises(DataError, match=r"no column 'text'.*'id', 'body', 'who'"):
        opened(write(tmp_path, form), "text")


def test_quotes_that_turn_out_to_be_ordinary_lose_no_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    lines = [f"{number},plain text {number}" for number in range(400)]
    path.write_text("id,body\n" + "\n".join([*lines, '400,"begins a quote', "401,plain", "402,plain"]) + "\n")
    rows = opened(path)
    assert rows.total == 403
    assert [text for part in rows.parts(100) for text in part.texts][-3:] == ['"begins a quote', "plain", "plain"]


def test_the_table_reads_rows() -> None:
    assert capable(Table, RowReading)


def test_where_no_column_is_wanted_the_delimiter_is_the_one_that_divides_the_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    rows = "".join(f'{n};"late, and lost";{"delivery, late" if n % 2 else "billing"}\n' for n in range(200))
    path.write_text(f"id;message;team\n{rows}200;half a row\n")
    assert [*Table.whole_rows(path, (), lambda event: None).names] == ["id", "message", "team"]
    path.write_text("message\nlate, and lost; again\nnothing came, and nobody knows\n")
    assert [*Table.whole_rows(path, (), lambda event: None).names] == ["message"]
