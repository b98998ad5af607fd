"""Which delimiter, quotes and header a csv or tsv file has, by its first lines."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ftkit.data.rows import MAX_LINE_BYTES
from ftkit.errors import DataError
from ftkit_tables.columns import Wanted, check_unique, matched
from ftkit_tables.fasttext_rows import labelled_lines
from ftkit_tables.form import Options
from ftkit_tables.header import is_row, without_columns

DELIMITERS = (",", "\t", ";", "|")
HEADER_WITHIN = 50
"""The header is among so many first lines."""
ROWS_BELOW_TITLES = 10
"""The header is taken to be below a title where so many lines follow, unless the recipe names columns."""
SAMPLE = 2_000
"""How many first rows are compared."""

_SEP = re.compile(r'\ufeff?"?sep=(.)"?\s*$', re.IGNORECASE)
_SPACED = re.compile(r"[,;|\t] +[\"']")
_ESCAPE = re.compile(r"\\(.)")


@dataclass(frozen=True)
class Dialect:
    """How the rows of a csv or tsv file are written."""

    delimiter: str
    quote: str
    escape: str
    names: tuple[str, ...]
    skip: int
    """Lines before the first row, the header included."""
    header: tuple[str, ...] = ()
    """The cells of the header line, which may occur again; empty where the file has none."""
    spaces: bool = False
    """Whether spaces after a delimiter are no part of the next cell."""

    def reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """The cells of every row; csv.Error where quotes do not fit."""
        options: dict[str, Any] = {"delimiter": self.delimiter, "strict": True, "skipinitialspace": self.spaces}
        if self.quote:
            options["quotechar"] = self.quote
        else:
            options["quoting"] = csv.QUOTE_NONE
        if self.escape:
            options["escapechar"] = self.escape
            lines = map(self._kept, lines)
        csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE_BYTES))
        return csv.reader(lines, **options)

    def fits(self, cells: Sequence[str]) -> bool:
        """Whether a row has a cell for every column; empty cells at its end do no harm."""
        width = len(self.names)
        return len(cells) == width or (len(cells) > width and not any(cells[width:]))

    def _kept(self, line: str) -> str:
        r"""The line with every escape character doubled that escapes nothing: `C:\new` stays as it is."""
        if self.escape not in line:
            return line
        special = (self.escape, self.quote, self.delimiter)
        pattern = _ESCAPE if self.escape == "\\" else re.compile(re.escape(self.escape) + "(.)")
        return pattern.sub(lambda pair: pair[0] if pair[1] in special else self.escape + pair[0], line)

    def positions(self, wanted: Wanted) -> tuple[int, ...]:
        """The place of every wanted column in a row."""
        ours = matched(wanted.names, self.names)
        return tuple(self.names.index(ours[name]) for name in wanted.names)


def decide(lines: Sequence[str], wanted: Wanted, options: Options, usual: str, path: Path) -> Dialect:
    """The dialect in which the first lines have a header with the wanted columns and the rows as many cells.

    Raises: DataError for a file without these columns.
    """
    first, delimiters = options.skip or 0, (usual, *(each for each in DELIMITERS if each != usual))
    if options.skip is None and lines and (separator := _SEP.match(lines[0])):
        first, delimiters = 1, (separator[1],)
    if options.delimiter not in ("auto", ""):
        delimiters = (options.delimiter,)
    quotes = (
        (('"', "'") if _single_quoted(lines, delimiters) else ('"',)) if options.quote == "auto" else (options.quote,)
    )
    if options.quote == "auto" and not set(quotes) - set(
        delimiters
    ):  # the file's columns are divided by what are quotes elsewhere
        quotes = ("",)
    plain = [
        Dialect(delimiter, quote, options.escape.removeprefix("auto"), (), first, spaces=spaces)
        for spaces in ((False, True) if _spaced(lines) else (False,))
        for quote in quotes
        for delimiter in delimiters
        if delimiter != quote
    ]
    candidates = [found for each in plain if (found := _with_header(each, lines, wanted, options))]
    if not candidates and wanted.by_number:
        candidates = [found for each in plain if (found := _by_number(each, lines, wanted))]
    if not candidates:
        raise _not_found(plain, lines, wanted, path)
    best = max(
        candidates,
        key=lambda each: (
            _exact(each, wanted),
            _columns(each, lines, wanted),
            round(_share(each, lines), 2),
            -_label_length(each, lines, wanted),
        ),
    )
    if options.header and _share(best, lines) < 0.5 and (hint := labelled_lines(lines)):
        columns = f"{len(best.names)} columns of header"
        raise DataError(
            f"most lines do not have the {columns}, whichever delimiter", where=f"{path}:{first + 1}", hint=hint
        )
    check_unique(path, matched(wanted.names, best.names).values(), best.names)
    return best


def _cells(dialect: Dialect, lines: Iterable[str]) -> Iterator[list[str]]:
    """The rows of some lines that can be read."""
    reader = dialect.reader(lines)
    while True:
        try:
            cells = next(reader, None)
        except csv.Error:
            continue
        if cells is None:
            return
        if cells:
            yield cells


def _line_cells(dialect: Dialect, line: str) -> list[str]:
    return next(_cells(dialect, [line]), [])


def sample(dialect: Dialect, lines: Sequence[str]) -> list[list[str]]:
    """The cells of the first rows."""
    return [*_cells(dialect, lines[dialect.skip : dialect.skip + SAMPLE])]


def _share(dialect: Dialect, lines: Sequence[str]) -> float:
    """Which share of the first rows has a cell for every column."""
    rows = sample(dialect, lines)
    return sum(map(dialect.fits, rows)) / len(rows) if rows else 0.0


def _columns(dialect: Dialect, lines: Sequence[str], wanted: Wanted) -> int:
    """How many columns nearly all rows have, where nobody names one: a wrong delimiter leaves whole lines."""
    return len(dialect.names) if not wanted.names and _share(dialect, lines) >= 0.9 else 0


def _label_length(dialect: Dialect, lines: Sequence[str], wanted: Wanted) -> float:
    """Mean characters of the labels: of two delimiters that give as many columns, the right one cuts out short labels."""
    if wanted.label is None:
        return 0.0
    place = dialect.positions(wanted)[len(wanted.texts)]
    labels = [cells[place] for cells in sample(dialect, lines) if len(cells) > place]
    return sum(map(len, labels)) / max(1, len(labels))


def _exact(dialect: Dialect, wanted: Wanted) -> bool:
    return all(name in dialect.names for name in wanted.names)


def _with_header(dialect: Dialect, lines: Sequence[str], wanted: Wanted, options: Options) -> Dialect | None:
    """The dialect with its columns, if the recipe or one of the first lines names all that are wanted."""
    if options.header:
        if not set(wanted.names) <= {*matched(wanted.names, options.header)}:
            return None
        names = tuple(options.header)
        cells = (
            [cell.strip() for cell in _line_cells(dialect, lines[dialect.skip])] if len(lines) > dialect.skip else []
        )
        again = len(cells) == len(names) and len(matched(wanted.names, cells)) == len(set(wanted.names))
        return replace(dialect, names=names, skip=dialect.skip + again, header=tuple(cells) if again else ())
    within = lines[dialect.skip : dialect.skip + (HEADER_WITHIN if options.skip is None else 1)]
    headers = [[cell.strip(" \t\ufeff") for cell in _line_cells(dialect, line)] for line in within]
    complete = [
        index for index, cells in enumerate(headers) if len(matched(wanted.names, cells)) == len(set(wanted.names))
    ]
    if not complete:
        return None
    index = next((index for index in complete if {*wanted.names} <= {*headers[index]}), complete[0])
    if not wanted.names and options.skip is None:
        index = _below_titles(headers)
    names = tuple(headers[index])
    decided = replace(dialect, names=names, skip=dialect.skip + index + 1, header=names)
    rows = sample(decided, lines)
    if rows and all(len(row) == len(names) + 1 for row in rows) and _running([row[0] for row in rows]):
        return replace(decided, names=("", *names), header=())
    return decided


def _below_titles(lines: Sequence[Sequence[str]]) -> int:
    """Where the header is when nobody names a column: the first line with a name in every column that lines mostly have.

    A title above it, as programs that export tables write it, has fewer cells, or empty ones. Few lines prove nothing:
    a text alone in its line may have a comma.
    """
    width = Counter(map(len, lines)).most_common(1)[0][0]
    index = next((index for index, cells in enumerate(lines) if len(cells) == width and all(cells)), 0)
    titles, below = lines[:index], lines[index + 1 :]
    plain = all(len(cells) < width or not all(cells[1:]) for cells in titles)
    return index if plain and len(below) >= ROWS_BELOW_TITLES and not is_row(lines[index], below) else 0


def _running(cells: Sequence[str]) -> bool:
    """Whether cells count the rows, as the first column does that some programs write without a name."""
    return all(cell.isdecimal() for cell in cells) and all(
        int(after) == int(before) + 1 for before, after in zip(cells, cells[1:], strict=False)
    )


def _by_number(dialect: Dialect, lines: Sequence[str], wanted: Wanted) -> Dialect | None:
    """The dialect with numbers as names of the columns."""
    rows = sample(dialect, lines)
    width = Counter(map(len, rows)).most_common(1)[0][0] if rows else 0
    if width < max(map(int, wanted.names)):
        return None
    names = tuple(map(str, range(1, width + 1)))
    skip = dialect.skip + (len(rows) > 2 and not is_row(rows[0], rows[1:]))
    return replace(dialect, names=names, skip=skip)


def _spaced(lines: Sequence[str]) -> bool:
    """Whether some lines have quoted cells after a delimiter and a space."""
    return sum(_SPACED.search(line) is not None for line in lines[:SAMPLE]) > len(lines[:SAMPLE]) / 50


def _single_quoted(lines: Sequence[str], delimiters: Sequence[str]) -> bool:
    """Whether some lines have cells in single quotes, so that these may be the quotes of the file."""
    pattern = re.compile(rf"(?:^|[{re.escape(''.join(delimiters))}])'.*'(?:$|[{re.escape(''.join(delimiters))}])")
    return sum(pattern.search(line.rstrip()) is not None for line in lines[:SAMPLE]) > len(lines[:SAMPLE]) / 50


def _not_found(plain: Sequence[Dialect], lines: Sequence[str], wanted: Wanted, path: Path) -> DataError:
    """The error for a file in which no line names the wanted columns, by the dialect in which most rows are alike."""
    tables = [sample(dialect, lines) for dialect in plain]
    widths = [Counter(map(len, rows)).most_common(1)[0] if rows else (0, 0) for rows in tables]

    def fit(each: int) -> tuple[bool, float, float]:
        rows = [cells for cells in tables[each] if len(cells) == widths[each][0]]
        shortest = min((sum(map(len, column)) / len(rows) for column in zip(*rows, strict=True)), default=0.0)
        return widths[each][0] > 1, round(len(rows) / max(1, len(tables[each])), 2), -shortest

    best = max(range(len(tables)), key=fit)
    hint = labelled_lines(lines) if widths[best][0] < 2 else ""
    return without_columns(path, tables[best], widths[best][0], wanted, hint)
