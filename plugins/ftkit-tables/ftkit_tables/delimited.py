"""Rows of csv and tsv files. A quote out of place never costs more than its own row."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ftkit.contracts import Emit
from ftkit.data.rows import MAX_NAMED_LINES, name_lines
from ftkit.formatting import count
from ftkit_tables.columns import Wanted, matched, renamed
from ftkit_tables.dialect import Dialect, sample
from ftkit_tables.encodings import MARK, Marks
from ftkit_tables.form import Damaged, Form, Options, Record, Reread, counted, open_text

MAX_LABELS = 10_000
"""How many different labels are kept to recognise rows by."""
SHOWN = {",": "comma", "\t": "tab", " ": "space"}


class Delimited:
    """A csv or tsv file whose dialect is decided. Its quotes are judged again when a row does not fit them."""

    def __init__(
        self,
        path: Path,
        encoding: str,
        dialect: Dialect,
        wanted: Wanted,
        options: Options,
        head: Sequence[str],
        *,
        settled: bool = False,
    ) -> None:
        self._path, self._encoding, self._dialect, self._wanted = path, encoding, dialect, wanted
        self._options, self._head = options, head
        self._settled = settled
        self._positions = dialect.positions(wanted)
        self._label = None if wanted.label is None else self._positions[len(wanted.texts)]
        rows = [cells for cells in sample(dialect, head) if dialect.fits(cells)]
        labels: Counter[str] = Counter() if self._label is None else Counter(cells[self._label] for cells in rows)
        self._labels = {label for label, number in labels.items() if number > 1 and label.strip()}
        """Labels seen so far: a line inside a quoted text that ends a row with one of them is a row."""
        self._literal: list[int] = []
        self._literals = self._headers = self._backslashes = 0
        ours = matched(wanted.names, dialect.names)
        self.form = Form(
            {
                "encoding": encoding.removesuffix("-sig"),
                "delimiter": SHOWN.get(dialect.delimiter, dialect.delimiter),
                "quote": dialect.quote or "none",
                **({"escape": dialect.escape} if dialect.escape else {}),
                **({"spaces after delimiters": "left out"} if dialect.spaces else {}),
                **({} if dialect.header else {"header": "none"}),
                **(
                    {"skip": f"{dialect.skip - 1} lines"}
                    if dialect.header and dialect.skip > 1 and not options.header
                    else {}
                ),
                **(
                    {"columns": names}
                    if (names := renamed([(ours[each],) for each in wanted.names], wanted.names))
                    else {}
                ),
            },
            [dict(zip(dialect.names, cells, strict=False)) for cells in rows],
        )

    @property
    def names(self) -> Sequence[str]:
        """The names of all columns."""
        return self._dialect.names

    def records(self, emit: Emit) -> Iterator[Record]:
        """The wanted cells of every row. Raises: DataError, Reread."""
        with open_text(self._path, self._encoding, "") as (text, raw):
            yield from counted(self._rows(iter(text)), self._path, raw, emit)
        if self._literals:
            self.form.warnings.append(
                f"{self._path.name}: quotes out of place in {count(self._literals, 'row')} were read as ordinary characters "
                f'({name_lines(self._literal, self._literals)}). If quotes mean nothing in this file, set quote = "".'
            )
        if self._backslashes:
            self.form.notes.append(
                f"{self._path.name}: a backslash stands before a quote in {count(self._backslashes, 'row')}, and was read as an "
                'ordinary character. If it marks the quote, set escape = "\\\\".'
            )
        if self._headers:
            self.form.notes.append(
                f"{self._path.name}: the header line occurs {count(self._headers, 'time')} more, and was left out there."
            )

    def _rows(self, lines: Iterator[str]) -> Iterator[Record]:
        dialect, label, labels, width = self._dialect, self._label, self._labels, len(self._dialect.names)
        header, marks, number = [*dialect.header], Marks.count, dialect.skip
        escaped = "" if dialect.escape or not dialect.quote else f"\\{dialect.quote}"
        for _ in range(dialect.skip):
            next(lines, "")
        again: list[str] = []  # lines that are read again, the next one last
        taken: list[str] = []  # the lines of the present row

        def feed() -> Iterator[str]:
            while line := again.pop() if again else next(lines, ""):
                taken.append(line)
                yield line

        reader = dialect.reader(feed())
        while True:
            taken.clear()
            reason = ""
            try:
                cells = next(reader, None)
            except csv.Error as error:
                cells, reason = [], _reason(error)
            if cells is None:
                return
            if len(cells) != width or len(taken) != 1 or reason:
                if not reason and (not cells or (len(cells) < width and not any(map(str.strip, cells)))):
                    number += len(taken)
                    continue
                if reason or not dialect.fits(cells) or self._swallows(taken):
                    mended = self._mended(cells, reason, taken, again, number + 1)
                    reader = dialect.reader(feed())
                    if isinstance(mended, Damaged):
                        yield number + 1, mended
                        number += len(taken)
                        continue
                    cells = mended
            if cells == header:
                self._headers += 1
            else:
                values = [cells[position] for position in self._positions]
                if label is not None and len(labels) < MAX_LABELS:
                    labels.add(cells[label])
                if Marks.count != marks and any(MARK in value for value in values[: self._wanted.essential]):
                    yield (
                        number + 1,
                        Damaged(f"it has bytes that are not {self.form.stated['encoding']}", undecodable=True),
                    )
                else:
                    if escaped and any(escaped in value for value in values[: self._wanted.essential]):
                        self._backslashes += 1
                    yield number + 1, values
            number += len(taken)

    def _mended(
        self, cells: Sequence[str], reason: str, taken: list[str], again: list[str], number: int
    ) -> list[str] | Damaged:
        """The cells of a row that does not fit the dialect; the lines that a quote in it has swallowed are to be read again.

        Raises: Reread.
        """
        if not self._settled:
            self._judge_quotes(taken)
        if len(taken) > 1 and (reason or self._swallows(taken)):
            reason = reason or "a quote that begins in it ends in another row"
            again += reversed(taken[1:])
            del taken[1:]
        plain = self._plain(taken[0]) if reason else None
        if plain is None:
            return Damaged(reason or f"it has {count(len(cells), 'column')}, not {len(self._dialect.names)}")
        self._literals += 1
        if len(self._literal) < MAX_NAMED_LINES:
            self._literal.append(number)
        return plain

    def _plain(self, line: str) -> list[str] | None:
        """The cells of a line whose quotes are ordinary characters, if it is a whole row with a label that others have."""
        cells = line.rstrip("\r\n").split(self._dialect.delimiter)
        if not self._dialect.fits(cells):
            return None
        cells = [_unquoted(cell, self._dialect.quote) for cell in cells]
        if self._label is not None and cells[self._label] not in self._labels:
            return None
        return cells

    def _swallows(self, lines: Sequence[str]) -> bool:
        """Whether most lines of a row are whole rows themselves, so that a quote has swallowed them."""
        if len(lines) == 1 or len(self._dialect.names) == 1:
            return False
        whole = [self._plain(line) is not None for line in lines]
        inside = whole[1:-1]
        if self._label is None:
            return len(inside) > 1 and all(whole)
        if not inside:
            return all(whole)
        return all(inside) or sum(whole[:-1]) > len(inside) / 2 + 0.5

    def _judge_quotes(self, lines: Sequence[str]) -> None:
        """Compare the dialect with others over the whole file, once. Raises: Reread for one that fits better."""
        self._settled = True
        dialect, better = self._dialect, None
        if self._options.quote == "auto" and self._quotes_are_ordinary():
            better = replace(dialect, quote="", escape="")
        elif self._options.escape == "auto" and dialect.quote and any("\\" + dialect.quote in line for line in lines):
            escaped = replace(dialect, escape="\\")
            better = escaped if self._misfits(escaped) < self._misfits(dialect) else None
        if better is not None:
            raise Reread(self._with(better))

    def _with(self, dialect: Dialect) -> Delimited:
        return Delimited(self._path, self._encoding, dialect, self._wanted, self._options, self._head, settled=True)

    def _misfits(self, dialect: Dialect) -> int:
        """How many rows do not fit a dialect."""
        file = self._with(dialect)
        with open_text(self._path, self._encoding, "") as (text, _):
            damaged = sum(isinstance(values, Damaged) for _, values in file._rows(iter(text)))
        return damaged + file._literals

    def _quotes_are_ordinary(self) -> bool:
        """Whether every line is a row when quotes mean nothing, and no program has put quotes around what needs them."""
        quote, delimiter = self._dialect.quote, self._dialect.delimiter
        rows = bare = enclosed = 0
        with open_text(self._path, self._encoding, "") as (text, _):
            for number, line in enumerate(text):
                if number < self._dialect.skip or line.isspace():
                    continue
                rows += 1
                cells = line.rstrip("\r\n").split(delimiter)
                if not self._dialect.fits(cells):
                    return False
                if quote not in line:
                    continue
                if self._label is not None and quote in cells[self._label]:
                    return False
                for cell in cells:
                    if len(cell) > 1 and cell[0] == quote == cell[-1]:
                        enclosed += 1
                        if quote * 2 in cell[1:-1]:
                            return False
                    else:
                        bare += quote in cell
        return bare > 0 and enclosed < rows / 2


def _unquoted(cell: str, quote: str) -> str:
    if quote and len(cell) > 1 and cell[0] == quote == cell[-1]:
        return cell[1:-1].replace(quote * 2, quote)
    return cell


def _reason(error: csv.Error) -> str:
    return "a quote that begins in it is never closed" if "end of data" in str(error) else str(error)
