"""What a data set's reader returns: texts with labels, and a count of every row it left out.

rows = Rows(str(path))
for number, line in lines(path, emit):
    row = parse(line)                       # damaged: rows.damage(number, "not valid JSON")
    rows.add(row["text"], row["label"])     # left out on purpose: rows.drop("no label")
rows.check_damage(0.01)
"""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from ftkit.contracts import Emit
from ftkit.contracts.events import Progressed
from ftkit.errors import DataError

DAMAGED = "damaged line"
"""The reason under which damaged lines are counted."""

MAX_LINE_BYTES = 16 * 2**20
"""A longer line is not a text to classify: its reader gets it cut off, so that it counts as damaged."""

GZIP_ERRORS = (EOFError, zlib.error, gzip.BadGzipFile)
"""What reading a damaged gzip file raises: the cause of the `DataError` that reports it."""

MAX_NAMED_LINES = 20
"""How many damaged lines are named by number."""


@dataclass
class Rows:
    """Rows as they were read. All lists have one length, and every row left out is counted."""

    source: str
    """The file or package they come from, for reports and errors."""
    texts: list[str] = field(default_factory=list)
    labels: list[Any] = field(default_factory=list)
    """Labels as they were read, of any type: texts, numbers, true or false, None where there is none. Splitting makes class
    names of them."""
    columns: dict[str, list[Any]] = field(default_factory=dict)
    """Further columns, for analysing parts of the data later."""
    lines: list[int] = field(default_factory=list)
    """The line or number of each row in the source, counted from 1, for errors; empty where the reader does not know."""
    label_column: str = ""
    """The name of the column or field with the labels, for errors."""
    column_names: tuple[str, ...] = ()
    """All columns of the source, for errors: whoever named the wrong one sees the others."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Rows left out, by reason."""
    damaged: list[int] = field(default_factory=list)
    """Numbers of the first damaged lines, counted from 1."""
    reason: str = ""
    """What is wrong with the first damaged line."""
    form: dict[str, str] = field(default_factory=dict)
    """How the file was read: options as they were decided, such as `encoding`; for the data report."""
    notes: list[str] = field(default_factory=list)
    """Remarks for the data report, one sentence each."""
    warnings: list[str] = field(default_factory=list)
    """What is probably wrong with the source, and how to repair it, one sentence each."""

    @property
    def read(self) -> int:
        """Number of rows in the source, those left out included."""
        return len(self.texts) + self.dropped.total()

    def add(self, text: str, label: Any, /, **columns: Any) -> None:
        """Add a row; its label may be of any type, and every row needs the same columns."""
        self.texts.append(text)
        self.labels.append(label)
        for name, value in columns.items():
            self.columns.setdefault(name, []).append(value)

    def drop(self, reason: str, count: int = 1) -> None:
        """Count rows that are left out on purpose."""
        self.dropped[reason] += count

    def damage(self, line: int, reason: str) -> None:
        """Count a row that is left out because it cannot be read."""
        self.dropped[DAMAGED] += 1
        self.reason = self.reason or reason
        if len(self.damaged) < MAX_NAMED_LINES:
            self.damaged.append(line)

    def check_damage(self, limit: float) -> None:
        """Raises: DataError when a larger share of the rows than `limit` is damaged."""
        count = self.dropped[DAMAGED]
        if count and count > limit * self.read:
            raise DataError(
                f"{count:,} of {self.read:,} rows are damaged ({count / self.read:.2%}; the limit is {limit:.2%}): "
                f"{name_lines(self.damaged, count)}. The first: {self.reason}",
                where=f"{self.source}:{self.damaged[0]}",
                hint="Fix or remove these lines, or raise max_damaged if the other rows are correct.",
            )


def name_lines(numbers: Sequence[int], count: int) -> str:
    """The first of `count` line numbers as part of a sentence: `lines 3, 8, 9 and 12 more`."""
    more = f" and {count - len(numbers):,} more" if count > len(numbers) else ""
    return f"line{'s' * (count > 1)} {', '.join(map(str, numbers))}{more}"


def check_limit(max_damaged: float) -> None:
    """Check the option `max_damaged` of a data set. Raises: ValueError unless it is from 0 to 1."""
    if not 0 <= max_damaged <= 1:
        raise ValueError(f"max_damaged must be a share of the lines, from 0 to 1, not {max_damaged}")


@contextmanager
def open_data(path: Path) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Open a data file: its content, unpacked if it is gzip, and the file itself, whose position shows the progress.

    Raises: DataError, also while the block reads, for a file that is missing, cannot be read, is empty, or is a damaged
    gzip file.
    """
    try:
        with path.open("rb") as raw:
            magic = raw.read(2)
            if not magic:
                raise DataError("the file is empty", where=str(path), hint="Give a file with rows in it.")
            raw.seek(0)
            if magic == b"\x1f\x8b":
                with gzip.open(raw) as unpacked:
                    yield unpacked, raw  # type: ignore[misc]  # a GzipFile reads as any binary file does
            else:
                yield raw, raw
    except FileNotFoundError as error:
        raise DataError("there is no such file", where=str(path), hint=_similar_name(path)) from error
    except IsADirectoryError as error:
        raise DataError("this is a folder, not a file", where=str(path), hint="Give the path of one file.") from error
    except GZIP_ERRORS as error:
        raise DataError(
            f"the gzip file is damaged or ends too early: {error}",
            where=str(path),
            hint="Its download was probably incomplete: download it again.",
        ) from error
    except OSError as error:
        raise DataError(
            f"the file cannot be read: {error.strerror or error}",
            where=str(path),
            hint="Fix its permissions or the disk, or give another path.",
        ) from error


def lines(path: Path, emit: Emit, label: str = "") -> Iterator[tuple[int, bytes]]:
    """Lines of a file with their numbers, counted from 1, without blank lines; emits progress. gzip files are unpacked.

    Raises: DataError as `open_data` does.
    """
    label = label or f"reading {path.name}"
    with open_data(path) as (content, raw):
        size, number = path.stat().st_size, 0
        while line := content.readline(MAX_LINE_BYTES):
            number += 1
            if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
                while (rest := content.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                    pass
            if number % 20_000 == 0:
                emit(Progressed(label, min(raw.tell(), size), size, "bytes"))
            if not line.isspace():
                yield number, line
        emit(Progressed(label, size, size, "bytes"))


def _similar_name(path: Path) -> str:
    import difflib

    try:
        names = sorted(file.name for file in path.parent.iterdir() if file.is_file())
    except OSError:
        return f"The folder {path.parent} does not exist either." if not path.parent.is_dir() else ""
    near = difflib.get_close_matches(path.name, names, 1)
    return f"Did you mean {near[0]!r}?" if near else "Relative paths start at the recipe's folder."
