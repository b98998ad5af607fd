"""A table of texts and labels as a data set: rows to split, or rows that are already split, each in one file or several."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from ftkit import files, options, pairs
from ftkit.contracts import Data, Emit, FileRows, Task
from ftkit.data import splits
from ftkit.data.rows import Rows, check_limit, together
from ftkit.errors import DataError
from ftkit_tables.columns import Wanted
from ftkit_tables.encodings import MARKING
from ftkit_tables.form import Options
from ftkit_tables.indicators import offered
from ftkit_tables.reading import suffix_format
from ftkit_tables.table_rows import read, read_texts
from ftkit_tables.whole_rows import open_rows

PARTS = ("path", "train", "valid", "test")
"""The options that name files."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Texts and labels of csv, tsv, JSON, parquet or fastText files, or of separate files for training and testing."""

    name: ClassVar[str] = "table"
    path: Path | tuple[Path, ...] | None = None
    """The file with all rows, which ftkit splits, a list of files with the same columns, or a pattern such as "rows-*.csv";
    a relative path starts at the recipe's folder."""
    train: Path | tuple[Path, ...] | None = None
    """The file or files of training rows, where the rows are already split; needs `test` as well."""
    valid: Path | tuple[Path, ...] | None = None
    """The file or files of validation rows; without it, a share of the training rows is used."""
    test: Path | tuple[Path, ...] | None = None
    """The file or files of test rows; a text in it is dropped from the training and validation rows."""
    text: str | tuple[str, ...] = "text"
    """The column with the texts, or a list of columns, see `join`; `body.text` is a field inside a column."""
    join: Literal["lines", "pair"] = "lines"
    """What several columns of `text` are: one text, joined by line breaks; or two texts that are classified together, a pair."""
    task: Task = "single-label"
    """What is asked of a text: one class; with `multi-label` any number of classes, also none; with `ordinal` one class of an order."""
    label: str | tuple[str, ...] = "label"
    """The column with the labels, or a list of columns of zeros and ones whose names are the labels: one of them is 1 in each row, with
    the task `multi-label` any number. Several labels are a list, a list written as text, or a text with a `separator`."""
    separator: str = splits.AUTO
    """What stands between several labels in one text, with the task `multi-label`; `auto` is the one of |;,/+& by which labels are
    combined, empty is none."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Values of the label column and the names of their classes; without it, the values are the names."""
    classes: tuple[str, ...] = ()
    """The order of the classes; of two, the second is the positive one. Without it: as in `labels`, or sorted."""
    unlisted: splits.Unlisted = "fail"
    """What to do with rows whose label is not in `labels` or `classes`, where these are set; `keep` makes it a class."""
    without: tuple[str, ...] = ()
    """Labels whose rows are left out."""
    columns: tuple[str, ...] = ()
    """Further columns to keep, for analysing parts of the data later."""
    format: Literal["auto", "csv", "tsv", "jsonl", "json", "parquet", "arrow", "fasttext"] = "auto"
    """Format of the files; `auto` looks at their content, `fasttext` is a label, a space and the text in each line.
    Packed files (gzip, bzip2, xz, Zstandard, zip) are unpacked in any format."""
    encoding: str = "auto"
    """Character encoding of text files; `auto` is UTF-8, or UTF-16 and UTF-32 where the content shows it."""
    delimiter: str = "auto"
    """The character between the columns of a csv or tsv file; `auto` takes the comma, semicolon, tab or bar that gives the columns."""
    quote: str = "auto"
    """The character around texts with delimiters or line ends in csv and tsv files; empty if quotes are ordinary characters."""
    escape: str = "auto"
    """The character before a quote inside a quoted text of csv and tsv files; `auto` is a backslash where rows need it, or none."""
    header: tuple[str, ...] = ()
    """The names of the columns, for csv and tsv files without a header line; without it, columns may be named by number, from "1"."""
    skip: int | None = None
    """Lines before the header; without it, the header is looked for in the first 50 lines."""
    repair: bool = False
    """Whether to repair texts in UTF-8 that were decoded as another encoding."""
    max_damaged: float = 0.01
    """Share of the rows that may be damaged before loading fails; 0 allows none."""
    rows: int | None = None
    """Keep a sample of about this many rows, each class in proportion, for quick experiments."""
    min_rows: int = 0
    """Leave out classes with fewer rows than this."""
    shares: tuple[float, float, float] = splits.SHARES
    """Shares of the training, validation and test split."""
    near_copies: splits.NearCopies = "together"
    """Whether texts that share most of their wording stay in one split, or are split by chance."""
    group: str = ""
    """A column such as an author or a customer: all rows with the same value go to one split."""
    time: str = ""
    """A column of dates or numbers: the newest rows are the test rows, the next newest the validation rows."""
    order: str | tuple[str, ...] = ""
    """The classes of the task `ordinal`, the lowest first; without it, all classes must be numbers. One text is the column of `time`,
    as older recipes have it."""

    def __post_init__(self) -> None:
        self._rules(0)
        check_limit(self.max_damaged)
        if self.path is not None and (self.train or self.valid or self.test):
            raise ValueError("path is for rows that ftkit splits: give either path, or train and test")
        if self.path is None and (self.train is None or self.test is None):
            raise ValueError("path is missing: give path, or train and test where the rows are already split")
        if empty := [name for name in PARTS if getattr(self, name) == ()]:
            raise ValueError(f"{empty[0]} names no file")
        _check_characters(self.encoding, {"delimiter": self.delimiter, "quote": self.quote, "escape": self.escape})
        if self.skip is not None and self.skip < 0:
            raise ValueError(f"skip must be a number of lines, not {self.skip}")
        if not self._texts():
            raise ValueError("text names no column")
        if self.join == "pair" and len({*self._texts()}) != 2:
            columns = ", ".join(map(repr, self._texts()))
            raise ValueError(f'join = "pair" needs two columns, as in text = ["premise", "hypothesis"], not {columns}')
        if self.join == "pair" and self.format == "fasttext":
            raise ValueError('join = "pair" needs two columns of texts, and format = "fasttext" has one')
        labels = (self.label,) if isinstance(self.label, str) else self.label
        if self.group and self.group in (*labels, *self._texts()):
            raise ValueError(f"group must be another column than text and label, not {self.group!r}")
        if len({*labels}) < max(len(labels), 1):
            raise ValueError("label has a column twice" if labels else "label names no column")
        if shared := [name for name in labels if name in self._texts()]:
            raise ValueError(f"label must be another column than text, not {shared[0]!r}")
        if self.classes and not isinstance(self.order, str):
            raise ValueError("order lists the classes already: leave classes out")
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("classes has a class twice")
        if unknown := [name for name in self.labels.values() if self.classes and name not in self.classes]:
            raise ValueError(f"labels maps to the class {unknown[0]!r}, which is not in classes")

    def load(self, seed: int, emit: Emit) -> Data:
        """Read the files, map labels to classes, and clean and split the rows.

        Raises: DataError for a file that is missing, empty, damaged or of another format, a missing column, labels that
        are not listed, and rows that cannot be split.
        """
        rules = self._rules(seed)
        parts = {name: self._read(name, rules, emit) for name in PARTS if getattr(self, name) is not None}
        if self.path is not None:
            return splits.split(parts["path"], self.classes, rules, emit=emit)
        return splits.join(parts, self.classes, rules, emit=emit)

    @classmethod
    def reads(cls, path: Path) -> bool:
        """Whether a file of this name is a table, by its suffix."""
        return suffix_format(path) is not None

    @classmethod
    def texts(cls, path: Path, columns: Sequence[str]) -> Iterator[tuple[int, str | None]]:
        """The number and the text of every row, in order; None where there is no text to read.

        Raises: DataError, also while the rows are read.
        """
        return read_texts(path, columns)

    @classmethod
    def whole_rows(cls, path: Path, columns: Sequence[str], emit: Emit) -> FileRows:
        """Every row with all its columns, the texts as `texts` gives them. Raises: DataError."""
        return open_rows(path, columns, emit)

    def _rules(self, seed: int) -> splits.Rules:
        return splits.Rules(
            seed=seed,
            shares=self.shares,
            rows=self.rows,
            min_rows=self.min_rows,
            near_copies=self.near_copies,
            group=self.group,
            time=self.time,
            task=self.task,
            order=self.order,
            separator=self.separator,
            fields=self.text_fields,
            labels=self.labels,
            unlisted=self.unlisted,
            without=self.without,
        )

    def files(self) -> dict[str, Path]:
        """The files by the option that names them, of a list with their number; a pattern is one of them."""
        return options.local_paths(self)

    @property
    def text_fields(self) -> tuple[str, ...]:
        """The names of the texts of a row: two where they are a pair."""
        return self._texts() if self.join == "pair" else pairs.TEXT

    def _texts(self) -> tuple[str, ...]:
        return (self.text,) if isinstance(self.text, str) else self.text

    def _read(self, part: str, rules: splits.Rules, emit: Emit) -> Rows:
        """The rows of the file or the files of an option, labels as the files have them. Raises: DataError."""
        named = getattr(self, part)
        paths = (named,) if isinstance(named, Path) else named
        single = len(paths) == 1 and not files.is_pattern(paths[0])
        rows = (self._read_file(file, part, rules, emit) for file in (paths if single else _matching(paths)))
        return next(rows) if single else together(", ".join(map(str, paths)), rows)

    def _read_file(self, file: Path, part: str, rules: splits.Rules, emit: Emit) -> Rows:
        form = Options(self.format, self.encoding, self.delimiter, self.quote, self.escape, self.header, self.skip)
        label, indicators = (self.label, ()) if isinstance(self.label, str) else (None, self.label)
        part = "" if part == "path" else part
        wanted = Wanted(self._texts(), label, indicators, self.columns, part=part, pair=self.join == "pair")
        try:
            return read(
                file,
                wanted,
                form,
                emit,
                max_damaged=self.max_damaged,
                named=(*self.labels, *self.classes, *rules.order, *self.without),
                repair=self.repair,
                group=rules.group,
                time=rules.time,
                several=rules.task == "multi-label",
            )
        except DataError as error:
            raise offered(error, file, wanted, form, several=self.task == "multi-label") from error


def _matching(paths: Sequence[Path]) -> list[Path]:
    """The files that paths and patterns name, sorted, each once. Raises: DataError for a pattern that no file matches."""
    chosen: set[Path] = set()
    for path in paths:
        matching = files.matching(path)
        if not matching and files.is_pattern(path):
            raise DataError(
                "no file matches this pattern",
                where=str(path),
                hint="A relative path starts at the recipe's folder, one of --set in the working folder.",
            )
        chosen.update(matching or [path])  # a file that is missing is an error where it is read
    return sorted(chosen)


def _check_characters(encoding: str, characters: Mapping[str, str]) -> None:
    """Check the options of text files. Raises: ValueError."""
    try:
        name = "utf-8" if encoding == "auto" else encoding
        "".encode(name)
        codecs.getincrementaldecoder(name)(MARKING).decode(b"")  # those of names in the internet read no damaged text
    except (LookupError, UnicodeError):
        raise ValueError(f"encoding {encoding!r} is unknown; examples are utf-8, latin-1, cp1252, utf-16") from None
    set_ones = {name: value for name, value in characters.items() if value not in ("auto", "")}
    for name, value in set_ones.items():
        if len(value) > 1 or value in ("\n", "\r"):
            raise ValueError(f"{name} must be one character, not {value!r}")
    if len({*set_ones.values()}) < len(set_ones):
        raise ValueError(f"{' and '.join(set_ones)} must differ")
