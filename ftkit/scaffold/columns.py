"""The columns of a table of data, and which of them are the texts and the labels."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ftkit import formatting, plugins
from ftkit.contracts import RowReading, Task
from ftkit.data.class_names import NotOneLabel, class_name, list_items
from ftkit.data.rows import Rows
from ftkit.data.rules import AUTO
from ftkit.data.several_labels import labels_in, separator_of
from ftkit.data.words import count_words
from ftkit.errors import DataError, PluginError, UsageError
from ftkit.plugins.calls import call

LOOKED_AT = 20_000
"""Rows of a table that are looked at, from its beginning."""

NAMES_OF_LABELS = (
    *("label", "labels", "class", "category", "target", "topic", "sentiment", "intent", "stars", "rating"),
    *("tags", "tag", "type", "score", "overall"),
)
"""What columns with labels are mostly called, the best first."""

SEVERAL = 0.05
"""Share of the rows with more than one label from which on a table is taken to have several."""

MANY_CLASSES, MOST_CLASSES = 50, 500
"""Values of a column that is rather none of labels, and that is none."""

LONGEST_LABEL = 8
"""Words of a label, on average."""


@dataclass(frozen=True)
class Column:
    """What a column of a table has."""

    name: str
    values: Sequence[Any]
    """Of the rows that were looked at; None where a row has none."""

    @cached_property
    def words(self) -> list[int]:
        """The length of every text in words, rising."""
        return sorted(count_words(value) for value in self.values if isinstance(value, str) and value.strip())

    @cached_property
    def labels(self) -> list[tuple[str, ...]]:
        """The labels of each row that has any; a row has several where the column is one of lists, or combines labels."""
        try:
            rows = Rows(self.name, labels=[*self.values])
            separator = separator_of([rows], AUTO)
            several = [labels for value in self.values if (labels := labels_in(value, separator)) is not None]
            is_list = any(list_items(value) is not None for value in self.values)
            if is_list or sum(len(labels) > 1 for labels in several) >= SEVERAL * max(len(several), 1):
                return several
            return [(name,) for value in self.values if (name := class_name(value)) is not None]
        except (DataError, NotOneLabel):
            return []

    @cached_property
    def counts(self) -> dict[str, int]:
        """Rows by label, the most frequent first."""
        names = sorted(itertools.chain.from_iterable(self.labels))
        counts = {name: sum(1 for _ in group) for name, group in itertools.groupby(names)}
        return dict(sorted(counts.items(), key=lambda each: -each[1]))

    @property
    def task(self) -> Task:
        """What these labels ask of a text: several, one of an order of numbers, or one."""
        if any(len(labels) != 1 for labels in self.labels):
            return "multi-label"
        if len(self.counts) >= 3 and all(name.isdecimal() for name in self.counts):
            numbers = sorted(map(int, self.counts))
            if numbers[-1] - numbers[0] < 2 * len(numbers) and len(numbers) <= 11:
                return "ordinal"
        return "single-label"

    @property
    def can_be_labels(self) -> bool:
        """Whether it has few short values, each more than once on average."""
        if sum(self.words) > LONGEST_LABEL * max(len(self.words), 1):
            return False  # of long texts the labels would take long to look for
        return 2 <= len(self.counts) <= min(MOST_CLASSES, len(self.labels) / 2)


@dataclass(frozen=True)
class Table:
    """A table of data as far as it was looked at."""

    path: Path
    columns: Mapping[str, Column]
    rows: int
    """Rows of the whole table."""

    def column(self, name: str, option: str) -> Column:
        """A column by name. Raises: UsageError."""
        if name in self.columns:
            return self.columns[name]
        near = difflib.get_close_matches(name, self.columns, 1)
        hint = f"Did you mean {near[0]!r}?" if near else f"The columns are: {formatting.listing(self.columns)}."
        raise UsageError(f"there is no column {name!r} for {option}", where=str(self.path), hint=hint)

    def likely_text(self) -> str:
        """The column that is called `text`, or else the one with the longest texts. Raises: UsageError."""
        lengths = {name: sum(each.words) / max(len(each.words), 1) for name, each in self.columns.items()}
        longest = max(lengths, key=lengths.__getitem__, default="")
        if not lengths.get(longest):
            hint = f"The columns are: {formatting.listing(self.columns) or 'none'}. Name one: --text COLUMN."
            raise UsageError("no column has texts", where=str(self.path), hint=hint)
        return "text" if lengths.get("text", 0) > 1 else longest

    def likely_label(self, texts: Sequence[str]) -> str:
        """The column that is called as labels are, or else the only one with few values. Raises: UsageError."""
        possible = [each for name, each in self.columns.items() if name not in texts and each.can_be_labels]
        possible = [each for each in possible if len(each.counts) <= MANY_CLASSES] or possible
        ranks = {name: rank for rank, name in enumerate(NAMES_OF_LABELS)}
        named = sorted((each for each in possible if each.name.lower() in ranks), key=lambda e: ranks[e.name.lower()])
        if named or len(possible) == 1:
            return (named or possible)[0].name
        if not possible:
            hint = "Labels are few values, each in many rows. Name the column: --label COLUMN."
            raise UsageError("no column looks like labels", where=str(self.path), hint=hint)
        shown = formatting.listing(f"{each.name} ({len(each.counts)} values)" for each in possible)
        raise UsageError("several columns may be the labels", str(self.path), f"Name one: --label COLUMN, of {shown}.")


def look(path: Path) -> tuple[str, Table]:
    """The data set that reads a file, and the file's columns. Raises: UsageError; PluginError; DataError."""
    if not path.is_file():
        what = "this is a folder" if path.is_dir() else "there is no such file"
        raise UsageError(
            f"the data cannot be read: {what}", where=str(path), hint="Name a table with texts and labels."
        )
    reader = _reader(path)
    rows = call(RowReading.whole_rows, reader, path, (), lambda event: None)  # type: ignore[call-arg, arg-type]  # a class method
    values: dict[str, list[Any]] = {name: [] for name in rows.names}
    looked_at = 0
    for part in rows.parts(1000):
        for row in part.columns if rows.schema is None else part.columns.to_pylist():
            for name, column in values.items():
                column.append(row.get(name))
            looked_at += 1
        if looked_at >= LOOKED_AT:
            break
    if not looked_at:
        raise DataError("the file has no rows", where=str(path), hint="Name a table with texts and labels.")
    return reader.name, Table(path, {name: Column(name, each) for name, each in values.items()}, rows.total)


def _reader(path: Path) -> Any:
    """The first installed data set that reads such a file row by row. Raises: PluginError."""
    installed = plugins.load()
    for offer in installed.offers:
        component: Any = offer.component
        if offer.kind != "datasets" or not issubclass(component, RowReading):
            continue
        if call(RowReading.reads, component, path):  # type: ignore[call-arg]  # a class method
            return component
    hint = "The name must end in that of a table, such as .csv, .tsv, .jsonl or .parquet."
    if "table" not in installed.names("datasets"):
        hint = installed.advice("datasets", "table")
    raise PluginError("no installed data set reads this file", where=str(path), hint=hint)
