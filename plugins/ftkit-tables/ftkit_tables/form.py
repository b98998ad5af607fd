"""How a file is written: what the recipe says of it, what its content shows, and what every reader offers."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ftkit.contracts import Emit
from ftkit.data.unpacking import open_data
from ftkit.events import Progressed
from ftkit_tables.encodings import MARKING

T = TypeVar("T")

STEP = 20_000
"""Rows between two progress events."""


@dataclass(frozen=True)
class Options:
    """What the recipe says of the form; `auto`, empty or None where the content decides. The fields are options of `Table`."""

    format: str = "auto"
    encoding: str = "auto"
    delimiter: str = "auto"
    quote: str = "auto"
    escape: str = "auto"
    header: tuple[str, ...] = ()
    skip: int | None = None

    @property
    def given(self) -> tuple[str, ...]:
        """The options that the recipe sets, without `header`."""
        return tuple(name for name, value in asdict(self).items() if name != "header" and value not in ("auto", None))


@dataclass(frozen=True)
class Damaged:
    """Why a row cannot be read."""

    reason: str
    undecodable: bool = False
    """Whether it has bytes that do not fit the encoding."""


Record = tuple[int, Sequence[Any] | Damaged]
"""The number of a row (in text files, of the line where it begins), and its values in the order of the wanted columns."""


@dataclass
class Form:
    """How a file was read, for the data report."""

    stated: dict[str, str] = field(default_factory=dict)
    """The options as they were decided."""
    first_rows: Sequence[Mapping[str, Any]] = ()
    """The first rows with all their columns."""
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    class_names: Sequence[str] = ()
    """The names of the classes that numbers in the label column stand for, where the file has them."""


class TableFile(Protocol):
    """A file whose form is decided."""

    form: Form
    """Complete when all records are read."""

    def records(self, emit: Emit) -> Iterator[Record]:
        """The wanted columns of every row.

        Raises: DataError; Reread when the rows show that the form is another one.
        """
        ...


class Reread(Exception):  # no error: the reading begins anew
    """The rows so far show that the file has another form: they are to be dropped, and read again from `file`."""

    def __init__(self, file: TableFile) -> None:
        super().__init__("read again")
        self.file = file


@contextmanager
def open_text(path: Path, encoding: str, newline: str) -> Iterator[tuple[io.TextIOWrapper, Any]]:
    """Open a text file, packed or not: its decoded content, with marks for bytes that do not fit, and the file itself.

    Raises: DataError.
    """
    with open_data(path) as (content, raw):
        text = io.TextIOWrapper(content, encoding, MARKING, newline)
        try:
            yield text, raw
        finally:
            text.detach()


def counted(records: Iterator[T], path: Path, raw: Any, emit: Emit) -> Iterator[T]:
    """The same records, with progress events by the position in the file."""
    size = path.stat().st_size
    for count, record in enumerate(records, 1):
        if count % STEP == 0:
            emit(Progressed(f"reading {path.name}", min(raw.tell(), size), size, "bytes"))
        yield record
    emit(Progressed(f"reading {path.name}", size, size, "bytes"))
