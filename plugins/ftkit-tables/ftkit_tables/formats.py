"""The rows of csv, tsv, jsonl and parquet files as mappings by column, with their numbers."""

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
"""The number of a row (in text files, of the line it begins in), and its values by column."""

STEP = 20_000
"""Rows between two events of progress."""


@dataclass(frozen=True)
class Layout:
    """How text files are written, as the options of `Table` say."""

    encoding: str
    delimiter: str
    quote: str
    header: tuple[str, ...]


def suffix_format(path: Path) -> str | None:
    """The format that a file's name tells, or None."""
    suffixes = [each.lower() for each in path.suffixes if each.lower() != ".gz"]
    return SUFFIXES.get(suffixes[-1]) if suffixes else None


def records(path: Path, kind: str, columns: Sequence[str], layout: Layout, rows: Rows, emit: Emit) -> Iterator[Record]:
    """The wanted columns of every row; damaged rows are noted in `rows`.

    Raises: DataError for a file that cannot be read as this format and encoding, and for a column that is not there.
    """
    if kind == "parquet":
        yield from _parquet(path, columns, emit)
        return
    with open_data(path) as (content, raw):
        encoding = "utf-8-sig" if codecs.lookup(layout.encoding).name == "utf-8" else layout.encoding
        text = io.TextIOWrapper(content, encoding, newline="" if kind != "jsonl" else "\n")
        try:
            read = (
                _jsonl(text, path, columns, rows) if kind == "jsonl" else _delimited(text, path, columns, layout, rows)
            )
            size = path.stat().st_size
            for count, record in enumerate(read, 1):
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
    places = {name: names.index(name) for name in columns}
    while True:
        begins = reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "end of data" in str(error):
                raise DataError(
                    "a quote is opened in this row and never closed", where=f"{path}:{begins}", hint=_QUOTES
                ) from error
            rows.damage(begins, str(error))
            continue
        if len(values) == len(names):
            yield begins, {name: values[place] for name, place in places.items()}
        elif values:
            rows.damage(begins, f"it has {len(values)} columns, not {len(names)}")


def _jsonl(text: io.TextIOWrapper, path: Path, columns: Sequence[str], rows: Rows) -> Iterator[Record]:
    """Rows of a file with one JSON object per line."""
    seen: dict[str, None] = {}
    lacking: list[tuple[int, str]] = []
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
            rows.damage(number, f"no JSON: {error}")
            continue
        if not isinstance(row, dict):
            rows.damage(number, "it is no JSON object")
            continue
        if missing := [name for name in columns if name not in row]:
            seen |= dict.fromkeys(row) if len(seen) < 1000 else {}
            lacking.append((number, missing[0]))
            rows.damage(number, f"it has no {missing[0]!r}")
            continue
        good += 1
        yield number, {name: row[name] for name in columns}
    if lacking and not good:
        _check_columns(path, columns, seen)


def _parquet(path: Path, columns: Sequence[str], emit: Emit) -> Iterator[Record]:
    """Rows of a parquet file."""
    with open_data(path):
        pass  # tells what is missing, empty or not readable in our own words
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
            f"this is no parquet file, or a damaged one: {error}",
            where=str(path),
            hint='Give its format by `format`, or write the file anew: `frame.to_parquet("…")`.',
        ) from error


def _check_columns(path: Path, wanted: Sequence[str], there: Collection[str]) -> None:
    """Raises: DataError naming a column that is missing or there twice, and the nearest of those there are."""
    if not there:
        raise DataError("there are no rows", where=str(path), hint="Give a file with a header and rows.")
    for name in wanted:
        if name not in there:
            near = difflib.get_close_matches(name, there, 1) or [each for each in there if each.lower() == name.lower()]
            listed = ", ".join(f"{each!r:.60}" for each in list(there)[:20])
            raise DataError(
                f"there is no column {name!r}; the columns are {listed}",
                where=str(path),
                hint=f"Did you mean {near[0]!r}?"
                if near
                else "Name the columns by the options text and label; if the first line is a row already, by header.",
            )
        if list(there).count(name) > 1:
            raise DataError(
                f"the column {name!r} is there {list(there).count(name)} times",
                where=str(path),
                hint="Rename one of them.",
            )


def _undecodable(path: Path, encoding: str, error: UnicodeError) -> DataError:
    """Says which byte of the file is not of this encoding, and which encoding it may be."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line, done, shown = 1, 0, "the end of the file"
    with open_data(path) as (content, _):
        start = content.read(2)
        content.seek(0)
        while chunk := content.read(2**20):
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as found:
                line += found.object[: found.start].count(b"\n")
                shown = f"byte {done - pending + found.start:,} (0x{found.object[found.start]:02x})"
                break
            except UnicodeError:
                shown = "byte 0"
                break
            line += chunk.count(b"\n")
            done += len(chunk)
    if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        guess = 'The file begins as UTF-16 does: encoding = "utf-16".'
    else:
        guess = 'Set the encoding it was written in, such as encoding = "cp1252" (Windows) or "latin-1".'
    return DataError(f"{shown} is not {encoding}: {error.args[-1]}", where=f"{path}:{line}", hint=guess)


_QUOTES = 'If quotes are plain characters in this file, set quote = ""; if not, close the quote.'
