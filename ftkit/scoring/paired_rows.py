"""A table of pairs, row by row: read by two columns at once, each as the text of its side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ftkit import pairs
from ftkit.contracts import FileRows, RowsPart


@dataclass(frozen=True)
class PairedRows:
    """The same file opened for each side; a row has a text where it has both sides."""

    first: FileRows
    second: FileRows

    @property
    def names(self) -> Sequence[str]:
        """The names of all columns."""
        return self.first.names

    @property
    def total(self) -> int:
        """How many rows there are."""
        return self.first.total

    @property
    def schema(self) -> Any:
        """The types of the columns, where the file has them."""
        return self.first.schema

    def parts(self, size: int) -> Iterator[RowsPart]:
        """All rows in parts of this size. Raises: DataError."""
        for one, other in zip(self.first.parts(size), self.second.parts(size), strict=True):
            sides = zip(one.texts, other.texts, strict=True)
            texts = [pairs.join(first, second) if first and second else None for first, second in sides]
            yield replace(one, texts=texts, damaged={**other.damaged, **one.damaged})
