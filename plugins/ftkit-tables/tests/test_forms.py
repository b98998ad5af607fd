"""A table is read in whichever form it is written; what was decided is stated, and what cannot be decided is an error with a cure."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet
import pytest
from ftkit_tables import Table

from ftkit.contracts import SPLITS
from ftkit.errors import DataError

Pairs = set[tuple[str, str]]

ROWS = [(f"text number {index}, not more", ("ham", "spam")[index % 2]) for index in range(40)]


def load(path: Path, **options: Any) -> tuple[Pairs, Mapping[str, Any]]:
    """The rows that are kept, and how the file was read."""
    data = Table(path=path, max_damaged=0, **options).load(7, lambda event: None)
    parts = [getattr(data, name) for name in SPLITS]
    pairs = {(text, data.classes[label]) for part in parts for text, label in zip(part.texts, part.labels, strict=True)}
    assert data.report.rows_read == len(pairs)
    return pairs, data.report.files[str(path)]


def lines(*head: str, row: str = "{0};{1}", end: str = "\n", tail: str = "") -> bytes:
    """A text file: some lines, and the rows by a pattern."""
    texts = [*head, *(row.format(text, label, index + 1) for index, (text, label) in enumerate(ROWS))]
    return (end.join([*texts, tail]) if tail else end.join(texts) + end).encode()


def quoted(text: str) -> str:
    return '"' + text + '"'


PLAIN = lines("text;label")
COMMA = lines("text,label", row='"{0}",{1}')


@pytest.mark.parametrize(
    ("name", "content", "form"),
    [
        ("semicolons", codecs.BOM_UTF8 + lines("text;label", end="\r\n"), {"delimiter": ";", "encoding": "utf-8"}),
        ("old line ends", lines("text;label", end="\r"), {"delimiter": ";"}),
        ("bars", lines("text|label", row="{0}|{1}"), {"delimiter": "|"}),
        ("tabs", lines("text\tlabel", row="{0}\t{1}"), {"delimiter": "tab"}),
        ("sep line", lines("sep=;", "text;label"), {"delimiter": ";", "skip": "1 lines"}),
        ("sep line of a tab", lines('"sep=\t"', "text\tlabel", row="{0}\t{1}"), {"delimiter": "tab"}),
        ("decimal commas", lines("text;score;label", row="{0};{2},5;{1}"), {"delimiter": ";"}),
        ("trailing delimiters", lines("text;label;", row="{0};{1};"), {"delimiter": ";"}),
        ("trailing delimiters of rows", lines("text;label", row="{0};{1};;"), {"delimiter": ";"}),
        ("title lines", lines("Export of 2024", "", "made, by hand", "text;label"), {"skip": "3 lines"}),
        ("comments", lines("# made by hand", "# text;label of", "text;label"), {"skip": "2 lines"}),
        ("a hash before the header", lines("#text;label"), {"columns": "'#text' for 'text'"}),
        ("blank lines", lines("", "text;label", row="{0};{1}\n\n"), {}),
        ("blanks at the end", lines("text;label", tail="   \n\n"), {}),
        ("header case", lines("Text ;LABEL"), {"columns": "'LABEL' for 'label', 'Text' for 'text'"}),
        ("header composition", lines("te\u0301xte;label"), {"columns": "'te\u0301xte' for 't\u00e9xte'"}),
        ("numbered rows", lines(";text;label", row="{2};{0};{1}"), {}),
        ("numbered rows of R", lines("text;label", row="{2};{0};{1}"), {}),
        ("columns there twice", lines("id;text;label;id", row="{2};{0};{1};{2}"), {}),
        ("the header again", lines("text;label", tail="text;label\n"), {}),
        ("single quotes", lines("'text','label'", row="'{0}','{1}'"), {"quote": "'"}),
        ("spaces after delimiters", lines("text, id, label", row='"{0}", {2}, "{1}"'), {"spaces after delimiters": "left out"}),
        ("brackets in the first line", lines("[made by hand]", "text;label"), {"delimiter": ";"}),
        ("JSON with commas after lines", b"".join(json.dumps({"text": t, "label": n}).encode() + b",\n" for t, n in ROWS), {"format": "json"}),
        ("all quoted", lines('"text","label"', row='"{0}","{1}"'), {"delimiter": "comma"}),
        ("comma in a .tsv", COMMA, {"delimiter": "comma"}),
        ("UTF-16", PLAIN.decode().encode("utf-16"), {"encoding": "utf-16"}),
        ("UTF-16 LE without a mark", PLAIN.decode().encode("utf-16-le"), {"encoding": "utf-16-le"}),
        ("UTF-16 BE without a mark", PLAIN.decode().encode("utf-16-be"), {"encoding": "utf-16-be"}),
        ("UTF-32", PLAIN.decode().encode("utf-32"), {"encoding": "utf-32"}),
        ("UTF-32 without a mark", PLAIN.decode().encode("utf-32-le"), {"encoding": "utf-32-le"}),
        ("Unicode text of Excel", lines("text\tlabel", row="{0}\t{1}").decode().encode("utf-16"), {"delimiter": "tab"}),
        ("fastText", lines(row="__label__{1} {0}"), {"format": "fasttext"}),
        ("JSON lines", b"".join(json.dumps({"text": t, "label": n}).encode() + b"\n" for t, n in ROWS), {"format": "jsonl"}),
        ("JSON of one list", json.dumps([{"text": t, "label": n} for t, n in ROWS]).encode(), {"format": "json"}),
        ("JSON of one list, indented", json.dumps([{"text": t, "label": n} for t, n in ROWS], indent=1).encode(), {"format": "json"}),
        ("JSON objects, indented", b"\n".join(json.dumps({"text": t, "label": n}, indent=1).encode() for t, n in ROWS), {"format": "json"}),
        ("JSON with a list inside", json.dumps({"version": 1, "data": [{"text": t, "label": n} for t, n in ROWS]}).encode(), {"format": "json"}),
        ("JSON of columns", json.dumps({"text": [t for t, _ in ROWS], "label": [n for _, n in ROWS]}).encode(), {"format": "json"}),
        (
            "JSON of columns by index",
            json.dumps({"text": {i: t for i, (t, _) in enumerate(ROWS)}, "label": {i: n for i, (_, n) in enumerate(ROWS)}}).encode(),
            {"format": "json"},
        ),
        ("JSON of rows by index", json.dumps({i: {"text": t, "label": n} for i, (t, n) in enumerate(ROWS)}).encode(), {"format": "json"}),
        ("JSON of columns and data", json.dumps({"columns": ["text", "label"], "data": ROWS}).encode(), {"format": "json"}),
        ("JSON of lists", json.dumps([["text", "label"], *ROWS]).encode(), {"format": "json"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".txt", ".parquet", ""])
def test_the_content_decides_how_a_table_is_read(
    name: str, content: bytes, form: Mapping[str, str], suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"rows{suffix}"
    path.write_bytes(content)
    pairs, stated = load(path, text="t\u00e9xte" if name == "header composition" else "text")
    assert pairs == {*ROWS}
    assert form.items() <= stated.items()


def test_a_repeated_header_and_another_name_are_noted(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines("text;label", tail="text;label\ntext;label\n"))
    notes = Table(path=path).load(7, lambda event: None).report.notes
    assert "rows.jsonl is read as csv, as its content is, and not as its name says." in notes
    assert "rows.jsonl: the header line occurs 2 times more, and was left out there." in notes


def zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("inside.csv", content)
    return buffer.getvalue()


def binary(write: Callable[[Any, Any], None]) -> bytes:
    buffer = io.BytesIO()
    write(pyarrow.table({"text": [text for text, _ in ROWS], "label": [label for _, label in ROWS]}), buffer)
    return buffer.getvalue()


def stream(table: Any, buffer: Any) -> None:
    with pyarrow.ipc.new_stream(buffer, table.schema) as writer:
        writer.write_table(table)


@pytest.mark.parametrize(
    "content",
    [PLAIN, PLAIN.decode().encode("utf-16"), binary(pyarrow.parquet.write_table), binary(pyarrow.feather.write_feather), binary(stream)],
    ids=["csv", "utf-16", "parquet", "feather", "arrow stream"],
)  # fmt: skip
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress, zipped])
def test_every_format_is_read_in_every_package(content: bytes, pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(pack(content))
    pairs, stated = load(path)
    assert pairs == {*ROWS}
    assert ("packed" in stated) == (pack is not bytes)


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (PLAIN, {"delimiter": ";", "quote": "", "encoding": "ascii", "format": "csv", "skip": 0}),
        (lines("a;b", "text;label"), {"skip": 1}),
        (lines(), {"header": ("text", "label")}),
        (lines("text;label"), {"header": ("text", "label")}),
        (lines(), {"text": "1", "label": "2"}),
        (lines("first;second"), {"text": "1", "label": "2"}),
        (lines("text;label"), {"text": "1", "label": "2"}),
        (lines(row="{1} {0}"), {"format": "fasttext"}),
        (json.dumps([[text, label] for text, label in ROWS]).encode(), {"header": ("text", "label")}),
        (b"".join(json.dumps(row).encode() + b"\n" for row in ROWS), {"header": ("text", "label")}),
        (lines("text;label", row='"{0}";{1}').replace(b"not", b'/"not/"'), {"escape": "/"}),
    ],
)  # fmt: skip
def test_every_decision_has_an_option(content: bytes, options: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    pairs, _ = load(path, **options)
    assert {(text.replace('"', ""), label) for text, label in pairs} == {*ROWS}


@pytest.mark.parametrize(
    ("content", "options", "what", "hint"),
    [
        (lines(), {}, "the file has no header line: its first line is a row", 'header = ["text", "label"]'),
        (lines(row="{1};{2};{0}"), {}, "no header line", 'header = ["label", "column2", "text"]'),
        (json.dumps([[label, text] for text, label in ROWS]).encode(), {}, "no header line", 'header = ["label", "text"]'),
        (lines(row="{1} number {0}").replace(b",", b""), {}, "there is no column 'text'", 'Each line begins with one of 2 words, such as'),
        (lines(row="{1} number {0}").replace(b",", b""), {"header": ("label", "text")}, "most lines do not have", 'set format = "fasttext"'),
        (PLAIN, {"text": "texts"}, "there is no column 'texts'; the columns are 'text', 'label'", "Did you mean 'text'?"),
        (PLAIN, {"label": "class"}, "there is no column 'class'", "Set text and label"),
        (PLAIN, {"delimiter": ","}, "there is no column", "Without delimiter in the recipe, the columns are there: the file has format csv, encoding utf-8, delimiter ;."),
        (PLAIN, {"encoding": "utf-16"}, "byte 0 is not utf-16", "Without encoding in the recipe"),
        (PLAIN, {"format": "jsonl"}, "rows cannot be read: this is another form of file", "say how it is written by format"),
        (binary(pyarrow.parquet.write_table), {"format": "csv"}, "this is a parquet file, not csv", "Without format in the recipe"),
        (lines("text;text;label", row="{0};{2};{1}"), {}, "the column 'text' occurs 2 times", "Rename one of them."),
        (lines("text;label", row="{0};{1};1;2"), {}, "40 of 40 rows cannot be read: this is another form of file", "delimiter"),
        (lines("title", row="{0}"), {}, "there is no column 'text'; the columns are", "Set text and label"),
        (bytes(range(256)) * 9, {}, "this is a binary file: it is neither text nor parquet", "Give a csv"),
        (b"{'text': 'a', 'label': 'b'}\n" * 9, {}, "this is neither JSON lines", "json.dumps(ast.literal_eval(line))"),
        (codecs.BOM_UTF8, {}, "there are no rows", "Give a file"),
        (b"\n \n", {}, "there are no rows", "Give a file"),
        (b'{"text": ', {}, "this is neither JSON lines nor one JSON document", "one JSON object per line"),
        (b'{"train": [{"text": 1}], "test": [{"text": 2}]}', {}, "several lists: 'train', 'test'", "Give this file as train and as test"),
        (b'{"metadata": {"text": 1}}', {}, "there is no column 'label'", "Set text and label"),
        (b"12", {"format": "json"}, "this is one JSON value, not rows", "Give one JSON object per row."),
        (lines(row="__label__{1} {0}"), {"columns": ("stars",)}, "there is no column 'stars'", "a label and one text"),
    ],
)  # fmt: skip
def test_what_cannot_be_decided_is_an_error_with_a_cure(
    content: bytes, options: dict[str, Any], what: str, hint: str, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        load(path, **options)
    assert what in caught.value.what
    assert hint in caught.value.hint
    assert caught.value.where.startswith(str(path))
    assert len(str(caught.value)) < 600


def test_the_lists_of_one_document_are_its_parts(tmp_path: Path) -> None:
    path = tmp_path / "all.json"
    document = {"train": ROWS[:20], "val": ROWS[20:30], "test": ROWS[30:], "oos": [["out of scope", "oos"]]}
    path.write_text(json.dumps(document), "utf-8")
    data = Table(train=path, valid=path, test=path, header=("text", "label")).load(7, lambda event: None)
    assert [len(part) for part in (data.train, data.valid, data.test)] == [20, 10, 10]


def test_a_header_line_is_looked_for_in_a_long_file_only_at_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"some words here\n" * 60 + PLAIN)
    with pytest.raises(DataError, match="there is no column 'text'"):
        load(path)
    assert load(path, skip=60)[0] == {*ROWS}


def test_texts_of_every_row_are_read_in_order_damaged_ones_as_none(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b'id;text\n1;one\n2;\n3;"tw\xff o"\n4\n5;"five\n5"\n6;six "6"\n7;"seven\n8;eight\n')
    assert [*Table.texts(path, ["text"])] == [
        (2, "one"), (3, None), (4, None), (5, None), (6, "five\n5"), (8, 'six "6"'), (9, '"seven'), (10, "eight"),
    ]  # fmt: skip
    path.write_text('[{"a": "x", "b": 5}, {"b": "y"}, 7, {"a": null}]')
    assert [*Table.texts(path, ["a", "b"])] == [(1, "x\n5"), (2, "y"), (3, None), (4, None)]
