"""A file read row by row with all its columns, for what answers each row and keeps the rest of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from ftkit.contracts.events import Emit


@dataclass(frozen=True)
class RowsPart:
    """Some rows of a file, in its order; sequences have an entry for each row."""

    numbers: Sequence[int]
    """The line where the row begins, or its number in formats without lines."""
    texts: Sequence[str | None]
    """None where there is no text to read."""
    columns: Any
    """All columns: a `pyarrow.Table`, or a mapping of names to values for each row."""
    damaged: Mapping[int, str] = field(default_factory=dict)
    """Why a row cannot be read, by its place in this part: it has no text, and no columns unless only the text is wrong."""


class FileRows(Protocol):
    """An open file whose form is decided."""

    @property
    def names(self) -> Sequence[str]:
        """The names of all columns, in the file's order."""
        ...

    @property
    def total(self) -> int:
        """How many rows there are, damaged ones included."""
        ...

    @property
    def schema(self) -> Any:
        """The types of the columns, a `pyarrow.Schema`, where parts have their columns as such tables; else None."""
        ...

    def parts(self, size: int) -> Iterator[RowsPart]:
        """All rows in parts of exactly `size`, the last one shorter; may be called again. Raises: DataError."""
        ...


@runtime_checkable
class RowReading(Protocol):
    """A data set whose files can also be read row by row with all their columns, by `ftkit predict --in`. Nothing requires it."""

    @classmethod
    def reads(cls, path: Path) -> bool:
        """Whether a file of this name has the form that the data set reads."""
        ...

    @classmethod
    def whole_rows(cls, path: Path, columns: Sequence[str], emit: Emit) -> FileRows:
        """Open a file; the columns make the text, joined as for training. Raises: DataError naming the columns that are there."""
        ...
