"""What a data set's reader returns: texts with labels, and a count of every row it left out.

rows = Rows(str(path))
for number, line in lines(path, emit):
    row = parse(line)                       # damaged: rows.damage(number, "not valid JSON")
    rows.add(row["text"], row["label"])     # left out on purpose: rows.drop("no label")
rows.check_damage(0.01)
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ftkit.contracts import Emit
from ftkit.contracts.events import Progressed
from ftkit.data.other_columns import OtherColumns
from ftkit.data.texts import Texts
from ftkit.data.unpacking import open_data
from ftkit.errors import DataError

DAMAGED = "damaged line"
"""The reason under which damaged lines are counted."""

MAX_LINE_BYTES = 16 * 2**20
"""A longer line is not a text to classify: its reader gets it cut off, so that it counts as damaged."""

FIRST_ROWS = 200
"""How many rows are kept with all their columns."""

MAX_NAMED_LINES = 20
"""How many damaged lines are named by number."""


MOSTLY = 0.5
"""Share of damaged rows above which the form of the source is wrong, and not its rows."""


@dataclass(frozen=True)
class OneOfSeveral:
    """One of the files that rows were read from."""

    source: str
    first: int
    """Its first row, counted from 0."""
    form: Mapping[str, str]
    """How it was read, as `Rows.form`."""


@dataclass
class Rows:
    """Rows as they were read. All lists have one length, and every row left out is counted."""

    source: str
    """The file or package they come from, for reports and errors."""
    texts: Texts | list[str] = field(default_factory=Texts)
    labels: list[Any] = field(default_factory=list)
    """Labels as they were read, of any type: texts, numbers, true or false, None where there is none. Splitting makes class
    names of them."""
    columns: dict[str, list[Any]] = field(default_factory=dict)
    """Further columns, for analysing parts of the data later."""
    lines: array[int] = field(default_factory=lambda: array("q"))
    """The line or number of each row in the source, counted from 1, for errors; empty where the reader does not know."""
    others: OtherColumns = field(default_factory=OtherColumns)
    """What other columns say about which rows belong together, and when they were written."""
    label_column: str = ""
    """The name of the column or field with the labels, for errors."""
    first_rows: list[Mapping[str, Any]] = field(default_factory=list)
    """The first rows with all their columns, wanted or not: whoever named the wrong column is shown the others. See `peek`."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Rows left out, by reason."""
    damaged: list[int] = field(default_factory=list)
    """Numbers of the first damaged lines, counted from 1."""
    reason: str = ""
    """What is wrong with the first damaged line."""
    form: dict[str, str] = field(default_factory=dict)
    """How the file was read: options as they were decided, such as `encoding`; for the data report."""
    files: list[OneOfSeveral] = field(default_factory=list)
    """The files that `together` put one behind the other; empty for rows of one source."""
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

    def place(self, index: int) -> tuple[str, int]:
        """The source of a row and its line there, 0 where it is not known."""
        source = next((file.source for file in reversed(self.files) if file.first <= index), self.source)
        return source, self.lines[index] if self.lines else 0

    @property
    def forms(self) -> dict[str, dict[str, str]]:
        """How each file was read, by its name."""
        files = self.files or [OneOfSeveral(self.source, 0, self.form)]
        return {file.source: dict(file.form) for file in files if file.form}

    def peek(self, row: Mapping[str, Any]) -> None:
        """Keep a row with all its columns, if it is one of the first."""
        if len(self.first_rows) < FIRST_ROWS:
            self.first_rows.append(row)

    def drop(self, reason: str, count: int = 1) -> None:
        """Count rows that are left out on purpose."""
        self.dropped[reason] += count

    def damage(self, line: int, reason: str) -> None:
        """Count a row that is left out because it cannot be read."""
        self.dropped[DAMAGED] += 1
        self.reason = self.reason or reason
        if len(self.damaged) < MAX_NAMED_LINES:
            self.damaged.append(line)

    def check_damage(self, limit: float, options: str = "") -> None:
        """Check how much is damaged; `options` names those that say how the source is written.

        Raises: DataError when a larger share of the rows than `limit` is damaged. When most are, it is about the form of the source.
        """
        count = self.dropped[DAMAGED]
        if count and count > limit * self.read and count > MOSTLY * self.read:
            raise DataError(
                f"{count:,} of {self.read:,} rows cannot be read: this is another form of file, or it has damaged rows only. "
                f"The first: {self.reason}",
                where=f"{self.source}:{self.damaged[0]}",
                hint=f"Look at the file, and say how it is written by {options}."
                if options
                else "Check that this is the right file, and whole.",
            )
        if count and count > limit * self.read:
            raise DataError(
                f"{count:,} of {self.read:,} rows are damaged ({count / self.read:.2%}; the limit is {limit:.2%}): "
                f"{name_lines(self.damaged, count)}. The first: {self.reason}",
                where=f"{self.source}:{self.damaged[0]}",
                hint="Fix or remove these lines, or raise max_damaged if the other rows are correct.",
            )


def together(source: str, parts: Iterable[Rows]) -> Rows:
    """The rows of several files with the same columns, one file behind the other; `source` names all of them.

    A column that is looked at counts where all files have it. Raises: DataError where one orders by dates, another by numbers.
    """
    rows = Rows(source)
    for number, part in enumerate(parts):
        if number == 0:
            rows.label_column, rows.first_rows, rows.others = part.label_column, part.first_rows, part.others
        else:
            rows.others.extend(part.others, part.source)
        rows.files.append(OneOfSeveral(part.source, len(rows.texts), part.form))
        rows.texts.extend(part.texts)
        rows.labels.extend(part.labels)
        rows.lines.extend(part.lines)
        for name, values in part.columns.items():
            rows.columns.setdefault(name, []).extend(values)
        rows.dropped += part.dropped
        rows.notes += part.notes
        rows.warnings += part.warnings
        if part.damaged:  # a number alone would not say of which file
            rows.notes.append(damage_note(part))
    return rows


def damage_note(rows: Rows) -> str:
    """A sentence for the data report about the damaged rows."""
    return f"Damaged in {rows.source}: {name_lines(rows.damaged, rows.dropped[DAMAGED])}."


def name_lines(numbers: Sequence[int], count: int) -> str:
    """The first of `count` line numbers as part of a sentence: `lines 3, 8, 9 and 12 more`."""
    more = f" and {count - len(numbers):,} more" if count > len(numbers) else ""
    return f"line{'s' * (count > 1)} {', '.join(map(str, numbers))}{more}"


def check_limit(max_damaged: float) -> None:
    """Check the option `max_damaged` of a data set. Raises: ValueError unless it is from 0 to 1."""
    if not 0 <= max_damaged <= 1:
        raise ValueError(f"max_damaged must be a share of the lines, from 0 to 1, not {max_damaged}")


def lines(path: Path, emit: Emit, label: str = "") -> Iterator[tuple[int, bytes]]:
    """Lines of a file with their numbers, counted from 1, without blank lines; emits progress. Packed files are unpacked.

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
