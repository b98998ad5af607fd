"""Data files: odd texts in every form, and damaged ones; what is read is what was written, and every row is accounted for."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.fuzzing.families import Case, Outcome, Silent
from benchmarks.fuzzing.mutations import ODD_TEXTS, another_value, damaged, written

ROWS = 40
CLASSES = ("good", "bad", "odd")
WORDS = [
    "parcel",
    "café",
    "invoice",
    "refund",
    "übel",
    "broken",
    "price",
    "late",
    "物流",
    "хорошо",
    "👍",
    "screen",
    "arrived",
    "happy",
    "slow",
]
ODD_LABELS = (
    "1",
    "1.0",
    "01",
    "true",
    "None",
    "nan",
    "",
    " good",
    "Good",
    "good\u00a0",
    "\0",
    "a|b",
    "x" * 300,
    "0",
)
CHECKED = ("gz", "bz2", "xz", "zip")
"""Packages that have a checksum of their content."""


@dataclass(frozen=True)
class Row:
    """A text and its label as they are written."""

    text: str
    label: Any


class Cases:
    """Tables of a few rows, made anew for each case."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def close(self) -> None:
        """Nothing was started."""

    def case(self, random: Random) -> Case:
        """A table with odd texts, or with damages, or both."""
        rows = _rows(random)
        name, content, exact = random.choice(FORMS)(random, rows)
        if random.random() < 0.5:
            content, exact = damaged(random, content), False
        if random.random() < 0.3:
            package = random.choice((*CHECKED, "zst"))
            content = _packed(package, name, content)
            name = f"{name}.{package}"
            if random.random() < 0.4:
                content = damaged(random, content)
                exact = exact and package in CHECKED
        options = _options(random)
        path = self._folder / name

        def read() -> Outcome:
            path.write_bytes(content)
            try:
                _check(path, rows, options, exact=exact)
            finally:
                path.unlink()
            return "accepted"

        return Case(f"{name} {options} {content[:2000]!r}", read)


def _check(path: Path, rows: Sequence[Row], options: dict[str, Any], *, exact: bool) -> None:
    """Load a table. Raises: Silent where rows are lost, or read otherwise than written, without a word."""
    from ftkit import options as recipe_options
    from ftkit.plugins import load

    table = recipe_options.build(load().find("datasets", "table"), {"path": str(path), **options})
    data = table.load(7, lambda _: None)
    report = data.report
    kept = [text for split in (data.train, data.valid, data.test) for text in split.texts]
    dropped = sum(report.dropped.values())
    if len(kept) + dropped != report.rows_read:
        raise Silent(f"rows are not accounted for\n{len(kept)} kept, {dict(report.dropped)}, {report.rows_read} read")
    if not exact or options.keys() & {"repair", "encoding", "quote"}:
        return
    if report.rows_read != len(rows):
        if not report.warnings and not report.notes:
            raise Silent(f"more or fewer rows than written\n{report.rows_read} of {len(rows)} {report.files}")
        return
    by_text = {_plain(row.text): row for row in rows}
    for split in (data.train, data.valid, data.test):
        for text, label in zip(split.texts, split.labels, strict=True):
            row = by_text.get(_plain(text))
            said = [*report.warnings, *report.notes]
            if row is None:
                if not said:
                    raise Silent(f"a text is not as it was written\n{text!r} {report.files}")
            elif (
                "labels" not in options
                and isinstance(label, int)
                and (name := data.classes[label]) != str(row.label).strip()
                and not said
            ):
                raise Silent(f"a label is not as it was written\n{name!r} for {row.label!r}")


def _plain(text: str) -> str:
    """A text without what no reader promises: its white space, halves of surrogate pairs, and how often a backslash is there."""
    return " ".join(text.encode("utf-8", "replace").decode().replace("\\\\", "\\").split())


def _rows(random: Random) -> list[Row]:
    """Different texts of three classes, a few of them odd."""
    labels: Sequence[Any] = CLASSES
    if random.random() < 0.2:
        labels = (*CLASSES, random.choice(ODD_LABELS))
    rows = []
    for number in range(ROWS):
        words = random.choices(WORDS, k=random.randint(3, 9))
        if random.random() < 0.15:
            odd = random.choice(
                (*ODD_TEXTS, '"quoted"', 'a, "b", c', "line\nline", "a;b|c\td", "\\", "'", '""', "#", "=1+1")
            )
            words.insert(random.randint(0, len(words)), odd.encode("utf-8", "replace").decode()[:500])
        text = " ".join([*words, f"no{number}"]).replace("\0", "" if random.random() < 0.5 else "\0")
        rows.append(Row(text, labels[number % 3] if random.random() < 0.9 else random.choice(labels)))
    return rows


def _delimited(random: Random, rows: Sequence[Row]) -> tuple[str, bytes, bool]:
    delimiter = random.choice(",,,;\t|")
    form: dict[str, Any] = {"delimiter": delimiter, "lineterminator": random.choice(("\n", "\r\n"))}
    form |= random.choice(({}, {"quoting": csv.QUOTE_ALL}, {"doublequote": False, "escapechar": "\\"}))
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, **form)
    columns = random.choice((["text", "label"], ["label", "text"], ["id", "text", "label"], ["text", "label", "text2"]))
    values = {"id": lambda row: len(row.text), "text2": lambda row: "x"}
    writer.writerow(columns)
    for row in rows:
        writer.writerow([values[name](row) if name in values else getattr(row, name) for name in columns])
    encoding = random.choice(("utf-8",) * 6 + ("utf-8-sig", "utf-16", "utf-16-le", "utf-32"))
    return f"rows.{'tsv' if delimiter == chr(9) else 'csv'}", buffer.getvalue().encode(encoding), True


def _json_lines(random: Random, rows: Sequence[Row]) -> tuple[str, bytes, bool]:
    escaped = random.random() < 0.5
    lines, exact = [], True
    for row in rows:
        record: Any = {"text": row.text, "label": row.label}
        if random.random() < 0.01:
            exact = False
            lines.append(written(another_value(random, record)).decode("utf-8", "replace"))
        else:
            lines.append(json.dumps(record, ensure_ascii=escaped))
    return f"rows.{random.choice(('jsonl', 'json', 'txt'))}", "\n".join(lines).encode("utf-8", "replace"), exact


def _document(random: Random, rows: Sequence[Row]) -> tuple[str, bytes, bool]:
    records: Any = [{"text": row.text, "label": row.label} for row in rows]
    form = random.randrange(4)
    match form:
        case 0:
            records = {"data": records}
        case 1:
            records = {"text": [row.text for row in rows], "label": [row.label for row in rows]}
        case 2:
            records = another_value(random, records)
    return "rows.json", written(records, random.choice((None, 2))), form != 2


def _parquet(random: Random, rows: Sequence[Row]) -> tuple[str, bytes, bool]:
    import pyarrow
    import pyarrow.feather
    import pyarrow.parquet

    buffer = io.BytesIO()
    columns = {"text": [row.text for row in rows], "label": [row.label for row in rows]}
    table = pyarrow.table(columns)
    if random.random() < 0.3:
        table = table.set_column(1, "label", table.column("label").dictionary_encode())
    if random.random() < 0.3:
        pyarrow.feather.write_feather(table, buffer, compression=random.choice(("zstd", "lz4", "uncompressed")))
        return "rows.arrow", buffer.getvalue(), True
    pyarrow.parquet.write_table(table, buffer, write_page_checksum=random.random() < 0.7)
    return "rows.parquet", buffer.getvalue(), True


def _fasttext(random: Random, rows: Sequence[Row]) -> tuple[str, bytes, bool]:
    lines = (f"__label__{row.label} {' '.join(row.text.split())}" for row in rows)
    return "rows.txt", "\n".join(lines).encode("utf-8", "replace"), True


FORMS: Sequence[Callable[[Random, Sequence[Row]], tuple[str, bytes, bool]]] = (
    _delimited,
    _delimited,
    _delimited,
    _json_lines,
    _json_lines,
    _document,
    _parquet,
    _fasttext,
)


def _packed(package: str, name: str, content: bytes) -> bytes:
    if package == "zst":
        import pyarrow

        return pyarrow.compress(content, codec="zstd", asbytes=True)  # type: ignore[no-any-return]  # of pyarrow
    if package == "zip":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, content)
        return buffer.getvalue()
    return {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[package](content)


def _options(random: Random) -> dict[str, Any]:
    """Options of the recipe, mostly none."""
    choices: Sequence[dict[str, Any]] = (
        {"max_damaged": 0.5},
        {"task": "multi-label"},
        {"repair": True},
        {"encoding": random.choice(("latin-1", "utf-16", "cp1252", "utf-7", "idna", "punycode", "rot13", "zlib"))},
        {"delimiter": random.choice((";", "\t", "x", '"', "\0"))},
        {"quote": random.choice(("", "'", ",", "\0"))},
        {"format": random.choice(("csv", "jsonl", "json", "parquet", "arrow", "fasttext"))},
        {"skip": random.choice((0, 1, 3, 10**9))},
        {"header": ["text", "label"]},
        {"text": random.choice(("1", "2", "x.y", "", "text.", "\0"))},
        {"columns": ["id"]},
        {"labels": {"good": "fine", "bad": "poor"}, "unlisted": random.choice(("drop", "keep", "fail"))},
        {"group": "id"},
        {"time": "id"},
        {"rows": random.choice((1, 5, 10**12))},
    )
    return random.choice(choices) if random.random() < 0.35 else {}
