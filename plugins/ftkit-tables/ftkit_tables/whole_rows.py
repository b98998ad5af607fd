"""Files read row by row with all their columns: the table is scored, and nothing else of it is lost."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from ftkit.contracts import Emit, FileRows, RowsPart
from ftkit_tables.columns import Wanted, check_unique, missing_column
from ftkit_tables.delimited import Delimited
from ftkit_tables.form import Damaged, Options, Reread, TableFile
from ftkit_tables.json_rows import JsonFile
from ftkit_tables.parquet_rows import ParquetFile
from ftkit_tables.reading import opened
from ftkit_tables.table_rows import joined_text

T = TypeVar("T")

LABEL = "label"
"""The name of the label of a file without names of columns."""


def open_rows(path: Path, columns: Sequence[str], emit: Emit) -> FileRows:
    """Open a file; text files are read once, which settles their form, their columns and the number of their rows.

    Raises: DataError naming the columns that are there.
    """
    wanted = Wanted(tuple(columns))
    file = opened(path, wanted, Options())
    if isinstance(file, ParquetFile):
        return ArrowRows(file, path)
    if isinstance(file, JsonFile):
        return JsonRows(file, path, wanted, emit)
    others = tuple(file.names) if isinstance(file, Delimited) else ()
    wanted = replace(
        wanted, others=others, label=None if others else LABEL
    )  # a file in the form of fastText has no more
    return CellRows(opened(path, wanted, Options()), wanted, emit)


class CellRows:
    """Rows of a csv, tsv or fastText file: every value is a text."""

    schema = None

    def __init__(self, file: TableFile, wanted: Wanted, emit: Emit) -> None:
        self.names = wanted.others or wanted.names
        self._first = len(wanted.texts) if wanted.others else 0
        self._width = len(wanted.texts)
        while True:
            try:
                self.total = sum(1 for _ in file.records(emit))
                break
            except Reread as error:
                file = error.file
        self._file = file

    def parts(self, size: int) -> Iterator[RowsPart]:
        """All rows in parts of this size. Raises: DataError."""
        for part in _parts(self._file.records(lambda event: None), size):
            rows = [(number, *self._row(values)) for number, values in part]
            yield _rows_part(rows)

    def _row(self, values: Sequence[Any] | Damaged) -> tuple[str | Damaged | None, Mapping[str, Any]]:
        if isinstance(values, Damaged):
            return values, {}
        columns = dict(zip(self.names, values[self._first :], strict=True))
        return joined_text(values[: self._width]), columns


class JsonRows:
    """Rows of JSON: each an object with keys of its own."""

    schema = None

    def __init__(self, file: JsonFile, path: Path, wanted: Wanted, emit: Emit) -> None:
        self._file = file
        self.total, names, present = 0, dict[str, None](), [False] * len(wanted.texts)
        for _, row in file.objects(emit):
            self.total += 1
            if not isinstance(row, Damaged):
                names |= dict.fromkeys(row)
                if not all(present):
                    present = [one or value is not None for one, value in zip(present, file.values(row), strict=True)]
        self.names = [*names]
        for name, one in zip(wanted.texts, present, strict=True):
            if not one and name not in names:
                raise missing_column(path, name, self.names)

    def parts(self, size: int) -> Iterator[RowsPart]:
        """All rows in parts of this size. Raises: DataError."""
        for part in _parts(self._file.objects(lambda event: None), size):
            yield _rows_part(
                [
                    (number, row, {})
                    if isinstance(row, Damaged)
                    else (number, joined_text(self._file.values(row)), row)
                    for number, row in part
                ]
            )


class ArrowRows:
    """Rows of a parquet or Arrow file, whose columns keep their types."""

    def __init__(self, file: ParquetFile, path: Path) -> None:
        self._file = file
        tables = file.tables()
        self.schema = next(tables)
        tables.close()
        self.names = self.schema.names
        check_unique(path, self.names, self.names)
        self.total = file.count()

    def parts(self, size: int) -> Iterator[RowsPart]:
        """All rows in parts of this size. Raises: DataError."""
        import pyarrow

        tables, number, waiting = self._file.tables(), 0, self.schema.empty_table()
        next(tables)
        for batch in itertools.chain(tables, [None]):
            if batch is not None:
                waiting = pyarrow.concat_tables([waiting, pyarrow.Table.from_batches([batch])])
            while waiting.num_rows >= size or (batch is None and waiting.num_rows):
                part, waiting = waiting.slice(0, size), waiting.slice(size)
                yield self._part(part, number)
                number += part.num_rows

    def _part(self, table: Any, before: int) -> RowsPart:
        texts = [joined_text(values) for batch in table.to_batches() for values in self._file.values(batch)]
        damaged = {place: text.reason for place, text in enumerate(texts) if isinstance(text, Damaged)}
        numbers = range(before + 1, before + len(texts) + 1)
        return RowsPart(numbers, [None if isinstance(text, Damaged) else text for text in texts], table, damaged)


def _rows_part(rows: Sequence[tuple[int, str | Damaged | None, Mapping[str, Any]]]) -> RowsPart:
    return RowsPart(
        [number for number, _, _ in rows],
        [None if isinstance(text, Damaged) else text for _, text, _ in rows],
        [columns for _, _, columns in rows],
        {place: text.reason for place, (_, text, _) in enumerate(rows) if isinstance(text, Damaged)},
    )


def _parts(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while part := [*itertools.islice(items, size)]:
        yield part
