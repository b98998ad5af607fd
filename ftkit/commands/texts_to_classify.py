"""The texts that `ftkit predict` was given: arguments, lines, or the rows of a table."""

from __future__ import annotations

import itertools
import sys
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

from ftkit import pairs, plugins
from ftkit.bundle.bundle import Bundle
from ftkit.contracts import TextReading
from ftkit.errors import DataError, PluginError, UsageError, VerbError
from ftkit.plugins.calls import call

P = TypeVar("P")

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".xlsx", ".xls")
"""Suffixes of files that are never one text a line."""


@dataclass(frozen=True)
class Text:
    """One text to classify."""

    text: str | None
    """None where a row of a table has none."""
    row: int | None = None
    """Where it stands in a table: its line, or its number in a file without lines; None for other texts."""

    def row_of(self, fields: Sequence[str]) -> dict[str, str | None]:
        """The text, or both texts of a pair, by their names."""
        return dict.fromkeys(fields) if self.text is None else {**pairs.as_row(self.text, fields)}


def given(texts: Sequence[str], path: Path | None, columns: tuple[str, ...], model: Bundle) -> Iterator[Text]:
    """The texts in order. Raises: UsageError when there are none or a file cannot be read; DataError; PluginError."""
    parts: list[Iterable[Text]] = []
    if len(model.fields) > 1:
        check_sides(columns, model)
    if path is not None:
        parts.append(_file(path, columns, model))
    elif len(model.fields) > 1:
        return _pairs(texts, model)
    elif columns:
        raise UsageError("--text names a column, and there is no table", hint="Name the table: --file FILE.")
    elif not texts and sys.stdin.isatty():
        raise UsageError(
            "there is no text to classify", hint="Give texts as arguments, --file FILE, or - for standard input."
        )
    for text in texts or (() if path is not None else ("-",)):
        parts.append(_lines(sys.stdin) if text == "-" else [Text(text)])
    return itertools.chain.from_iterable(parts)


def check_sides(columns: Sequence[str], model: Bundle) -> None:
    """Raises: UsageError unless the columns are those of both sides of the pairs that a model reads, or none."""
    if columns and len(columns) != 2:
        raise UsageError(
            f"the model reads pairs, {' and '.join(model.fields)}, and --text names {len(columns)} of two columns",
            hint="Give --text twice, in this order.",
        )


def _pairs(texts: Sequence[str], model: Bundle) -> Iterator[Text]:
    """Two arguments after another are a pair. Raises: UsageError."""
    fields = " and ".join(model.fields)
    if not texts or len(texts) % 2 or "-" in texts:
        raise UsageError(
            f"the model reads pairs, {fields}, and {len(texts)} texts are no pairs"
            if texts and "-" not in texts
            else f"the model reads pairs, {fields}, and lines have one text",
            hint=f"Give {fields} as two arguments, or a table: --file FILE.",
        )
    return (Text(pairs.join(*sides)) for sides in zip(texts[::2], texts[1::2], strict=True))


def _file(path: Path, columns: tuple[str, ...], model: Bundle) -> Iterator[Text]:
    dataset = recipe_dataset(model)
    if not path.is_file():
        what = "this is a folder" if path.is_dir() else "there is no such file"
        raise UsageError(f"the texts cannot be read: {what}", where=str(path), hint="Name a table or a file of lines.")
    use = dataset.get("use")
    reader = next(readers(TextReading, use, path), None)  # type: ignore[type-abstract]  # asked of classes
    if reader is not None:
        columns = columns or recipe_columns(reader, dataset)
        if len(model.fields) > 1:
            check_sides(columns, model)
        return _rows(reader, path, columns, paired=len(model.fields) > 1)
    if any(suffix.lower() in TABLES for suffix in path.suffixes):
        raise PluginError(
            f"no installed data set reads {''.join(path.suffixes)} files",
            where=str(path),
            hint=plugins.load().advice("datasets", "table"),
        )
    if len(model.fields) > 1:
        hint = "Name a table, with the suffix of its format, such as .csv."
        raise UsageError("the model reads pairs, and this file is no table by its name", where=str(path), hint=hint)
    if columns:
        hint = "Give it the suffix of its format, such as .csv, or leave --text out: each line is a text then."
        raise UsageError("--text names a column, and this file is no table by its name", where=str(path), hint=hint)
    try:
        return _lines(path.open(encoding="utf-8", errors="replace"))
    except OSError as error:
        raise UsageError(f"the texts cannot be read: {error.strerror}", where=str(path)) from error


def _rows(reader: type[TextReading], path: Path, columns: tuple[str, ...], *, paired: bool) -> Iterator[Text]:
    try:
        if paired:
            first, second = (call(TextReading.texts, reader, path, (name,)) for name in columns)  # type: ignore[misc]  # a class method
            for (number, one), (_, other) in zip(first, second, strict=True):
                yield Text(pairs.join(one, other) if one and other else None, number)
            return
        rows = call(TextReading.texts, reader, path, columns)  # type: ignore[misc]  # a class method
        yield from (Text(text, number) for number, text in rows)
    except DataError as error:
        hint = f"{error.hint} Here the text column is set by --text COLUMN; it is {', '.join(map(repr, columns))} now."
        raise DataError(error.what, error.where, hint.strip()) from error


def _lines(file: IO[str]) -> Iterator[Text]:
    """Lines without their ends; an empty line is a text too, so that answer n belongs to line n."""
    with file:
        for line in file:
            yield Text(line.rstrip("\r\n"))


def recipe_dataset(model: Bundle) -> dict[str, Any]:
    """The section [dataset] of the recipe that made a model; empty where it cannot be read."""
    try:
        section = tomllib.loads((model.folder / "recipe.toml").read_text(encoding="utf-8")).get("dataset", {})
    except (OSError, ValueError):
        return {}
    return section if isinstance(section, dict) else {}


def readers(protocol: type[P], use: Any, path: Path) -> Iterator[type[P]]:
    """The installed data sets that can read a file in the way of a protocol, that of the model's recipe first."""
    installed = plugins.load()
    for name in sorted(installed.names("datasets"), key=lambda each: (each != use, each)):
        dataset = installed.find("datasets", name)
        if issubclass(dataset, protocol) and _reads(dataset, path, use):
            yield dataset


def _reads(reader: Any, path: Path, use: Any) -> bool:
    """Whether a data set reads a file; a plugin that fails at it is passed over, unless the model's recipe names it."""
    try:
        return call(TextReading.reads, reader, path)  # type: ignore[call-arg]  # a class method
    except VerbError:
        if reader.name == use:
            raise
        return False


def recipe_columns(reader: Any, dataset: dict[str, Any]) -> tuple[str, ...]:
    """The text columns of the model's recipe, or `text`."""
    value = dataset.get("text") if dataset.get("use") == reader.name else None
    return (value,) if isinstance(value, str) else tuple(value or ("text",))
