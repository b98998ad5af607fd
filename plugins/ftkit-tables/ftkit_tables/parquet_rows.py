"""Rows of parquet and Arrow files, with the names of their classes."""

from __future__ import annotations

import io
import json
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ftkit.contracts import Emit
from ftkit.data.unpacking import open_data
from ftkit.errors import DataError
from ftkit.events import Progressed
from ftkit_tables.columns import Wanted, check_unique, field_path, missing_column, renamed
from ftkit_tables.form import STEP, Damaged, Form, Record

FIRST_ROWS = 200
STREAM = b"\xff\xff\xff\xff"
MAGIC = {b"PAR1": "parquet", b"ARROW1": "arrow", STREAM: "arrow"}
"""The format by the first bytes."""


class ParquetFile:
    """A parquet or Arrow file."""

    def __init__(self, path: Path, kind: str, wanted: Wanted) -> None:
        self._path, self._kind, self._wanted = path, kind, wanted
        with ExitStack() as stack:
            schema, batches, _ = self._opened(stack, None)
            check_unique(path, wanted.names, schema.names)
            if not schema.names:
                raise DataError("there are no rows", where=str(path), hint="Give a file with rows in it.")
            self._paths = [self._field(name, schema) for name in wanted.names]
            first = next(batches, None)
            names = _class_names(schema, None if wanted.label is None else self._paths[len(wanted.texts)])
            stated = {"columns": text} if (text := renamed(self._paths, wanted.names)) else {}
            if names:
                stated["classes"] = "named by the file"
            self.form = Form(stated, [] if first is None else _shown(first.slice(0, FIRST_ROWS)), class_names=names)

    def records(self, emit: Emit) -> Iterator[Record]:
        """The wanted values of every row. Raises: DataError."""
        columns = [*dict.fromkeys(path[0] for path in self._paths)]
        number = 0
        with ExitStack() as stack:
            _, batches, total = self._opened(stack, columns)
            for batch in batches:
                values = [_values(_inner(batch, path)) for path in self._paths]
                for row in zip(*values, strict=True):
                    number += 1
                    yield number, row
                emit(Progressed(f"reading {self._path.name}", number, max(number, total or 0), "rows"))

    def tables(self) -> Generator[Any]:
        """All rows with all their columns, as `pyarrow.RecordBatch`es; before them the schema. Raises: DataError."""
        with ExitStack() as stack:
            schema, batches, _ = self._opened(stack, None)
            yield schema
            yield from batches

    def count(self) -> int:
        """How many rows there are. Raises: DataError."""
        with ExitStack() as stack:
            _, batches, total = self._opened(stack, None)
            return sum(batch.num_rows for batch in batches) if total is None else total

    def values(self, batch: Any) -> Iterator[Sequence[Any]]:
        """The wanted values of each row of a batch."""
        return zip(*(_values(_inner(batch, path)) for path in self._paths), strict=True)

    def _opened(self, stack: ExitStack, columns: Sequence[str] | None) -> tuple[Any, Iterator[Any], int | None]:
        """The schema, the batches, and the number of rows if it is known. Raises: DataError."""
        import pyarrow
        import pyarrow.ipc
        import pyarrow.parquet

        content, raw = stack.enter_context(open_data(self._path))
        source: Any = self._path if content is raw else io.BytesIO(content.read())
        try:
            if self._kind == "parquet":
                file = stack.enter_context(pyarrow.parquet.ParquetFile(source, page_checksum_verification=True))
                return (
                    file.schema_arrow,
                    self._guarded(file.iter_batches(STEP, columns=columns)),
                    file.metadata.num_rows,
                )
            stream = content.peek(4).startswith(STREAM) if content is raw else source.getbuffer()[:4] == STREAM  # type: ignore[attr-defined]
            reader = stack.enter_context(pyarrow.ipc.open_stream(source) if stream else pyarrow.ipc.open_file(source))
            batches = reader if stream else (reader.get_batch(each) for each in range(reader.num_record_batches))
            return reader.schema, self._guarded(part for batch in map(_sound, batches) for part in _parts(batch)), None
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            raise self._damaged(error) from error

    def _guarded(self, batches: Iterator[Any]) -> Iterator[Any]:
        """The same batches. Raises: DataError in place of what pyarrow raises."""
        import pyarrow

        try:
            yield from batches
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> DataError:
        return DataError(
            f"this is not {'a parquet' if self._kind == 'parquet' else 'an Arrow'} file, or it is damaged: {str(error).splitlines()[0]}",
            where=str(self._path),
            hint='Set `format` to the format of the file, or write the file again: `frame.to_parquet("…")`.',
        )

    def _field(self, name: str, schema: Any) -> tuple[str, ...]:
        """Where a wanted column is. Raises: DataError for one that is missing, or has fields or lists in place of texts."""
        import pyarrow.types

        path = field_path(name, schema.names)
        if not path:
            raise missing_column(self._path, name, schema.names)
        kind = schema.field(path[0]).type
        for key in path[1:]:
            if not pyarrow.types.is_struct(kind) or kind.get_field_index(key) < 0:
                fields = [field.name for field in kind] if pyarrow.types.is_struct(kind) else []
                raise missing_column(self._path, name, [f"{path[0]}.{field}" for field in fields] or schema.names)
            kind = kind.field(key).type
        if name not in self._wanted.columns and pyarrow.types.is_struct(kind):
            fields = [field.name for field in kind]
            raise DataError(
                f"the column {name!r} has no values of its own but the fields {', '.join(map(repr, fields[:10]))}",
                where=str(self._path),
                hint=f'Name the field: {"text" if name in self._wanted.texts else "label"} = "{name}.{fields[0]}".',
            )
        return path


def _sound(batch: Any) -> Any:
    """The same batch of an Arrow file, which has no checksum: offsets are followed without a look at what is there.

    Raises: pyarrow.ArrowInvalid. Bytes that are no text are the damage of their own rows.
    """
    import pyarrow

    batch.validate()
    for column in batch.columns:
        try:
            column.validate(full=True)
        except pyarrow.ArrowInvalid as error:
            if "UTF8" not in str(error):
                raise
    return batch


def _parts(batch: Any) -> Iterator[Any]:
    for start in range(0, batch.num_rows, STEP):
        yield batch.slice(start, STEP)


def _inner(batch: Any, path: Sequence[str]) -> Any:
    import pyarrow.compute

    column = batch.column(path[0])
    return pyarrow.compute.struct_field(column, [*path[1:]]) if len(path) > 1 else column


def _values(column: Any) -> Sequence[Any]:
    """The values of a column; bytes are decoded as UTF-8."""
    import pyarrow
    import pyarrow.types

    try:
        values: list[Any] = column.to_pylist()
    except UnicodeDecodeError:
        plain = column.dictionary_decode() if pyarrow.types.is_dictionary(column.type) else column
        values = plain.cast(pyarrow.large_binary()).to_pylist()
    except (OverflowError, ValueError):  # a date before the year 1, or after 9999
        values = column.cast(pyarrow.string()).to_pylist()
    known = next((value for value in values if value is not None), None)
    return [value and _decoded(value) for value in values] if isinstance(known, bytes) else values


def _decoded(value: bytes) -> str | Damaged:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return Damaged("it has bytes that are not utf-8")


def _shown(batch: Any) -> list[dict[str, Any]]:
    """Rows with all their columns that can be shown."""
    columns = {name: _values(batch.column(index)) for index, name in enumerate(batch.schema.names)}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _class_names(schema: Any, path: Sequence[str] | None) -> Sequence[str]:
    """The class names that Hugging Face `datasets` writes beside a column of numbers.

    Source: https://huggingface.co/docs/datasets/about_dataset_features
    """
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        feature = features[path[0]] if path else {}
        for key in (path or ())[1:]:
            feature = feature[key]
        feature = feature.get("feature", feature)  # of a list of labels
        names = feature["names"] if feature.get("_type") == "ClassLabel" else []
    except (ValueError, KeyError, TypeError, AttributeError):
        return ()
    return tuple(map(str, names)) if isinstance(names, list) else ()
