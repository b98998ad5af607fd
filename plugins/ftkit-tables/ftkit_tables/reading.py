"""Open a file as a table: its first bytes decide what it is, and the recipe's options come before that."""

from __future__ import annotations

import codecs
import io
from pathlib import Path

from ftkit.data.unpacking import open_data, package
from ftkit.errors import DataError
from ftkit.formatting import beginning
from ftkit_tables import dialect, encodings
from ftkit_tables.columns import Wanted
from ftkit_tables.delimited import Delimited
from ftkit_tables.fasttext_rows import PREFIX, FastText
from ftkit_tables.form import Options, TableFile
from ftkit_tables.json_rows import JsonFile, json_kind
from ftkit_tables.parquet_rows import MAGIC, ParquetFile

SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
}
PACKED_SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".zip")
HEAD_BYTES = 2**18
"""How much of a file is looked at to decide its form."""
MAX_HEAD_BYTES = 2**24
"""How much is looked at where its first line is longer than that."""


def suffix_format(path: Path) -> str | None:
    """The format by a file's suffix, or None where the suffix is unknown."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in PACKED_SUFFIXES]
    return SUFFIXES.get(suffixes[-1]) if suffixes else None


def opened(path: Path, wanted: Wanted, options: Options) -> TableFile:
    """A file whose form is decided.

    Raises: DataError for a file that cannot be read, is no table or lacks a wanted column; where the recipe's options are the reason,
    the hint says what the file itself shows.
    """
    try:
        return _decided(path, wanted, options)
    except DataError as error:
        if not options.given:
            raise
        try:
            form = _decided(path, wanted, Options(header=options.header)).form
        except DataError:
            raise error from None
        shown = ", ".join(
            f"{name} {form.stated[name]}" for name in ("format", "encoding", "delimiter") if name in form.stated
        )
        raise DataError(
            error.what,
            where=error.where,
            hint=f"Without {' and '.join(options.given)} in the recipe, the columns are there: the file has {shown}.",
        ) from error


def _decided(path: Path, wanted: Wanted, options: Options) -> TableFile:
    suffix = suffix_format(path) or ""
    head, whole, packed = _head(path)
    binary = next((kind for magic, kind in MAGIC.items() if head.startswith(magic)), "")
    kind = options.format if options.format != "auto" else binary
    if kind in ("parquet", "arrow"):
        file: TableFile = ParquetFile(path, kind, wanted)
    elif binary:
        raise DataError(
            f"this is a {binary} file, not {kind}",
            where=str(path),
            hint=f'Leave out format, or set format = "{binary}".',
        )
    else:
        encoding = encodings.decide(options.encoding, head, path)
        lines = _lines(head, encoding, whole=whole)
        kind, file = _text_file(path, kind or _text_kind(lines, suffix, whole=whole), encoding, wanted, options, lines)
    if kind != suffix and suffix and not (options.format != "auto" or {kind, suffix} <= {"json", "jsonl"}):
        file.form.notes.append(f"{path.name} is read as {kind}, as its content is, and not as its name says.")
    file.form.stated = {"format": kind} | ({"packed": packed} if packed else {}) | file.form.stated
    return file


def _text_file(
    path: Path, kind: str, encoding: str, wanted: Wanted, options: Options, lines: list[str]
) -> tuple[str, TableFile]:
    """The format and the file; what begins like JSON and is none may be csv. Raises: DataError."""
    is_json = kind in ("json", "jsonl") or suffix_format(path) in ("json", "jsonl")
    formats = [kind, "csv"] if kind == "json" and options.format == "auto" else [kind]
    errors: list[DataError] = []
    for each in formats:
        try:
            if each == "fasttext":
                return each, FastText(path, encoding, wanted, lines)
            if each in ("json", "jsonl"):
                return each, JsonFile(path, each, encoding, wanted, options.header, lines)
            decided = dialect.decide(lines, wanted, options, "\t" if each == "tsv" else ",", path)
            return each, Delimited(path, encoding, decided, wanted, options, lines)
        except DataError as error:
            errors.append(error)
    if any(encodings.MARK in line for line in lines[: dialect.HEADER_WITHIN]):
        raise encodings.undecodable(path, encoding, "the first lines")
    if is_json and kind == "csv" and lines:
        raise DataError(
            f"this is neither JSON nor a table with these columns; it begins with {beginning(lines[0].strip(), 40)!r}",
            where=f"{path}:1",
            hint="Write one JSON object in each line, or one document.",
        )
    raise errors[0]


def _text_kind(lines: list[str], suffix: str, *, whole: bool) -> str:
    """The format of a text file by its first lines; csv or tsv by its suffix."""
    first = next((line.lstrip() for line in lines if not line.isspace()), "")
    if first.startswith(PREFIX):
        return "fasttext"
    if kind := json_kind(lines, whole=whole):
        return kind
    return "tsv" if suffix == "tsv" or (suffix != "csv" and "\t" in first) else "csv"


def _head(path: Path) -> tuple[bytes, bool, str]:
    """The first bytes of a file, up to at least one line end, whether that is all, and what it is packed with. Raises: DataError."""
    with open_data(path) as (content, raw):
        with path.open("rb") as start:
            packed = "" if content is raw else package(start.read(8))
        head, size = b"", HEAD_BYTES
        while True:
            part = content.read(size - len(head))
            head += part
            if len(head) < size:
                return head, True, packed
            if b"\n" in head or b"\r" in head or size >= MAX_HEAD_BYTES:
                return head, False, packed
            size *= 8


def _lines(head: bytes, encoding: str, *, whole: bool) -> list[str]:
    """The whole lines in the first bytes of a text file."""
    decoder = codecs.getincrementaldecoder(encoding)(encodings.MARKING)
    lines = [*io.StringIO(decoder.decode(head, final=whole), newline="")]
    return lines if whole or len(lines) < 2 else lines[:-1]
