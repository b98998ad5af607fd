"""Read csv, tsv, jsonl and parquet files: their rows by column, with row numbers."""

from __future__ import annotations

import codecs
import csv
import difflib
import io
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftkit.contracts import Emit
from ftkit.data.rows import MAX_LINE_BYTES, Rows, open_data
from ftkit.errors import DataError
from ftkit.events import Progressed

SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
FORMATS = tuple(dict.fromkeys(SUFFIXES.values()))

Record = tuple[int, dict[str, Any]]
"""The number of a row (in text files, of the line where it begins), and its values by column."""

STEP = 20_000
"""Rows between two progress events."""


@dataclass(frozen=True)
class Layout:
    """How text files are written; the fields are options of `Table`."""

    encoding: str
    delimiter: str
    quote: str
    header: tuple[str, ...]


def suffix_format(path: Path) -> str | None:
    """The format by a file's suffix, or None where the suffix is unknown."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    return SUFFIXES.get(suffixes[-1]) if suffixes else None


def records(path: Path, kind: str, columns: Sequence[str], layout: Layout, rows: Rows, emit: Emit) -> Iterator[Record]:
    """The wanted columns of every row; damaged rows are counted in `rows`.

    Raises: DataError for a file that cannot be read with this format and encoding, and for a missing column.
    """
    if kind == "parquet":
        yield from _parquet(path, columns, emit)
        return
    with open_data(path) as (content, raw):
        encoding = "utf-8-sig" if codecs.lookup(layout.encoding).name == "utf-8" else layout.encoding
        text = io.TextIOWrapper(content, encoding, newline="" if kind != "jsonl" else "\n")
        try:
            if kind == "jsonl":
                parsed = _jsonl(text, path, columns, rows)
            else:
                parsed = _delimited(text, path, columns, layout, rows)
            size = path.stat().st_size
            for count, record in enumerate(parsed, 1):
                if count % STEP == 0:
                    emit(Progressed(f"reading {path.name}", min(raw.tell(), size), size, "bytes"))
                yield record
            emit(Progressed(f"reading {path.name}", size, size, "bytes"))
        except UnicodeError as error:
            raise _undecodable(path, layout.encoding, error) from error
        finally:
            text.detach()


def _delimited(
    text: io.TextIOWrapper, path: Path, columns: Sequence[str], layout: Layout, rows: Rows
) -> Iterator[Record]:
    """Rows of a csv or tsv file."""
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE_BYTES))
    if layout.quote:
        reader = csv.reader(text, delimiter=layout.delimiter, quotechar=layout.quote, strict=True)
    else:
        reader = csv.reader(text, delimiter=layout.delimiter, quoting=csv.QUOTE_NONE, strict=True)
    begins = 1
    names: Sequence[str] = layout.header
    try:
        names = names or [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise DataError(f"the first line cannot be read: {error}", where=f"{path}:1", hint=_QUOTES) from error
    _check_columns(path, columns, names)
    positions = {name: names.index(name) for name in columns}
    while True:
        begins = reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "end of data" in str(error):
                raise DataError(
                    "a quote that begins in this row is never closed", where=f"{path}:{begins}", hint=_QUOTES
                ) from error
            rows.damage(begins, str(error))
            continue
        if len(values) == len(names):
            yield begins, {name: values[position] for name, position in positions.items()}
        elif values:
            rows.damage(begins, f"it has {len(values)} columns, not {len(names)}")


def _jsonl(text: io.TextIOWrapper, path: Path, columns: Sequence[str], rows: Rows) -> Iterator[Record]:
    """Rows of a file with one JSON object per line."""
    seen: dict[str, None] = {}
    lacks_columns = False
    good = 0
    number = 0
    while line := text.readline(MAX_LINE_BYTES):
        number += 1
        if line.isspace():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            if number == 1 and line.lstrip().startswith("["):
                raise DataError(
                    "this is one JSON list, not one JSON object per line",
                    where=f"{path}:1",
                    hint="Write it as JSON lines, for instance with `jq -c '.[]'`.",
                ) from error
            rows.damage(number, f"not valid JSON: {error}")
            continue
        if not isinstance(row, dict):
            rows.damage(number, "not a JSON object")
            continue
        if missing := [name for name in columns if name not in row]:
            seen |= dict.fromkeys(row) if len(seen) < 1000 else {}
            lacks_columns = True
            rows.damage(number, f"it has no key {missing[0]!r}")
            continue
        good += 1
        yield number, {name: row[name] for name in columns}
    if lacks_columns and not good:
        _check_columns(path, columns, seen)


def _parquet(path: Path, columns: Sequence[str], emit: Emit) -> Iterator[Record]:
    """Rows of a parquet file."""
    with open_data(path):
        pass  # raises for a file that is missing, empty or not readable, with a better message than pyarrow's
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            _check_columns(path, columns, file.schema_arrow.names)
            number, total = 0, file.metadata.num_rows
            for batch in file.iter_batches(columns=list(dict.fromkeys(columns)), batch_size=STEP):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
                emit(Progressed(f"reading {path.name}", number, total, "rows"))
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(
            f"this is not a parquet file, or it is damaged: {error}",
            where=str(path),
            hint='Set `format` to the format of the file, or write the file again: `frame.to_parquet("…")`.',
        ) from error


def _check_columns(path: Path, wanted: Sequence[str], names: Collection[str]) -> None:
    """Raises: DataError for a column that is missing or not unique; the hint has the most similar name."""
    if not names:
        raise DataError("there are no rows", where=str(path), hint="Give a file with a header and rows.")
    for name in wanted:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            near = near or [other for other in names if other.lower() == name.lower()]
            listed = ", ".join(f"{other!r:.60}" for other in list(names)[:20])
            raise DataError(
                f"there is no column {name!r}; the columns are {listed}",
                where=str(path),
                hint=f"Did you mean {near[0]!r}?"
                if near
                else "Set text and label to the names of the columns; if the file has no header line, set header.",
            )
        if list(names).count(name) > 1:
            raise DataError(
                f"the column {name!r} occurs {list(names).count(name)} times",
                where=str(path),
                hint="Rename one of them.",
            )


def _undecodable(path: Path, encoding: str, error: UnicodeError) -> DataError:
    """The error for a file in another encoding: the first byte that does not fit, its line, a guess at the encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line, done, shown = 1, 0, "the end of the file"
    with open_data(path) as (content, _):
        start = content.read(2)
        content.seek(0)
        while chunk := content.read(2**20):
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as mismatch:
                line += mismatch.object[: mismatch.start].count(b"\n")
                shown = f"byte {done - pending + mismatch.start:,} (0x{mismatch.object[mismatch.start]:02x})"
                break
            except UnicodeError:
                shown = "byte 0"
                break
            line += chunk.count(b"\n")
            done += len(chunk)
    if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        guess = 'The file begins like UTF-16: set encoding = "utf-16".'
    else:
        guess = 'Set the encoding it was written in, such as encoding = "cp1252" (Windows) or "latin-1".'
    return DataError(f"{shown} is not {encoding}: {error.args[-1]}", where=f"{path}:{line}", hint=guess)


_QUOTES = 'If quotes are ordinary characters in this file, set quote = ""; otherwise close the quote.'
