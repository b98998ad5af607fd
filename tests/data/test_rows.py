"""Rows and files: every row left out is counted, and every damaged line is named by its number."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import pytest

from ftkit.data import rows as module
from ftkit.data.rows import Rows, check_limit, lines
from ftkit.errors import DataError
from ftkit.events import Progressed


def silent(event: object) -> None:
    """An emit that ignores every event."""


def test_rows_left_out_count_as_read() -> None:
    rows = Rows("a.csv")
    rows.add("text", "label", stars=5)
    rows.drop("no label", 3)
    rows.damage(7, "cut off")
    assert rows.read == 5
    assert rows.columns == {"stars": [5]}


def test_columns_may_have_any_name() -> None:
    rows = Rows("a.csv")
    rows.add("text", "label", text=1, label=2, self=3)
    assert rows.columns == {"text": [1], "label": [2], "self": [3]}


def test_damage_up_to_the_limit_passes_and_above_it_is_an_error() -> None:
    rows = Rows("a.csv")
    for index in range(98):
        rows.add(str(index), "a")
    rows.damage(3, "cut off")
    rows.damage(9, "not valid JSON")
    rows.check_damage(0.02)
    with pytest.raises(DataError) as caught:
        rows.check_damage(0.019)
    assert caught.value.what == (
        "2 of 100 rows are damaged (2.00%; the limit is 1.90%): lines 3, 9. The first: cut off"
    )
    assert caught.value.where == "a.csv:3"


def test_when_most_rows_are_damaged_the_form_is_wrong_and_not_the_rows() -> None:
    rows = Rows("a.csv")
    rows.add("text", "a")
    for number in range(2, 1002):
        rows.damage(number, "it has 1 column")
    with pytest.raises(DataError) as caught:
        rows.check_damage(0.01, "format and delimiter")
    assert caught.value.what.startswith("1,000 of 1,001 rows cannot be read: this is another form of file")
    assert caught.value.hint == "Look at the file, and say how it is written by format and delimiter."
    assert caught.value.where == "a.csv:2"
    rows.check_damage(1)


def test_only_the_first_damaged_lines_are_named() -> None:
    rows = Rows("a.csv")
    for number in range(1, 51):
        rows.damage(number, "cut off")
    assert rows.damaged == list(range(1, 21))
    for number in range(100):
        rows.add(str(number), "a")
    with pytest.raises(DataError, match="19, 20 and 30 more"):
        rows.check_damage(0.1)


@pytest.mark.parametrize("limit", [-0.1, 1.1, float("nan")])
def test_a_limit_outside_0_to_1_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match="max_damaged"):
        check_limit(limit)


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_lines_keep_their_numbers_and_blank_ones_are_left_out(name: str, tmp_path: Path) -> None:
    content = b"one\n\n  \r\nfour\nlast"
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    events: list[Any] = []
    assert list(lines(path, events.append)) == [(1, b"one\n"), (4, b"four\n"), (5, b"last")]
    assert events == [Progressed(f"reading {name}", path.stat().st_size, path.stat().st_size, "bytes")]


def test_a_very_long_line_is_cut_and_the_next_one_keeps_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_LINE_BYTES", 10)
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * 35 + b"\nshort\n" + b"y" * 10 + b"\n123456789\n")
    assert list(lines(path, silent)) == [
        (1, b"x" * 10),
        (2, b"short\n"),
        (3, b"y" * 10),
        (4, b"123456789\n"),
    ]


@pytest.mark.parametrize("keep", [3, 12, 30])
def test_a_gzip_file_cut_anywhere_is_reported_as_damaged(keep: int, tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"some text\n" * 9)[:keep])
    with pytest.raises(DataError, match="damaged or ends too early"):
        list(lines(path, silent))


def test_a_file_without_read_permission_is_reported(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read every file")
    path = tmp_path / "a.txt"
    path.write_text("x")
    path.chmod(0)
    with pytest.raises(DataError, match="cannot be read: Permission denied"):
        list(lines(path, silent))
