"""Find the columns that a recipe names among those that a file has."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from ftkit.errors import DataError

MAX_SHOWN = 20
"""How many columns an error lists."""


@dataclass(frozen=True)
class Wanted:
    """The columns to read. Values of a row come in the order of `names`."""

    texts: tuple[str, ...]
    label: str | None = None
    indicators: tuple[str, ...] = ()
    """Columns of zeros and ones that are the label together, one for each class."""
    columns: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    """Columns that are only looked at: what is wrong in them damages no row."""
    part: str = ""
    """Which part of the data the file is read for: `train`, `valid` or `test`; empty for all."""
    pair: bool = False
    """Whether the two texts stay apart, as the sides of a pair."""

    @property
    def names(self) -> tuple[str, ...]:
        return (
            *self.texts,
            *(() if self.label is None else (self.label,)),
            *self.indicators,
            *self.columns,
            *self.others,
        )

    @property
    def labels(self) -> slice:
        """Where the values of the label are among those of a row."""
        return slice(len(self.texts), len(self.names) - len(self.columns) - len(self.others))

    @property
    def essential(self) -> int:
        """How many of the names a row cannot do without."""
        return len(self.names) - len(self.others)

    @property
    def by_number(self) -> bool:
        """Whether the recipe names all columns by their numbers, from 1."""
        return all(name.isdecimal() and name != "0" for name in self.names)


def matched(wanted: Collection[str], names: Sequence[str]) -> dict[str, str]:
    """The file's name of every wanted column that it has: the same name, or else one that differs in case and spaces only."""
    exact = {name: name for name in wanted if name in names}
    others: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        others.setdefault(_normal(name), []).append(name)
    near = {name: others.get(_normal(name), []) for name in wanted if name not in exact}
    return exact | {name: same[0] for name, same in near.items() if len(same) == 1 and same[0] not in exact}


def field_path(name: str, names: Sequence[str]) -> tuple[str, ...]:
    """The column that a name means, and the fields inside it: `body.text` is the field `text` of the column `body`."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        column = ".".join(parts[:length])
        if column := matched([column], names).get(column, ""):
            return (column, *parts[length:])
    return ()


def renamed(paths: Sequence[tuple[str, ...]], wanted: Sequence[str]) -> str:
    """Which columns were taken for which, for the data report; empty where all names are the same."""
    pairs = {(".".join(path), name) for path, name in zip(paths, wanted, strict=True)}
    return ", ".join(f"{theirs!r} for {ours!r}" for theirs, ours in sorted(pairs) if theirs != ours)


def check_unique(path: Path, columns: Collection[str], names: Sequence[str]) -> None:
    """Raises: DataError for a wanted column that the file has twice."""
    for name in columns:
        if names.count(name) > 1:
            raise DataError(
                f"the column {name!r} occurs {names.count(name)} times", where=str(path), hint="Rename one of them."
            )


def missing_column(path: Path, name: str, names: Sequence[str], hint: str = "") -> DataError:
    """The error for a column that the file does not have; without a hint, it proposes a similar name."""
    near = difflib.get_close_matches(_normal(name), [_normal(other) for other in names], 1)
    similar = next((other for other in names if near and _normal(other) == near[0]), "")
    listed = ", ".join(f"{other!r:.60}" for other in names[:MAX_SHOWN])
    more = f" and {len(names) - MAX_SHOWN:,} more" if len(names) > MAX_SHOWN else ""
    return DataError(
        f"there is no column {name!r}; the columns are {listed}{more}",
        where=str(path),
        hint=hint
        or (
            f"Did you mean {similar!r}?"
            if similar
            else "Set text and label to the names of the columns; if the file has no header line, set header."
        ),
    )


def _normal(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).strip(" \t#\ufeff\"'").casefold().split())
