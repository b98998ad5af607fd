"""The rows of a split in an Arrow file: written batch by batch, and read by mapping the file into memory, without parsing it.

The columns are `text` (UTF-8, in which half of a surrogate pair may stand), `label` (the index of the class, or a list of them where a
row can have several), and `column.NAME`, JSON values as text. Any program that reads Arrow IPC files can read it.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ftkit.contracts import Split
from ftkit.data.on_disk import ReadWhenAsked
from ftkit.errors import DataError

if TYPE_CHECKING:
    import pyarrow

V = TypeVar("V")

BATCH_ROWS = 8192
BATCH_CHARACTERS = 2**20
"""A batch ends with the row that reaches one of these: what is written at a time hardly takes memory."""

_COLUMN = "column."


class StoredColumn(ReadWhenAsked[V], Generic[V]):
    """A column of a file that is mapped into memory."""

    def __init__(
        self, path: Path, batches: Sequence[pyarrow.Array], decode: Callable[[memoryview], V], key: str
    ) -> None:
        self.key = key
        """Equal for equal values: what is derived from them can be kept under it. Empty if nothing is known."""
        self._path, self._decode = path, decode
        self._first = [0]
        """The first row of each batch, and the end behind the last."""
        self._views: list[tuple[memoryview, memoryview]] = []
        for batch in batches:
            _, offsets, values = batch.buffers()
            self._views.append((memoryview(offsets).cast("i"), memoryview(values) if values else memoryview(b"")))
            self._first.append(self._first[-1] + len(batch))

    def __len__(self) -> int:
        return self._first[-1]

    def at(self, rows: Iterable[int]) -> Iterator[V]:
        """The values of these rows, in this order. Raises: DataError where the file is damaged."""
        begin = end = 0
        for row in rows:
            if not begin <= row < end:
                batch = bisect_right(self._first, row) - 1
                begin, end = self._first[batch : batch + 2]
                offsets, values = self._views[batch]
            try:
                yield self._decode(values[offsets[row - begin] : offsets[row - begin + 1]])
            except ValueError as error:
                raise DataError(
                    f"row {row + 1:,} cannot be read: {error}",
                    where=str(self._path),
                    hint="Restore the file, or begin a new run: give its `ftkit run` command with --fresh.",
                ) from error


def write(path: Path, split: Split) -> None:
    """Write a split into a file. Raises: OSError."""
    import pyarrow

    several = any(isinstance(label, tuple) for label in split.labels)
    schema = pyarrow.schema(
        [("text", pyarrow.binary()), ("label", pyarrow.list_(pyarrow.int32()) if several else pyarrow.int32())]
        + [(f"{_COLUMN}{name}", pyarrow.binary()) for name in split.columns]
    )
    with pyarrow.OSFile(str(path), "wb") as file, pyarrow.ipc.new_file(file, schema) as writer:
        for texts, labels, columns in _batches(split):
            values = [[json.dumps(value).encode() for value in column] for column in columns]
            numbers: list[Any] = [[*map(int, label)] for label in labels] if several else [*map(int, labels)]
            arrays = [[text.encode("utf-8", "surrogatepass") for text in texts], numbers, *values]
            writer.write_batch(
                pyarrow.record_batch(
                    [pyarrow.array(*each) for each in zip(arrays, schema.types, strict=True)], schema=schema
                )
            )


def read(path: Path, key: str = "") -> Split:
    """The split in a file that `write` wrote; `key` is the one of its texts. Raises: OSError, ValueError."""
    import pyarrow
    import pyarrow.ipc

    source = pyarrow.memory_map(str(path))
    file = pyarrow.ipc.open_file(source)
    batches = [file.get_batch(index) for index in range(file.num_record_batches)]
    for batch in batches:
        batch.validate()

    def column(index: int, decode: Callable[[memoryview], V], key: str = "") -> StoredColumn[V]:
        return StoredColumn(path, [batch.column(index) for batch in batches], decode, key)

    columns = {
        name.removeprefix(_COLUMN): column(index, _json) for index, name in enumerate(file.schema.names) if index > 1
    }
    labels = tuple(
        tuple(label) if isinstance(label, list) else label
        for batch in batches
        for label in batch.column("label").to_pylist()
    )
    return Split(column(0, _text, key), labels, columns)


def _batches(split: Split) -> Iterator[tuple[list[str], Sequence[Any], list[list[Any]]]]:
    """Texts, labels, and the values of each column, of a few rows at a time."""
    texts: list[str] = []
    columns: Mapping[str, Iterator[Any]] = {name: iter(values) for name, values in split.columns.items()}
    labels, characters = iter(split.labels), 0
    for text in split.texts:
        texts.append(text)
        characters += len(text)
        if len(texts) == BATCH_ROWS or characters >= BATCH_CHARACTERS:
            yield texts, _next(labels, len(texts)), [_next(values, len(texts)) for values in columns.values()]
            texts, characters = [], 0
    if texts:
        yield texts, _next(labels, len(texts)), [_next(values, len(texts)) for values in columns.values()]


def _next(values: Iterator[V], count: int) -> list[V]:
    return [next(values) for _ in range(count)]


def _text(value: memoryview) -> str:
    return str(value, "utf-8", "surrogatepass")


def _json(value: memoryview) -> Any:
    return json.loads(bytes(value))
