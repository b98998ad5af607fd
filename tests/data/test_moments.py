"""Dates and times of a column: one form reads all values, and nothing is guessed."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import Any

import pytest

from ftkit.data import moments


def at(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[arg-type, misc]  # the parts of a date


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2024-01-31", at(2024, 1, 31)),
        (" 2024-01-31T10:20:30Z ", at(2024, 1, 31, 10, 20, 30)),
        ("2024-01-31 10:20:30+02:00", at(2024, 1, 31, 8, 20, 30)),
        ("2024-01", at(2024, 1, 1)),
        ("2024-01-31 10:20:30 UTC", at(2024, 1, 31, 10, 20, 30)),
        ("31.01.2024", at(2024, 1, 31)),
        ("31/01/2024", at(2024, 1, 31)),
        ("01/31/2024 23:59", at(2024, 1, 31, 23, 59)),
        ("2024/01/31", at(2024, 1, 31)),
        ("31 Jan 2024", at(2024, 1, 31)),
        ("January 31, 2024", at(2024, 1, 31)),
        ("Wed, 31 Jan 2024 10:20:30 +0000", at(2024, 1, 31, 10, 20, 30)),
        ("Wed Jan 31 10:20:30 +0000 2024", at(2024, 1, 31, 10, 20, 30)),
        (date(2024, 1, 31), at(2024, 1, 31)),
        (datetime(2024, 1, 31, 10, tzinfo=UTC), at(2024, 1, 31, 10)),
        (datetime(2024, 1, 31, 10), at(2024, 1, 31, 10)),  # noqa: DTZ001  # parquet has such
    ],
)
def test_a_date_in_the_forms_that_files_have(value: Any, moment: float) -> None:
    read = moments.reader([value])
    assert read is not None
    assert read(value) == moment


@pytest.mark.parametrize(
    "values",
    [[], [""], [None, math.nan], ["03/04/2024"], ["soon"], ["2024-01-31", "soon"], ["2024-13-41"], [True], ["1.2.3"]],
)
def test_what_cannot_be_read_without_guessing(values: list[Any]) -> None:
    assert moments.reader(values, numbers=True) is None


def test_one_value_decides_which_number_is_the_month() -> None:
    read = moments.reader(["03/04/2024", "", "31/01/2024"])
    assert read is not None
    assert read("03/04/2024") == at(2024, 4, 3)
    with pytest.raises(ValueError, match="match"):
        read("01/31/2024")


def test_numbers_are_moments_only_where_that_is_known() -> None:
    assert moments.reader([2023, "2024"]) is None
    read = moments.reader([2023, "2024"], numbers=True)
    assert read is not None
    assert read("2024") == 2024
    assert moments.is_number(read)


@pytest.mark.parametrize(
    ("moment", "dated", "text"),
    [
        (at(2024, 1, 31), True, "2024-01-31"),
        (at(2024, 1, 31, 9, 5), True, "2024-01-31 09:05"),
        (2024.0, False, "2024"),
        (1706696430123.0, False, "1706696430123"),
        (1e300, True, "1e+300"),
    ],
)
def test_moments_are_shown_as_people_write_them(moment: float, dated: bool, text: str) -> None:
    assert moments.shown(moment, dated=dated) == text
