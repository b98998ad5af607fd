"""A table of texts and labels as a data set: one file to split, or files that come split."""

from __future__ import annotations

import codecs
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from ftkit.contracts import SPLITS, Data, Emit
from ftkit.data import splits
from ftkit.data.rows import Rows, check_limit
from ftkit.errors import DataError
from ftkit_tables.formats import FORMATS, Layout, records, suffix_format

NO_LABEL = "no label"
UNLISTED = "label not listed"


@dataclass(frozen=True, kw_only=True)
class Table:
    """Texts and labels of a csv, tsv, jsonl or parquet file, or of separate files for training and testing."""

    name: ClassVar[str] = "table"
    path: Path | None = None
    """The one file with all rows, which ftkit splits; a relative path is taken from the recipe's folder."""
    train: Path | None = None
    """The file of training rows, where the rows come split; give `test` with it."""
    valid: Path | None = None
    """The file of validation rows; without it a share of the training rows takes their place."""
    test: Path | None = None
    """The file of test rows; a text in it is dropped from the training and validation rows."""
    text: str | tuple[str, ...] = "text"
    """The column with the texts, or a list of columns, joined line by line."""
    label: str = "label"
    """The column with the labels; numbers and true/false become names as they are written."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """From a value of the label column to the name of its class; without it, values are names."""
    classes: tuple[str, ...] = ()
    """The order of the classes; of two, the second is the positive one. Without it: as in `labels`, or sorted."""
    unlisted: Literal["fail", "drop"] = "fail"
    """What becomes of rows whose label is not in `labels` or `classes`, where these are given."""
    columns: tuple[str, ...] = ()
    """Further columns to keep, for looking at parts of the data later."""
    format: Literal["auto", "csv", "tsv", "jsonl", "parquet"] = "auto"
    """How the files are written; `auto` goes by their names, with or without .gz."""
    encoding: str = "utf-8"
    """How csv, tsv and jsonl files encode characters."""
    delimiter: str = ""
    """What separates the columns of a csv or tsv file, where it is neither comma nor tab."""
    quote: str = '"'
    """What encloses texts with delimiters or line ends in csv and tsv files; empty where quotes are plain characters."""
    header: tuple[str, ...] = ()
    """The names of the columns, for csv and tsv files whose first line is a row already."""
    max_damaged: float = 0.01
    """Share of the rows that may be damaged before the load fails; 0 refuses any."""
    rows: int | None = None
    """Keep a sample of about this many rows, each class in proportion, for a quick try."""
    min_rows: int = 0
    """Leave out classes with fewer rows than this."""
    shares: tuple[float, float, float] = splits.SHARES
    """Shares of the training, validation and test split."""
    near_copies: splits.NearCopies = "together"
    """Whether texts that share most of their wording stay in one split, or go wherever chance puts them."""

    def __post_init__(self) -> None:
        self._rules(0)
        check_limit(self.max_damaged)
        if self.path is not None and (self.train or self.valid or self.test):
            raise ValueError("path is for one file that ftkit splits: give either path, or train and test")
        if self.path is None and (self.train is None or self.test is None):
            raise ValueError("path is missing: give path, or train and test where the rows come split")
        for file in self._files().values():
            if self.format == "auto" and suffix_format(file) is None:
                raise ValueError(f"format cannot be told from the name {file.name}: give one of {', '.join(FORMATS)}")
        _check_characters(self.encoding, self.delimiter, self.quote)
        if not self._texts():
            raise ValueError("text names no column")
        if self.label in self._texts():
            raise ValueError(f"label must be another column than text, not {self.label!r}")
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("classes names a class twice")
        if strange := [name for name in self.labels.values() if self.classes and name not in self.classes]:
            raise ValueError(f"labels leads to the class {strange[0]!r}, which is not in classes")

    def load(self, seed: int, emit: Emit) -> Data:
        """Read the files, map labels to classes, and clean and split the rows.

        Raises: DataError for a file that is missing, empty, damaged or of another format, a column that is not
        there, labels that are not listed, and rows that cannot be split.
        """
        rules = self._rules(seed)
        parts = {name: self._read(file, emit) for name, file in self._files().items()}
        classes = self._order(parts.values())
        if self.path is not None:
            return splits.split(parts["path"], classes, rules)
        return splits.join(parts, classes, rules)

    def _rules(self, seed: int) -> splits.Rules:
        return splits.Rules(
            seed=seed, shares=self.shares, rows=self.rows, min_rows=self.min_rows, near_copies=self.near_copies
        )

    def _files(self) -> dict[str, Path]:
        named = {"path": self.path, **{name: getattr(self, name) for name in SPLITS}}
        return {name: file for name, file in named.items() if file is not None}

    def _texts(self) -> tuple[str, ...]:
        return (self.text,) if isinstance(self.text, str) else self.text

    def _read(self, file: Path, emit: Emit) -> Rows:
        """One file's rows, labels as class names. Raises: DataError."""
        rows, texts = Rows(str(file)), self._texts()
        kind = self.format if self.format != "auto" else suffix_format(file) or ""
        layout = Layout(self.encoding, self.delimiter or {"tsv": "\t"}.get(kind, ","), self.quote, self.header)
        unlisted: Counter[str] = Counter()
        for number, record in records(file, kind, (*texts, self.label, *self.columns), layout, rows, emit):
            parts = [record[name] for name in texts]
            if strange := [part for part in parts if part is not None and not isinstance(part, str)]:
                rows.damage(number, f"the text is no text but {strange[0]!r:.40}")
                continue
            value = _value(record[self.label])
            if value is None:
                rows.drop(NO_LABEL)
                continue
            label = self.labels.get(value) if self.labels else value
            if label is None or (self.classes and label not in self.classes):
                unlisted[value] += 1
                rows.drop(UNLISTED)
                continue
            text = "\n".join(part for part in parts if part and not part.isspace())
            rows.add(text, label, **{name: _plain(record[name]) for name in self.columns})
        rows.check_damage(self.max_damaged)
        if unlisted and self.unlisted == "fail":
            shown = ", ".join(f"{value!r} ({count:,})" for value, count in unlisted.most_common(5))
            raise DataError(
                f"{unlisted.total():,} rows have labels that are not listed: {shown}"
                + (f" and {len(unlisted) - 5:,} more" if len(unlisted) > 5 else ""),
                where=f"{file}, column {self.label!r}",
                hint=f'Add them to {"labels" if self.labels else "classes"}, or leave them out by unlisted = "drop".',
            )
        return rows

    def _order(self, parts: Iterable[Rows]) -> tuple[str, ...]:
        """The classes: as the recipe orders them, or else sorted, numbers by their value."""
        if self.classes:
            return self.classes
        if self.labels:
            return tuple(dict.fromkeys(self.labels.values()))
        return tuple(sorted({label for rows in parts for label in rows.labels}, key=_natural))


def _value(value: Any) -> str | None:
    """A label as text, or None where there is none: 1.0 and 1 are the same, so are true and True in typed formats."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip() or None


def _plain(value: Any) -> Any:
    """A column's value as JSON can hold it."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def _natural(label: str) -> list[tuple[int, float, str]]:
    """Sort key by which `2` comes before `10`, `-1` before `1`, and `item 2` before `item 10`."""
    try:
        number = float(label)
    except ValueError:
        parts = re.split(r"(\d+)", label)
        return [(1, float(part), "") if part.isdecimal() else (2, 0.0, part) for part in parts if part]
    return [(0, number if math.isfinite(number) else 0.0, label)]


def _check_characters(encoding: str, delimiter: str, quote: str) -> None:
    """Raises: ValueError when these options of text files cannot be carried out."""
    try:
        codecs.lookup(encoding)
    except LookupError:
        raise ValueError(f"encoding {encoding!r} is unknown; known are utf-8, latin-1, cp1252, utf-16 …") from None
    for name, value in (("delimiter", delimiter), ("quote", quote)):
        if len(value) > 1 or value in ("\n", "\r"):
            raise ValueError(f"{name} must be one character, not {value!r}")
    if delimiter and delimiter == quote:
        raise ValueError("delimiter and quote must differ")
