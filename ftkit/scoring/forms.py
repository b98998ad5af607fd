"""The forms of a scored file: how parts of it are written while the rows are answered, and joined at the end.

The joined file is the same however the rows were divided into parts.
"""

from __future__ import annotations

import csv
import math
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ftkit.scoring.columns import AnswerColumns
from ftkit.scoring.types import typed
from ftkit.scoring.values import as_json, as_text

GROUP = 65_536
"""Rows of a row group of a parquet file."""

DELIMITERS = {".csv": ",", ".tsv": "\t"}
FORMS = (*DELIMITERS, ".jsonl", ".parquet")
"""The suffixes of the forms."""


@dataclass(frozen=True)
class Block:
    """Answered rows: their columns, as `RowsPart` has them, and those of the answers."""

    columns: Any
    added: Mapping[str, Sequence[Any]]


class Form(Protocol):
    """A form that rows are written in."""

    def write(self, path: Path, blocks: Sequence[Block]) -> None:
        """Write a part. Raises: OSError."""
        ...

    def join(self, parts: Sequence[Path], path: Path) -> None:
        """Write the file of these parts. Raises: OSError."""
        ...


def form(suffix: str, names: Sequence[str], answers: AnswerColumns, types: Callable[[], Any]) -> Form:
    """The form of a suffix for rows with these columns; `types` gives their `pyarrow.Schema` where it is needed."""
    if suffix == ".parquet":
        return Parquet(types(), answers)
    return Delimited((*names, *answers.names), DELIMITERS[suffix]) if suffix in DELIMITERS else JsonLines()


@dataclass(frozen=True)
class Delimited:
    """csv and tsv: everything is written as text."""

    names: tuple[str, ...]
    """Of all columns."""
    delimiter: str

    def write(self, path: Path, blocks: Sequence[Block]) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = self._writer(file)
            for row in _rows(blocks):
                writer.writerow([as_text(row.get(name)) for name in self.names])

    def join(self, parts: Sequence[Path], path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            self._writer(file).writerow(map(as_text, self.names))
        _append(parts, path)

    def _writer(self, file: Any) -> Any:
        return csv.writer(file, delimiter=self.delimiter, lineterminator="\n")


@dataclass(frozen=True)
class JsonLines:
    """One JSON object in each line, with the keys that the row has."""

    def write(self, path: Path, blocks: Sequence[Block]) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            file.writelines(f"{as_json(row)}\n" for row in _rows(blocks))

    def join(self, parts: Sequence[Path], path: Path) -> None:
        path.write_bytes(b"")
        _append(parts, path)


@dataclass(frozen=True)
class Parquet:
    """parquet: columns have types."""

    rows: Any
    """The types of the rows' own columns, a `pyarrow.Schema`."""
    answers: AnswerColumns

    def write(self, path: Path, blocks: Sequence[Block]) -> None:
        import pyarrow
        import pyarrow.parquet

        schema = self._schema()
        with pyarrow.parquet.ParquetWriter(path, schema) as writer:
            for block in blocks:
                columns = typed(block.columns, self.rows).columns
                added = [pyarrow.array(values, schema.field(name).type) for name, values in block.added.items()]
                writer.write_table(pyarrow.Table.from_arrays([*columns, *added], schema=schema))

    def join(self, parts: Sequence[Path], path: Path) -> None:
        import pyarrow
        import pyarrow.parquet

        schema = self._schema()
        with pyarrow.parquet.ParquetWriter(path, schema) as writer:
            waiting = schema.empty_table()
            for part in parts:
                with pyarrow.parquet.ParquetFile(part) as file:
                    for batch in file.iter_batches(GROUP):
                        waiting = pyarrow.concat_tables([waiting, pyarrow.Table.from_batches([batch], schema)])
                        while waiting.num_rows >= GROUP:
                            writer.write_table(waiting.slice(0, GROUP).combine_chunks(), GROUP)
                            waiting = waiting.slice(GROUP)
            if waiting.num_rows:
                writer.write_table(waiting.combine_chunks(), GROUP)

    def _schema(self) -> Any:
        """Of the whole file, with what that of the rows says beside the types."""
        import pyarrow

        label = pyarrow.list_(pyarrow.string()) if self.answers.several else pyarrow.string()
        types = {name: pyarrow.float64() for name in self.answers.names} | {self.answers.label: label}
        types |= {self.answers.abstained: pyarrow.bool_()}
        added = [pyarrow.field(name, types[name]) for name in self.answers.names]
        return pyarrow.schema([*self.rows, *added], metadata=_metadata(self.rows))


def _rows(blocks: Sequence[Block]) -> Iterator[Mapping[str, Any]]:
    """Each row with all its values, those of its answer last."""
    for block in blocks:
        columns = block.columns if isinstance(block.columns, list) else _objects(block.columns)
        for row, values in zip(columns, zip(*block.added.values(), strict=True), strict=True):
            yield {**row, **dict(zip(block.added, values, strict=True))}


def _objects(table: Any) -> list[Mapping[str, Any]]:
    """The rows of a `pyarrow.Table`; a column that Python has no values for, such as a date before the year 1, as texts."""
    import pyarrow

    def values(column: Any) -> list[Any]:
        try:
            values: list[Any] = column.to_pylist()
        except (OverflowError, ValueError):
            values = column.cast(pyarrow.string()).to_pylist()
        if pyarrow.types.is_floating(column.type):
            return [None if value is None or math.isnan(value) else value for value in values]
        return values

    columns = [values(column) for column in table.columns]
    return [dict(zip(table.schema.names, row, strict=True)) for row in zip(*columns, strict=True)]


def _metadata(schema: Any) -> Any:
    """What a file says beside its types, without that of pandas, which would lack the columns of the answers."""
    return {key: value for key, value in (schema.metadata or {}).items() if key != b"pandas"} or None


def _append(parts: Sequence[Path], path: Path) -> None:
    with path.open("ab") as file:
        for part in parts:
            with part.open("rb") as content:
                shutil.copyfileobj(content, file, 2**20)
