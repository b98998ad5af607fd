"""A quote out of place never eats rows, whatever the format; texts of several lines and quoted delimiters stay whole."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from ftkit_tables import Table

from ftkit.contracts import SPLITS, Data
from ftkit.errors import DataError

Row = tuple[str, str]

ROWS: list[Row] = [(f"text number {index}", ("ham", "spam", "eggs")[index % 3]) for index in range(300)]


def load(path: Path, **options: Any) -> Data:
    return Table(path=path, near_copies="ignored", **options).load(7, lambda event: None)


def kept(data: Data) -> set[Row]:
    parts = [getattr(data, name) for name in SPLITS]
    return {(text, data.classes[label]) for part in parts for text, label in zip(part.texts, part.labels, strict=True)}


def unquoted(rows: Iterable[Row], delimiter: str, *, label_first: bool) -> str:
    """A file whose quotes mean nothing."""
    lines = [("text", "label"), *rows]
    return "".join(delimiter.join(reversed(row) if label_first else row) + "\n" for row in lines)


def with_quotes(places: Iterable[int], quote: str) -> list[Row]:
    """The rows with a quote at the beginning of some texts, and at the end of others."""
    rows = [*ROWS]
    for place in places:
        text, label = rows[place]
        rows[place] = (quote + text if place % 2 == 0 else text + quote, label)
    return rows


@pytest.mark.parametrize(
    "places", [[0], [150], [298], [298, 299], [10, 20], [4, 5], range(0, 300, 2), [2, 7, 12, 201], range(300)]
)
@pytest.mark.parametrize("label_first", [True, False])
@pytest.mark.parametrize("name", ["rows.tsv", "rows.csv"])
def test_stray_quotes_eat_no_rows(places: Iterable[int], label_first: bool, name: str, tmp_path: Path) -> None:
    rows = with_quotes(places, '"')
    path = tmp_path / name
    path.write_text(unquoted(rows, "\t" if name.endswith("tsv") else ",", label_first=label_first), "utf-8")
    data = load(path)
    assert kept(data) == {*rows}
    assert data.report.rows_read == 300
    assert data.report.files[str(path)]["quote"] == "none" or data.report.warnings


@pytest.mark.parametrize("place", [0, 150, 299])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_a_stray_quote_in_a_file_that_needs_quotes_is_read_as_it_is_and_told(
    place: int, quoting: Any, tmp_path: Path
) -> None:
    rich = [
        (f'{text}, "so"\nover, several; lines', label) if index % 5 == 1 else (text, label)
        for index, (text, label) in enumerate(ROWS)
    ]
    buffer = io.StringIO(newline="")
    csv.writer(buffer, quoting=quoting, lineterminator="\n").writerows([("text", "label"), *rich])
    content = buffer.getvalue().replace(f"text number {place}", f'"text number {place}', 1)
    path = tmp_path / "rows.csv"
    path.write_text(content, "utf-8")
    data = load(path)
    assert len(kept(data) & {*rich}) == 299
    assert data.report.rows_read == 300
    line = content[: content.index(f'"text number {place}')].count("\n") + 1
    (warning,) = data.report.warnings
    assert warning.startswith(f"rows.csv: quotes out of place in 1 row were read as ordinary characters (line {line}).")
    assert warning.endswith('set quote = "".')


def test_a_text_of_lines_that_are_like_rows_stays_whole(tmp_path: Path) -> None:
    odd = ("Dear all,\nyes, spam\nno, ham\nbye, eggs", "ham")
    rows = [*ROWS, odd, ("He said: ham,\nthank you", "spam")]
    for label_first in (True, False):
        buffer = io.StringIO(newline="")
        csv.writer(buffer).writerows(row[::-1] if label_first else row for row in [("text", "label"), *rows])
        (tmp_path / "rows.csv").write_text(buffer.getvalue(), "utf-8", newline="")
        data = load(tmp_path / "rows.csv")
        assert kept(data) == {*rows}
        assert not data.report.warnings


def test_very_long_texts_of_many_lines_stay_whole(tmp_path: Path) -> None:
    rows = [(f"{text}\n" + "\n".join(f"line {number}" for number in range(2_000)), label) for text, label in ROWS[:30]]
    buffer = io.StringIO(newline="")
    csv.writer(buffer).writerows([("text", "label"), *rows])
    (tmp_path / "rows.csv").write_text(buffer.getvalue(), "utf-8", newline="")
    assert kept(load(tmp_path / "rows.csv")) == {*rows}


@pytest.mark.parametrize("first", [0, 200])
def test_backslashes_before_quotes_are_noticed_wherever_they_begin(first: int, tmp_path: Path) -> None:
    rows = [
        (f'he said "{text}", C:\\new \\ ok' if index >= first else text, label)
        for index, (text, label) in enumerate(ROWS)
    ]
    escaped = [(text.replace('"', '\\"'), label) for text, label in rows]
    path = tmp_path / "rows.csv"
    path.write_text("text,label\n" + "".join(f'"{text}",{label}\n' for text, label in escaped), "utf-8")
    data = load(path)
    assert kept(data) == {*rows}
    assert data.report.files[str(path)]["escape"] == "\\"
    assert kept(load(path, escape="\\")) == {*rows}


def test_the_recipe_decides_what_a_quote_is(tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text(unquoted([(f'"{text}"', label) for text, label in ROWS], "\t", label_first=False), "utf-8")
    assert kept(load(path)) == {*ROWS}
    assert kept(load(path, quote="")) == {(f'"{text}"', label) for text, label in ROWS}
    path.write_text(unquoted(with_quotes([10, 20], '"'), "\t", label_first=False), "utf-8")
    explicit = load(path, quote='"')
    assert kept(explicit) == {*with_quotes([10, 20], '"')}
    assert 'set quote = ""' in explicit.report.warnings[0]


def test_a_row_that_a_quote_breaks_is_damaged_and_costs_no_other(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    content = unquoted(ROWS, ",", label_first=False)
    path.write_text(content.replace("text number 7,", '"well, text, number 7,'), "utf-8")
    data = load(path)
    assert kept(data) == {row for row in ROWS if row[0] != "text number 7"}
    assert data.report.damaged_lines == (9,)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_backslashes_before_quotes_that_break_no_row_are_said(encoding: str, tmp_path: Path) -> None:
    """As Python's `csv.writer(doublequote=False, escapechar="\\\\")` writes them: with no quotes around the text."""
    rows = [(f'he said "{text}" twice' if index % 30 == 0 else text, label) for index, (text, label) in enumerate(ROWS)]
    buffer = io.StringIO(newline="")
    csv.writer(buffer, doublequote=False, escapechar="\\").writerows([("text", "label"), *rows])
    path = tmp_path / "rows.csv"
    path.write_text(buffer.getvalue(), encoding, newline="")
    assert "a backslash stands before a quote in 10 rows" in " ".join(load(path).report.notes)
    read = load(path, escape="\\")
    assert kept(read) == {*rows}
    assert "backslash" not in " ".join(read.report.notes)


@pytest.mark.parametrize("quote", [",", ";"])
def test_the_character_of_a_quote_is_no_delimiter(quote: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("".join(f"{text}{quote}{label}\n" for text, label in [("text", "label"), *ROWS]), "utf-8")
    with pytest.raises(DataError):
        load(path, quote=quote)


@pytest.mark.parametrize("delimiter", ['"', "'"])
def test_a_quote_may_divide_the_columns(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(unquoted(ROWS, delimiter, label_first=False))
    assert kept(load(path, delimiter=delimiter)) == {*ROWS}
    path.write_text(unquoted(ROWS, ",", label_first=False))
    with pytest.raises(DataError, match="there is no column 'text'"):
        load(path, delimiter=delimiter)
