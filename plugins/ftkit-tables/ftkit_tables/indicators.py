"""Columns of zeros and ones, one for each class, as labels: the names of the columns that have a one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ftkit.data.moments import missing
from ftkit.data.one_hot import indicator_columns, label_proposal, one_hot_columns
from ftkit.errors import DataError
from ftkit.formatting import count, listing
from ftkit_tables.columns import Wanted, field_path
from ftkit_tables.form import Damaged, Options
from ftkit_tables.reading import opened

VALUES = {"0": False, "0.0": False, "false": False, "1": True, "1.0": True, "true": True}
"""Ways to write zero and one, in lower case."""


class Indicators:
    """Reads the labels from these columns; unless there may be several, counts the rows in which they are not one label."""

    def __init__(self, columns: Sequence[str], *, several: bool = False) -> None:
        self._columns, self._several = columns, several
        self._empty, self._first_empty = 0, 0
        self._unfit = Counter[str]()
        self._first: dict[str, int] = {}

    def label(self, number: int, values: Sequence[Any]) -> str | list[str] | Damaged | None:
        """The label of a row, by its number and the values of the columns, or a list of them where there may be several.

        None if all values are missing, or are not one label where there must be one.
        """
        if all(map(missing, values)):
            return None
        ones: list[str] = []
        for column, value in zip(self._columns, values, strict=True):
            if isinstance(value, Damaged):
                return value
            is_one = not missing(value) and VALUES.get(str(value).strip().lower())
            if is_one is None:
                return Damaged(f"{column!r} is {str(value)!r:.40}, not 0 or 1")
            ones += [column] * is_one
        if self._several:
            if any(map(missing, values)):
                self._empty += 1
                self._first_empty = self._first_empty or number
            return ones
        if len(ones) == 1:
            return ones[0]
        kind = "a 1 in several of them" if ones else "none in any of them"
        self._unfit[kind] += 1
        self._first.setdefault(kind, number)
        return None

    def doubt(self, path: Path) -> str:
        """A sentence where some of the columns are empty in a row; else none."""
        if not self._empty:
            return ""
        return (
            f"{path.name}: {count(self._empty, 'row')} (line {self._first_empty:,}{', …' * (self._empty > 1)}) "
            f"{'has' if self._empty == 1 else 'have'} empty cells among the columns of zeros and ones: they were read as 0."
        )

    def check(self, path: Path) -> None:
        """Raises: DataError where rows have several labels, or none of them, and must have one."""
        if not self._unfit:
            return
        rows = " and ".join(
            f"{count(number, 'row')} {'has' if number == 1 else 'have'} {kind} (line {self._first[kind]:,}{', …' * (number > 1)})"
            for kind, number in self._unfit.items()
        )
        raise DataError(
            f"the columns {listing(map(repr, self._columns), 6)} are several labels a text (multi-label data), not one: {rows}",
            where=str(path),
            hint='Set task = "multi-label", which learns all of them, or name one of the columns: label = '
            f'"{self._columns[0]}" learns whether a text has this label.',
        )


def offered(error: DataError, path: Path, wanted: Wanted, options: Options, *, several: bool = False) -> DataError:
    """The same error, with a hint that names the columns where the label is missing and columns of zeros and ones can be it."""
    try:
        rows = opened(path, replace(wanted, label=None), options).form.first_rows
    except DataError:
        return error
    names = [*dict.fromkeys(name for row in rows for name in row)]
    if not wanted.label or field_path(wanted.label, names):
        return error
    columns = indicator_columns(rows) if several else one_hot_columns(rows)
    if not columns:
        return error
    if several:
        hint = f"{count(len(columns), 'column')} have zeros and ones only: if these are the labels, set {label_proposal(columns)}."
        return DataError(error.what, error.where, hint)
    hint = f"Exactly one of {len(columns)} columns is 1 in each of the first rows: set {label_proposal(columns)}."
    return DataError(error.what, error.where, hint)
