"""From the records of a file to rows: what counts as a text, what is damaged, and what is probably wrong with the file."""

from __future__ import annotations

import codecs
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ftkit import pairs
from ftkit.contracts import Emit
from ftkit.data.moments import missing
from ftkit.data.other_columns import OtherColumns
from ftkit.data.rows import DAMAGED, Rows, name_lines
from ftkit.data.splits import NO_DATE
from ftkit.errors import DataError
from ftkit.formatting import count
from ftkit_tables import encodings, text_quality
from ftkit_tables.columns import Wanted, field_path, missing_column
from ftkit_tables.form import Damaged, Form, Options, Reread, TableFile
from ftkit_tables.indicators import Indicators
from ftkit_tables.reading import opened

MAX_LABELS = 10_000
"""Labels of which rows share one text in memory."""
FORM_OPTIONS = "format, encoding, delimiter, quote, escape, skip and header"


def read(
    path: Path,
    wanted: Wanted,
    options: Options,
    emit: Emit,
    *,
    max_damaged: float,
    named: Collection[str] = (),
    repair: bool = False,
    group: str = "",
    time: str = "",
    several: bool = False,
) -> Rows:
    """The rows of one file, labels as the file has them; further columns are looked at for what they say about splits.

    `named` are the labels that the recipe names: where they are none of the class names that the file has beside its numbers, the
    numbers stay. With `several`, columns of zeros and ones are any number of labels. With `repair`, texts in a wrong encoding are repaired.

    Raises: DataError for a file that cannot be read, is no table, lacks a wanted column, or is damaged in more rows than allowed.
    """
    file, wanted = _with_others(path, wanted, options, group, time)
    while True:
        rows, indicators = (
            Rows(str(path), label_column=wanted.label or ""),
            Indicators(wanted.indicators, several=several),
        )
        rows.others = _others(file, wanted, group, time, only=wanted.others)
        try:
            undecodable = _fill(rows, file, wanted, indicators, emit, named, time)
            break
        except Reread as error:
            before = {name: file.form.stated[name] for name in ("format", "packed") if name in file.form.stated}
            stated = before | error.file.form.stated
            file, file.form.stated = error.file, stated
    _check(rows, path, file.form, undecodable, max_damaged)
    indicators.check(path)
    if doubt := indicators.doubt(path):
        rows.warnings.append(doubt)
    rows.form = dict(file.form.stated)
    rows.notes += file.form.notes
    rows.warnings += file.form.warnings
    rows.first_rows = [*file.form.first_rows]
    text_quality.inspect(rows, path, wanted.texts, repair=repair)
    return rows


def read_texts(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, str | None]]:
    """The number and the text of every row of a file, None where there is none or the row is damaged. Raises: DataError."""
    wanted = Wanted(tuple(columns))
    file = opened(path, wanted, Options())
    texts: list[tuple[int, str | None]] = []
    while True:
        try:
            for number, values in file.records(lambda event: None):
                text = values if isinstance(values, Damaged) else joined_text(values)
                texts.append((number, text if isinstance(text, str) and text and not text.isspace() else None))
            break
        except Reread as error:
            file = error.file
            texts.clear()
    yield from texts


def _with_others(path: Path, wanted: Wanted, options: Options, group: str, time: str) -> tuple[TableFile, Wanted]:
    """The file, and what is read of it: the wanted columns, and those that say something about splits. Raises: DataError."""
    asked = replace(wanted, others=tuple(name for name in (group, time) if name))
    file = opened(path, asked, options)
    columns = [*dict.fromkeys(name for row in file.form.first_rows for name in row)]
    if time and not field_path(time, columns):
        raise missing_column(path, time, columns)
    try:
        names = _others(file, wanted, group, time).names
    except DataError as error:
        raise DataError(error.what, where=str(path), hint=error.hint) from error
    if names == asked.others:
        return file, asked
    try:
        return opened(path, replace(wanted, others=names), options), replace(wanted, others=names)
    except DataError:  # a column that nobody asked for, such as one that is there twice
        return file, asked


def _others(file: TableFile, wanted: Wanted, group: str, time: str, only: Sequence[str] | None = None) -> OtherColumns:
    """The other columns to look at, by the first rows; `only` these if they are known."""
    names = [*dict.fromkeys(name for row in file.form.first_rows for name in row)]
    known = {
        "".join(path[:1])
        for name in (*wanted.texts, wanted.label or "", *wanted.indicators, group, time)
        if (path := field_path(name, names))
    }
    rows = [
        {name: value for name, value in row.items() if name not in known and not name.isdecimal()}
        for row in file.form.first_rows
    ]
    for name in filter(None, (group, time)):
        for row, value in zip(rows, file.form.first_rows, strict=True):
            for key in field_path(name, names):
                value = value.get(key) if isinstance(value, Mapping) else None  # type: ignore[assignment]  # inside a row
            row[name] = value
    return OtherColumns.choose(rows, (), group, time, only)


def _fill(
    rows: Rows,
    file: TableFile,
    wanted: Wanted,
    indicators: Indicators,
    emit: Emit,
    named: Collection[str],
    time: str,
) -> int:
    """Add the records of a file; returns how many rows do not fit its encoding. Raises: DataError, Reread."""
    width, columns = len(wanted.texts), wanted.columns
    names = file.form.class_names if not named or not {*named}.isdisjoint(file.form.class_names) else ()
    essential, undecodable, labels = wanted.essential, 0, wanted.labels
    same: dict[str, str] = {}
    for number, values in file.records(emit):
        if isinstance(values, Damaged):
            rows.damage(number, values.reason)
            undecodable += values.undecodable
            continue
        text: str | Damaged | None = (
            values[0] if width == 1 and type(values[0]) is str else _text(values[:width], wanted)
        )
        if isinstance(text, Damaged):
            rows.damage(number, text.reason)
            continue
        label = values[width] if not wanted.indicators else indicators.label(number, values[labels])
        if isinstance(label, Damaged):
            rows.damage(number, label.reason)
            continue
        others = values[essential:]
        if time and math.isnan(rows.others.moment(time, value := others[wanted.others.index(time)])):
            if missing(value):
                rows.drop(NO_DATE)
            else:
                rows.damage(number, f"{str(value)!r:.60} in {time!r} is no date in the form of the first ones")
            continue
        if others:
            rows.others.add(others)
        if names:
            label = _class_name(label, names)
        if type(label) is str and len(same) < MAX_LABELS:
            label = same.setdefault(label, label)
        rows.lines.append(number)
        if columns:
            further = dict(zip(columns, map(_json_value, values[labels.stop : essential]), strict=True))
            rows.add(text or "", label, **further)
        else:
            rows.texts.append(text or "")
            rows.labels.append(label)
    return undecodable


def _check(rows: Rows, path: Path, form: Form, undecodable: int, limit: float) -> None:
    """Raises: DataError when too many rows are damaged, with the reason that most of them have."""
    damaged, encoding = rows.dropped[DAMAGED], form.stated.get("encoding", "")
    if undecodable and damaged > limit * rows.read and undecodable > damaged / 2:
        raise encodings.undecodable(path, encoding, f"{undecodable:,} of {rows.read:,} rows")
    rows.check_damage(limit, FORM_OPTIONS)
    if undecodable and not codecs.lookup(encoding).name.startswith(("utf-16", "utf-32")):
        lines = encodings.misfits(path, encoding)
        if not lines.stray:
            rows.warnings.append(
                f"{path.name}: bytes that are not {encoding} in {count(undecodable, 'row')}, left out "
                f"({name_lines(rows.damaged, damaged)}). {encodings.cure(path, encoding, lines)}"
            )


def _text(values: Sequence[Any], wanted: Wanted) -> str | Damaged | None:
    """The text of a row: its columns as one, or as the sides of a pair."""
    if not wanted.pair:
        return joined_text(values)
    first, second = (joined_text([value]) for value in values)
    if isinstance(first, Damaged) or isinstance(second, Damaged):
        return first if isinstance(first, Damaged) else second
    return pairs.join(first or "", second or "")


def joined_text(values: Sequence[Any]) -> str | Damaged | None:
    """The columns of a row as one text, as csv would have them: numbers are read as they are written."""
    parts: list[str] = []
    for value in values:
        if isinstance(value, Damaged):
            return value
        if isinstance(value, dict):
            fields = ", ".join(map(repr, [*value][:5]))
            return Damaged(
                f'its text is an object with the fields {fields}: name one of them, as in text = "body.{[*value, "text"][0]}"'
            )
        if isinstance(value, list | tuple | set):
            return Damaged(f"its text is a list of {len(value)} values, not one text")
        if value is None or (isinstance(value, float) and math.isnan(value)):
            continue
        if isinstance(value, bool):
            value = "true" if value else "false"
        part = value if isinstance(value, str) else str(value)
        if part and not part.isspace():
            parts.append(part)
    return "\n".join(parts) if parts else None


def _class_name(label: Any, names: Sequence[str]) -> Any:
    """The name of a class for its number; -1 stands for no label."""
    if isinstance(label, list):
        return [_class_name(each, names) for each in label]
    if isinstance(label, int) and not isinstance(label, bool):
        return names[label] if 0 <= label < len(names) else None if label == -1 else label
    return label


def _json_value(value: Any) -> Any:
    """A column's value in the types that JSON has."""
    if isinstance(value, Damaged) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
