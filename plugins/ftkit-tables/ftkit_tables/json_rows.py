"""Rows of JSON: one object in each line, or one document with all rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ftkit import strict_json
from ftkit.contracts import Emit
from ftkit.data.rows import MAX_LINE_BYTES
from ftkit.errors import DataError
from ftkit_tables.columns import Wanted, field_path, matched, missing_column, renamed
from ftkit_tables.encodings import MARK, Marks
from ftkit_tables.form import Damaged, Form, Record, counted, open_text
from ftkit_tables.header import without_columns

FIRST_ROWS = 200
MAX_KEYS = 1_000
PARTS = {"train": ("train", "training"), "valid": ("valid", "validation", "val", "dev"), "test": ("test",)}
"""What the lists of a document are called that hold the parts of the data."""
_ABSENT = object()
_DECODE = json.JSONDecoder(strict=False)
"""Control characters inside texts are accepted."""
_DECODE_ONCE = json.JSONDecoder(strict=False, object_pairs_hook=strict_json.once)
"""The same for keys that are there once: of two, nobody knows which one is meant."""


def json_kind(lines: Sequence[str], *, whole: bool) -> str:
    """`jsonl`, `json` for one document, or empty, by the first lines of a file."""
    filled = [line for line in lines if not line.isspace()][:20]
    if not filled or filled[0].lstrip()[:1] not in ("{", "["):
        objects = sum(isinstance(_parsed(line), dict) for line in filled)
        return "jsonl" if objects > len(filled) / 2 else ""
    first = _parsed(filled[0])
    if whole and len(filled) == 1 and isinstance(first, dict | list):
        return "json"
    if isinstance(first, dict) or (
        isinstance(first, list) and not any(isinstance(each, dict | list) for each in first)
    ):
        return "jsonl"
    objects = sum(isinstance(_parsed(line), dict) for line in filled)
    return "jsonl" if objects > len(filled) / 2 else "json"


class JsonFile:
    """A file of JSON lines, or one JSON document."""

    def __init__(
        self, path: Path, kind: str, encoding: str, wanted: Wanted, header: Sequence[str], head: Sequence[str]
    ) -> None:
        self._path, self._kind, self._encoding, self._wanted, self._header = path, kind, encoding, wanted, header
        marks = Marks.count
        self._objects = [*_document(path, encoding, wanted)] if kind == "json" else None
        self._marks = Marks.count != marks
        first = (
            self._objects[:FIRST_ROWS] if self._objects is not None else [_parsed(line) for line in head[:FIRST_ROWS]]
        )
        if self._objects and not header and all(isinstance(each, list) for each in first):
            rows = [[str(cell) for cell in row] for row in first]
            if len(matched(wanted.names, rows[0])) < len({*wanted.names}):
                raise without_columns(path, rows, len(rows[0]), wanted)
            self._header, self._objects = rows[0], self._objects[1:]
        objects = [row for each in first if (row := self._object(each)) is not None]
        self._names = [*dict.fromkeys(name for row in objects for name in row)]
        self._paths = [field_path(name, self._names) or (name,) for name in wanted.names]
        stated = {"encoding": encoding.removesuffix("-sig")}
        if names := renamed(self._paths, wanted.names):
            stated["columns"] = names
        self.form = Form(stated, objects)

    def records(self, emit: Emit) -> Iterator[Record]:
        """The wanted values of every object, None where it has no such key. Raises: DataError."""
        if self._objects is not None:
            yield from self._rows(enumerate(self._objects, 1), marks=self._marks)
            return
        with open_text(self._path, self._encoding, "\n") as (text, raw):
            yield from counted(self._rows(self._lines(text), marks=False), self._path, raw, emit)

    def objects(self, emit: Emit) -> Iterator[tuple[int, dict[str, Any] | Damaged]]:
        """Every object with all its keys."""
        if self._objects is not None:
            yield from self._whole(enumerate(self._objects, 1))
            return
        with open_text(self._path, self._encoding, "\n") as (text, raw):
            yield from counted(self._whole(self._lines(text)), self._path, raw, emit)

    def _whole(self, objects: Iterable[tuple[int, Any]]) -> Iterator[tuple[int, dict[str, Any] | Damaged]]:
        for number, value in objects:
            if isinstance(value, Damaged):
                yield number, value
            else:
                row = self._object(value)
                yield number, Damaged("not a JSON object") if row is None else row

    def values(self, row: Mapping[str, Any]) -> list[Any]:
        """The wanted values of an object, None where it has no such key."""
        return [None if (value := _followed(row, path)) is _ABSENT else value for path in self._paths]

    def _lines(self, text: Any) -> Iterator[tuple[int, Any]]:
        number, marks = 0, Marks.count
        quoted = [json.dumps(path[0]) for path in self._paths]
        while line := text.readline(MAX_LINE_BYTES):
            number += 1
            if line.isspace():
                continue
            if Marks.count != marks and MARK in line:
                yield number, Damaged(f"it has bytes that are not {self.form.stated['encoding']}", undecodable=True)
                continue
            try:
                twice = any(line.count(name) > 1 for name in quoted)  # seldom: mostly the word is in the text
                yield number, (_DECODE_ONCE if twice else _DECODE).decode(line)
            except (ValueError, RecursionError) as error:
                yield number, Damaged(f"not valid JSON: {error}")

    def _rows(self, objects: Iterable[tuple[int, Any]], *, marks: bool) -> Iterator[Record]:
        single = [path[0] if len(path) == 1 else None for path in self._paths]
        absent, good = [0] * len(self._paths), 0
        names: dict[str, None] = dict.fromkeys(self._names)
        for number, value in objects:
            row = value if type(value) is dict else self._object(value)
            if row is None:
                yield number, value if isinstance(value, Damaged) else Damaged("not a JSON object")
                continue
            good += 1
            values = [
                row.get(key, _ABSENT) if key is not None else _followed(row, self._paths[place])
                for place, key in enumerate(single)
            ]
            if _ABSENT in values:
                for place, each in enumerate(values):
                    if each is _ABSENT:
                        values[place] = None
                        absent[place] += 1
                if len(names) < MAX_KEYS:
                    names |= dict.fromkeys(row)
            if marks and any(isinstance(each, str) and MARK in each for each in values[: self._wanted.essential]):
                yield number, Damaged(f"it has bytes that are not {self.form.stated['encoding']}", undecodable=True)
            else:
                yield number, values
        for place, count in enumerate(absent):
            if good and count == good:
                raise missing_column(self._path, self._wanted.names[place], self._with_fields(names))

    def _with_fields(self, names: Iterable[str]) -> Sequence[str]:
        """The columns, and the fields inside them by their path."""
        fields = {
            name: [f"{name}.{field}" for field in value]
            for row in reversed(self.form.first_rows)
            for name, value in row.items()
            if isinstance(value, dict)
        }
        return [each for name in names for each in fields.get(name, [name])]

    def _object(self, value: Any) -> dict[str, Any] | None:
        """A row as an object; lists are read by `header`."""
        if isinstance(value, dict):
            return value
        if isinstance(value, list) and len(value) == len(self._header):
            return dict(zip(self._header, value, strict=True))
        return None


def _followed(row: Mapping[str, Any], path: Sequence[str]) -> Any:
    value: Any = row
    for key in path:
        if not isinstance(value, dict):
            return _ABSENT
        value = value.get(key, _ABSENT)
    return value


def _parsed(line: str) -> Any:
    try:
        return _DECODE.decode(line)
    except (ValueError, RecursionError):
        return None


def _document(path: Path, encoding: str, wanted: Wanted) -> Sequence[Any]:
    """The rows of a JSON document, or of several one after another. Raises: DataError."""
    with open_text(path, encoding, "\n") as (content, _):
        text = content.read()
    values, place = [], 0
    while place < len(text):
        while place < len(text) and text[place] in " \t\r\n,\ufeff":
            place += 1
        if place == len(text):
            break
        try:
            value, place = _DECODE_ONCE.raw_decode(text, place)
        except (ValueError, RecursionError) as error:
            where = getattr(error, "pos", 0)
            raise DataError(
                f"this is neither JSON lines nor one JSON document: {error}",
                where=f"{path}:{text.count(chr(10), 0, where) + 1}",
                hint="These are objects of Python: write them as JSON, by json.dumps(ast.literal_eval(line))."
                if text.lstrip("[ \t\r\n").startswith("{'")
                else "Write it anew, with one JSON object per line. If it is no JSON, set format.",
            ) from error
        values.append(value)
    return _rows_of(values[0], path, wanted) if len(values) == 1 else values


def _rows_of(document: Any, path: Path, wanted: Wanted) -> Sequence[Any]:
    """The rows of one document: a list of objects, or an object of columns, of rows, or around one list of them."""
    if isinstance(document, list):
        return document
    if not isinstance(document, dict):
        raise DataError("this is one JSON value, not rows", where=str(path), hint="Give one JSON object per row.")
    names = [*document]
    columns = [keys[0] for name in wanted.names if (keys := field_path(name, names))]
    if len(columns) == len(wanted.names):
        if (
            all(isinstance(document[name], list) for name in columns)
            and len({len(document[name]) for name in columns}) == 1
        ):
            return [
                dict(zip(columns, row, strict=True)) for row in zip(*(document[name] for name in columns), strict=True)
            ]
        if all(isinstance(document[name], dict) for name in columns):
            return [{name: document[name].get(key) for name in columns} for key in document[columns[0]]]
        return [document]
    if isinstance(document.get("columns"), list) and isinstance(document.get("data"), list):
        return [[str(name) for name in document["columns"]], *document["data"]]
    lists = {
        name: value
        for name, value in document.items()
        if isinstance(value, list) and value and isinstance(value[0], dict | list)
    }
    if len(lists) == 1:
        return next(iter(lists.values()))
    if not lists and document and all(isinstance(value, dict) for value in document.values()):
        return [*document.values()] if len(document) > 1 else _rows_of(next(iter(document.values())), path, wanted)
    if lists:
        if names := [name for name in PARTS.get(wanted.part, ()) if name in lists]:
            return lists[names[0]]
        first = next(iter(lists))
        raise DataError(
            f"this JSON document has several lists: {', '.join(f'{name!r:.40}' for name in [*lists][:10])}",
            where=str(path),
            hint="Give this file as train and as test, where the lists have these names, or write them into files of their own: "
            f"jq -c '.{first}[]' {path.name} > {first}.jsonl",
        )
    raise missing_column(path, next(name for name in wanted.names if not field_path(name, names)), names)
