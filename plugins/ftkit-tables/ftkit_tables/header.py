"""What to say of a file in which no line names the wanted columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ftkit.errors import DataError
from ftkit_tables.columns import Wanted, matched, missing_column


def is_row(cells: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether a line is a row and no header: a cell occurs again in its column, is a number, or is a text of many words."""
    for column, cell in enumerate(cells):
        others = {row[column] for row in rows if len(row) == len(cells)}
        if cell and (cell in others or cell.strip().lstrip("-").isdecimal() or len(cell.split()) > 6 or len(cell) > 60):
            return True
    return False


def without_columns(path: Path, rows: Sequence[Sequence[str]], width: int, wanted: Wanted, hint: str = "") -> DataError:
    """The error for a file whose first row does not name the wanted columns; it proposes a header where that is a row itself."""
    if not any(cell.strip() for row in rows for cell in row):
        return DataError("there are no rows", where=str(path), hint="Give a file with a header and rows.")
    first = [cell.strip() for cell in rows[0]]
    ours = matched(wanted.names, first)
    if len(first) == width and not ours and not hint and is_row(rows[0], rows[1:]):
        names = ", ".join(f'"{name}"' for name in _proposed(rows, width, wanted))
        return DataError(
            f"the file has no header line: its first line is a row, which begins with {first[0]!r:.60}",
            where=f"{path}:1",
            hint=f"Name its {width} columns, for instance: header = [{names}].",
        )
    missing = next((name for name in wanted.names if name not in ours), wanted.names[0])
    return missing_column(path, missing, first, hint)


def _proposed(rows: Sequence[Sequence[str]], width: int, wanted: Wanted) -> list[str]:
    """Names for columns without a header: the label where few values occur, the text where values are longest."""
    columns = [*zip(*(row for row in rows if len(row) == width), strict=True)]
    names = [f"column{number}" for number in range(1, width + 1)]
    distinct = [len({*values}) / len(values) for values in columns]
    lengths = [sum(map(len, values)) / len(values) for values in columns]
    text = max(range(width), key=lengths.__getitem__)
    label = min((each for each in range(width) if each != text), key=distinct.__getitem__, default=text)
    names[text] = wanted.texts[0]
    if label != text and wanted.label is not None and (distinct[label] < 0.5 or width == 2):
        names[label] = wanted.label
    return names
