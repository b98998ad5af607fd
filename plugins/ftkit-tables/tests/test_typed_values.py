"""Typed values of JSON, parquet and Arrow: fields inside columns, absent keys, numbers as texts, class names beside numbers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.feather
import pyarrow.parquet
import pytest
from ftkit_tables import Table

from ftkit.contracts import SPLITS, Data
from ftkit.errors import DataError

FORMATS = ("jsonl", "json", "parquet", "arrow")


def write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """Rows in the format of the suffix; a key that is absent is null in formats with columns."""
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows), "utf-8")
    else:
        table = pyarrow.Table.from_pylist(rows)
        (pyarrow.parquet.write_table if path.suffix == ".parquet" else pyarrow.feather.write_feather)(table, path)
    return path


def load(path: Path, **options: Any) -> Data:
    return Table(path=path, near_copies="ignored", **options).load(7, lambda event: None)


def kept(data: Data) -> set[tuple[str, str]]:
    parts = [getattr(data, name) for name in SPLITS]
    return {(text, data.classes[label]) for part in parts for text, label in zip(part.texts, part.labels, strict=True)}


def rows(text: Any = "text {}", label: Any = None) -> list[dict[str, Any]]:
    return [
        {"text": text.format(n) if isinstance(text, str) else text + n, "label": label or "ab"[n % 2]}
        for n in range(30)
    ]


@pytest.mark.parametrize("suffix", FORMATS)
def test_fields_inside_columns_are_named_by_a_path(suffix: str, tmp_path: Path) -> None:
    nested: list[dict[str, Any]] = [
        {"body": {"text": row["text"], "n": {"m": 1}}, "meta": {"label": row["label"]}} for row in rows()
    ]
    nested[3] = {"body": None, "meta": {"label": "a"}}
    path = write(tmp_path / f"rows.{suffix}", nested)
    data = load(path, text="body.text", label="meta.label")
    assert kept(data) == {(row["text"], row["label"]) for row in rows()} - {("text 3", "b")}
    assert data.report.dropped == {"empty text": 1}
    assert (
        load(path, text="Body.text", label="meta.label").report.files[str(path)]["columns"]
        == "'body.text' for 'Body.text'"
    )
    with pytest.raises(DataError, match=r"there is no column 'body\.tex'; the columns are .*'body\.text'"):
        load(path, text="body.tex", label="meta.label")


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_column_that_holds_objects_is_told_to_name_a_field(suffix: str, tmp_path: Path) -> None:
    path = write(
        tmp_path / f"rows.{suffix}", [{"text": {"body": row["text"]}, "label": row["label"]} for row in rows()]
    )
    with pytest.raises(DataError, match="'body'") as caught:
        load(path)
    assert 'text = "' in str(caught.value)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_name_with_a_dot_is_that_column(suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"rows.{suffix}", [{"body.text": row["text"], "label": row["label"]} for row in rows()])
    assert len(kept(load(path, text="body.text"))) == 30


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_key_that_a_row_lacks_is_missing_as_null_is(suffix: str, tmp_path: Path) -> None:
    some = rows()
    some[4] = {"text": "text 4"}
    some[5] = {"text": "text 5", "label": None}
    some[6] = {"label": "a"}
    some[7] = {"text": None, "label": "a"}
    data = load(write(tmp_path / f"rows.{suffix}", some))
    assert data.report.dropped == {"no label": 2, "empty text": 2}
    with pytest.raises(DataError, match="there is no column 'class'; the columns are 'text', 'label'"):
        load(tmp_path / f"rows.{suffix}", label="class")


@pytest.mark.parametrize("suffix", ["csv", *FORMATS])
@pytest.mark.parametrize(("start", "first"), [(100, "100"), (0.5, "0.5")])
def test_numbers_are_texts_in_every_format_and_said(suffix: str, start: float, first: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows.{suffix}"
    if suffix == "csv":
        path.write_text("text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in rows(start)))
    else:
        write(path, rows(start))
    data = load(path)
    assert (first, "a") in kept(data)
    assert data.report.warnings[0].startswith(
        f"rows.{suffix}: 100.0 % of 30 texts have no letter. Is 'text' the column"
    )


@pytest.mark.parametrize("suffix", FORMATS)
def test_lists_in_place_of_texts_are_refused(suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"rows.{suffix}", [{"text": row["text"].split(), "label": row["label"]} for row in rows()])
    with pytest.raises(DataError, match="its text is a list of 2 values"):
        load(path)


def test_columns_of_other_types_are_read(tmp_path: Path) -> None:
    texts = [f"text {n}" for n in range(30)]
    labels = ["ab"[n % 2] for n in range(30)]
    for kind in (pyarrow.large_string(), pyarrow.binary(), pyarrow.dictionary(pyarrow.int32(), pyarrow.string())):
        table = pyarrow.table({"text": pyarrow.array(texts).cast(kind), "label": pyarrow.array(labels).cast(kind)})
        pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
        assert kept(load(tmp_path / "rows.parquet")) == {*zip(texts, labels, strict=True)}
    days = [date(2024, 1, 1 + n % 2) for n in range(30)]
    pyarrow.parquet.write_table(pyarrow.table({"text": texts, "label": days}), tmp_path / "rows.parquet")
    assert load(tmp_path / "rows.parquet").classes == ("2024-01-01", "2024-01-02")


@pytest.mark.parametrize("kind", [pyarrow.binary(), pyarrow.string()])
def test_bytes_that_are_no_text_are_damage(kind: Any, tmp_path: Path) -> None:
    raw = pyarrow.array([b"caf\xe9" if n == 7 else b"text %d" % n for n in range(300)])
    texts = raw if kind == pyarrow.binary() else pyarrow.Array.from_buffers(kind, 300, raw.buffers())
    table = pyarrow.table({"text": texts, "label": ["ab"[n % 2] for n in range(300)]})
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    data = load(tmp_path / "rows.parquet")
    assert data.report.dropped == {"damaged line": 1}
    assert data.report.damaged_lines == (8,)


@pytest.mark.parametrize("compression", ["uncompressed", "lz4"])
@pytest.mark.parametrize("offset", [2**31 - 1, -5, 2**20])
def test_an_arrow_file_whose_texts_lie_elsewhere_is_refused(tmp_path: Path, offset: int, compression: str) -> None:
    """Arrow has no checksums: whoever follows such an offset reads memory that is not the file's."""
    texts = pyarrow.array([f"text {n}" for n in range(30)])
    offsets = bytearray(texts.buffers()[1])
    offsets[40:44] = offset.to_bytes(4, "little", signed=True)
    damaged = pyarrow.Array.from_buffers(
        pyarrow.string(), 30, [None, pyarrow.py_buffer(bytes(offsets)), texts.buffers()[2]]
    )
    path = tmp_path / "rows.arrow"
    schema = pyarrow.schema([("text", pyarrow.string()), ("label", pyarrow.string())])
    options = pyarrow.ipc.IpcWriteOptions(compression=None if compression == "uncompressed" else compression)
    with pyarrow.OSFile(str(path), "wb") as file, pyarrow.ipc.new_file(file, schema, options=options) as writer:
        writer.write_batch(pyarrow.record_batch([damaged, pyarrow.array(["a", "b"] * 15)], schema=schema))
    with pytest.raises(DataError, match="damaged"):
        load(path)


def hugging_face(path: Path, labels: Sequence[Any], feature: Any) -> Path:
    """A parquet file as Hugging Face datasets write it, with the names of classes beside the numbers."""
    table = pyarrow.table({"text": [f"text {n}" for n in range(len(labels))], "label": labels})
    info = {"info": {"features": {"text": {"dtype": "string", "_type": "Value"}, "label": feature}}}
    pyarrow.parquet.write_table(table.replace_schema_metadata({"huggingface": json.dumps(info)}), path)
    return path


NAMES = {"names": ["negative", "positive"], "_type": "ClassLabel"}


def test_the_names_of_classes_beside_numbers_are_the_classes(tmp_path: Path) -> None:
    path = hugging_face(tmp_path / "rows.parquet", [*(n % 2 for n in range(30)), -1], NAMES)
    data = load(path)
    assert data.classes == ("negative", "positive")
    assert data.report.dropped == {"no label": 1}
    assert data.report.files[str(path)]["classes"] == "named by the file"
    assert load(path, classes=("positive", "negative")).classes == ("positive", "negative")
    assert load(path, labels={"0": "bad", "1": "good"}, unlisted="drop").classes == ("bad", "good")
    lists = hugging_face(
        tmp_path / "lists.parquet", [[n % 2] for n in range(30)], {"feature": NAMES, "_type": "Sequence"}
    )
    assert load(lists).classes == ("negative", "positive")


@pytest.mark.parametrize("feature", [{"dtype": "int64", "_type": "Value"}, {"_type": "ClassLabel"}, ["names"], None, 5])
def test_other_features_leave_the_numbers(feature: Any, tmp_path: Path) -> None:
    assert load(hugging_face(tmp_path / "rows.parquet", [n % 2 for n in range(30)], feature)).classes == ("0", "1")


def test_a_page_of_parquet_that_does_not_fit_its_checksum_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    table = pyarrow.table({"text": [f"sentence {n}" for n in range(30)], "label": ["ab"[n % 2] for n in range(30)]})
    pyarrow.parquet.write_table(table, path, compression="none", use_dictionary=False, write_page_checksum=True)
    path.write_bytes(path.read_bytes().replace(b"sentence 17", b"sentence 71"))
    with pytest.raises(DataError, match="this is not a parquet file, or it is damaged"):
        load(path)
