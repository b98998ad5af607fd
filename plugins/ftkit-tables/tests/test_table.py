"""Tables: the same rows from every format, and every mistake reported with its place."""

from __future__ import annotations

import codecs
import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from ftkit_tables import Table

from ftkit.contracts import SPLITS, Data, TextReading
from ftkit.errors import DataError
from ftkit.testing.datasets import DatasetSuite

Pairs = list[tuple[str, str]]


def silent(event: object) -> None:
    """An emit that ignores every event."""


def load(**options: Any) -> Data:
    return Table(**options).load(7, silent)


def refused(**options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        load(**options)
    assert caught.value.where
    assert caught.value.hint
    return caught.value


def everything(data: Data) -> set[tuple[str, str]]:
    parts = [getattr(data, name) for name in SPLITS]
    return {(text, data.classes[label]) for part in parts for text, label in zip(part.texts, part.labels, strict=True)}


def write_csv(path: Path, pairs: Pairs, delimiter: str = ",", header: tuple[str, ...] = ("text", "label")) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        if header:
            writer.writerow(header)
        writer.writerows(pairs)
    return path


def write_jsonl(path: Path, pairs: list[tuple[Any, Any]]) -> Path:
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in pairs), "utf-8")
    return path


def write_parquet(path: Path, pairs: list[tuple[Any, Any]]) -> Path:
    texts, labels = zip(*pairs, strict=True)
    pyarrow.parquet.write_table(pyarrow.table({"text": list(texts), "label": list(labels)}), path)
    return path


def write_tsv(path: Path, pairs: Pairs) -> Path:
    return write_csv(path, pairs, "\t")


WRITERS: dict[str, Callable[[Path, Any], Path]] = {
    "rows.csv": write_csv,
    "rows.tsv": write_tsv,
    "rows.jsonl": write_jsonl,
    "rows.parquet": write_parquet,
}


def compressed(path: Path) -> Path:
    target = path.with_name(path.name + ".gz")
    target.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    return target


class TestTable(DatasetSuite):
    @pytest.fixture
    def component(self, tmp_path: Path, pairs: Pairs) -> Table:
        return Table(path=write_csv(tmp_path / "rows.csv", pairs), columns=("label",), min_rows=2)


class TestTableOfReadySplits(DatasetSuite):
    @pytest.fixture
    def component(self, tmp_path: Path, pairs: Pairs) -> Table:
        return Table(
            train=write_csv(tmp_path / "train.csv", pairs[:40]),
            valid=write_tsv(tmp_path / "valid.tsv", pairs[40:50]),
            test=write_jsonl(tmp_path / "test.jsonl", pairs[50:]),
            labels={"good": "positive", "bad": "negative"},
            classes=("negative", "positive"),
        )

    def given_splits(self, component: object) -> bool:
        return True


@pytest.mark.parametrize(
    ("write", "name"),
    [(write_csv, "rows.csv"), (write_tsv, "rows.tsv"), (write_jsonl, "rows.jsonl"), (write_parquet, "rows.parquet")],
)
def test_every_format_gives_the_same_data(
    write: Callable[[Path, Pairs], Path], name: str, tmp_path: Path, pairs: Pairs
) -> None:
    data = load(path=write(tmp_path / name, pairs))
    assert everything(data) == set(pairs)
    assert data.report.fingerprint == load(path=write_csv(tmp_path / "other.csv", pairs)).report.fingerprint


@pytest.mark.parametrize(("write", "name"), [(write_csv, "r.csv"), (write_tsv, "r.tsv"), (write_jsonl, "r.jsonl")])
def test_gzip_files_are_unpacked(write: Callable[[Path, Pairs], Path], name: str, tmp_path: Path, pairs: Pairs) -> None:
    assert everything(load(path=compressed(write(tmp_path / name, pairs)))) == set(pairs)


@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv", "rows.jsonl", "rows.parquet"])
def test_texts_are_read_without_labels(name: str, tmp_path: Path, pairs: Pairs) -> None:
    write = WRITERS[name]
    path = write(tmp_path / name, pairs)
    assert isinstance(Table, TextReading)
    assert Table.reads(path)
    assert not Table.reads(tmp_path / "lines.txt")
    assert [text for _, text in Table.texts(path, ["text"])] == [text for text, _ in pairs]


def test_the_content_decides_where_the_suffix_says_nothing(tmp_path: Path, pairs: Pairs) -> None:
    path = write_tsv(tmp_path / "rows", pairs)
    assert everything(load(path=path)) == set(pairs)
    assert everything(load(path=path, format="tsv")) == set(pairs)


def test_delimiter_encoding_and_header_can_be_set(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("".join(f"caf\u00e9 {index};{index % 2}\n" for index in range(20)), "cp1252")
    data = load(path=path, delimiter=";", encoding="cp1252", header=("text", "label"))
    assert everything(data) == {(f"caf\u00e9 {index}", str(index % 2)) for index in range(20)}


def test_a_byte_order_mark_is_not_part_of_a_column_name(tmp_path: Path, pairs: Pairs) -> None:
    path = write_csv(tmp_path / "rows.csv", pairs)
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    assert everything(load(path=path)) == set(pairs)


def test_utf_16_files_are_read(tmp_path: Path, pairs: Pairs) -> None:
    for name in ("rows.csv", "rows.jsonl"):
        path = (write_csv if name.endswith("csv") else write_jsonl)(tmp_path / name, pairs)
        path.write_bytes(path.read_text("utf-8").encode("utf-16"))
        assert len(everything(load(path=path, encoding="utf-16"))) == len(pairs)


def test_quotes_can_be_ordinary_characters(tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text("text\tlabel\n" + "".join(f'"{index} quotes\t{index % 2}\n' for index in range(20)), "utf-8")
    assert '"3 quotes' in {text for text, _ in everything(load(path=path, quote=""))}


def test_several_text_columns_are_joined_and_empty_ones_left_out(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    rows = "".join(f"title {index},{'' if index == 0 else f'body {index}'},{index % 2}\n" for index in range(20))
    path.write_text("title,body,label\n" + rows, "utf-8")
    texts = {text for text, _ in everything(load(path=path, text=("title", "body")))}
    assert {"title 0", "title 1\nbody 1"} <= texts


def test_numbers_become_names_in_their_natural_order(tmp_path: Path) -> None:
    rows: list[tuple[Any, Any]] = [(f"t{index}", index % 12) for index in range(60)]
    expected = tuple(str(number) for number in range(12))
    assert load(path=write_jsonl(tmp_path / "r.jsonl", rows)).classes == expected
    assert load(path=write_parquet(tmp_path / "r.parquet", rows)).classes == expected
    assert load(path=write_csv(tmp_path / "r.csv", rows)).classes == expected


def test_typed_labels_become_names_and_missing_ones_are_dropped(tmp_path: Path) -> None:
    numbers: list[tuple[Any, Any]] = [(f"t{index}", float(index % 2)) for index in range(20)]
    data = load(path=write_parquet(tmp_path / "r.parquet", [*numbers, ("x", None), ("y", float("nan"))]))
    assert data.classes == ("0", "1")
    assert data.report.dropped == {"no label": 2}
    truths: list[tuple[Any, Any]] = [(f"t{index}", index % 2 == 0) for index in range(20)]
    assert load(path=write_jsonl(tmp_path / "r.jsonl", [*truths, ("x", None)])).classes == ("false", "true")
    assert load(path=write_csv(tmp_path / "r.csv", [*truths, ("x", " ")])).report.dropped == {"no label": 1}


def test_labels_are_mapped_to_classes_in_order(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "r.csv", [(f"t{index}", str(index % 3)) for index in range(30)])
    data = load(path=path, labels={"2": "up", "0": "down", "1": "down"})
    assert data.classes == ("up", "down")
    assert len([label for _, label in everything(data) if label == "down"]) == 20
    ordered = load(path=path, labels={"2": "up", "0": "down", "1": "down"}, classes=("down", "up"))
    assert ordered.classes == ("down", "up")


def test_labels_not_listed_are_refused_or_dropped(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "r.csv", [(f"t{index}", "abc"[index % 3]) for index in range(30)])
    error = refused(path=path, labels={"a": "A", "b": "B"})
    assert "10 rows have a label that is none of the classes: 'c' (10)" in error.what
    assert 'unlisted = "drop"' in error.hint
    assert load(path=path, classes=("b", "a"), unlisted="drop").report.dropped == {"label not listed": 10}


def test_further_columns_are_kept_for_each_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    lines = ({"text": f"t{n}", "label": n % 2, "n": n, "when": None if n else float("nan")} for n in range(20))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    data = load(path=path, columns=("n", "when"))
    assert list(data.train.texts) == [f"t{n}" for n in data.train.columns["n"]]
    assert set(data.train.columns["when"]) == {None}


def test_three_files_are_kept_as_they_are_split(tmp_path: Path, pairs: Pairs) -> None:
    data = load(
        train=write_csv(tmp_path / "a.csv", [*pairs[:40], pairs[55]]),
        valid=write_csv(tmp_path / "b.csv", pairs[40:50]),
        test=write_csv(tmp_path / "c.csv", pairs[50:]),
    )
    assert [len(getattr(data, name)) for name in SPLITS] == [40, 10, 10]
    assert data.report.dropped == {"text is also in test": 1}


def test_rows_with_another_number_of_columns_are_damaged_and_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    lines = [f"text {index},{index % 2}" for index in range(300)]
    lines[10] = "a text, with a comma,1"
    lines[20] = "only one"
    path.write_text("text,label\n" + "\n".join(lines), "utf-8")
    data = load(path=path)
    assert data.report.damaged_lines == (12, 22)
    assert data.report.dropped == {"damaged line": 2}
    error = refused(path=path, max_damaged=0.001)
    assert "2 of 300 rows are damaged" in error.what
    assert "lines 12, 22" in error.what
    assert "it has 3 columns, not 2" in error.what
    assert error.where == f"{path}:12"


def test_lines_are_counted_through_texts_of_several_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    rows = "".join(f'"one\ntwo {index}",{index % 2}\n' for index in range(200))
    path.write_text("text,label\n" + rows + "wide,1,2\n", "utf-8")
    assert load(path=path).report.damaged_lines == (402,)


def test_damaged_json_lines_are_named_by_number(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    lines = [json.dumps({"text": f"t{index}", "label": "ab"[index % 2]}) for index in range(20)]
    lines[3:3] = ["{", "[1]", '{"text": "no label"}', '{"text": 5, "label": "a"}', "[" * 100_000, ""]
    path.write_text("\n".join(lines), "utf-8")
    data = load(path=path, max_damaged=0.5)
    assert data.report.damaged_lines == (4, 5, 8)
    assert data.report.dropped == {"damaged line": 3, "no label": 1}
    assert ("5", "a") in everything(data)
    assert "3 of 25 rows are damaged" in refused(path=path).what


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows.parquet"])
def test_a_missing_column_is_refused_and_a_similar_one_suggested(name: str, tmp_path: Path, pairs: Pairs) -> None:
    write = WRITERS[name]
    error = refused(path=write(tmp_path / name, pairs), text="texts")
    assert "there is no column 'texts'; the columns are 'text', 'label'" in error.what
    assert error.hint == "Did you mean 'text'?"


def test_a_column_that_occurs_twice_is_refused(tmp_path: Path, pairs: Pairs) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("text,text,label\na,b,c\n", "utf-8")
    assert "'text' occurs 2 times" in refused(path=path).what


def test_a_missing_file_is_refused_and_a_similar_one_suggested(tmp_path: Path, pairs: Pairs) -> None:
    write_csv(tmp_path / "reviews.csv", pairs)
    assert refused(path=tmp_path / "review.csv").hint == "Did you mean 'reviews.csv'?"
    assert "does not exist either" in refused(path=tmp_path / "nowhere" / "review.csv").hint


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").mkdir()
    assert "is a folder" in refused(path=tmp_path / "rows.csv").what


@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv", "rows.jsonl", "rows.parquet"])
def test_an_empty_file_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    assert refused(path=tmp_path / name).what == "the file is empty"


def test_a_file_with_only_a_header_is_refused(tmp_path: Path) -> None:
    assert "there are no rows" in refused(path=write_csv(tmp_path / "rows.csv", [])).what


def test_a_file_that_is_not_parquet_is_refused_if_the_recipe_says_so(tmp_path: Path, pairs: Pairs) -> None:
    path = write_csv(tmp_path / "rows.parquet", pairs)
    error = refused(path=path, format="parquet")
    assert "not a parquet file" in error.what
    assert error.hint.startswith("Without format in the recipe, the columns are there: the file has format csv")
    assert everything(load(path=path)) == set(pairs)


def test_a_cut_parquet_file_is_refused(tmp_path: Path, pairs: Pairs) -> None:
    path = write_parquet(tmp_path / "rows.parquet", pairs)
    path.write_bytes(path.read_bytes()[:-20])
    assert "not a parquet file, or it is damaged" in refused(path=path).what


def test_a_cut_gzip_file_is_refused(tmp_path: Path, pairs: Pairs) -> None:
    path = compressed(write_csv(tmp_path / "rows.csv", pairs))
    path.write_bytes(path.read_bytes()[:-20])
    error = refused(path=path)
    assert "damaged or ends too early" in error.what
    assert error.where == str(path)


def test_another_encoding_is_reported_with_the_byte_the_line_and_a_guess(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"text,label\nplain,a\ncaf\xe9,b\n")
    error = refused(path=path)
    assert error.what == "1 of 2 rows are not utf-8: byte 22 (0xe9) is not utf-8"
    assert error.where == f"{path}:3"
    assert (
        error.hint
        == "encoding = \"cp1252\" reads the whole file, and this line as 'caf\u00e9,b': set it if that is right."
    )


def test_a_wrong_byte_is_located_across_blocks(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    line = json.dumps({"text": "caf\u00e9 " * 10, "label": "a"}, ensure_ascii=False).encode() + b"\n"
    path.write_bytes(line * 20_000 + b"\xff\n")
    error = refused(path=path, max_damaged=0)
    assert f"byte {len(line) * 20_000:,} (0xff)" in error.what
    assert error.where == f"{path}:20001"
    assert error.hint.startswith("The other 20,000 lines with such characters fit: mend these lines")


def test_utf_16_needs_no_option_and_another_encoding_in_its_place_is_reported(tmp_path: Path, pairs: Pairs) -> None:
    path = write_csv(tmp_path / "rows.csv", pairs)
    path.write_bytes(path.read_text("utf-8").encode("utf-16"))
    assert everything(load(path=path)) == set(pairs)
    path.write_text("text,label\na,b\n", "utf-8")
    error = refused(path=path, encoding="utf-16")
    assert "is not utf-16" in error.what
    assert "the file has format csv, encoding utf-8" in error.hint


def test_one_class_and_a_rare_class_are_refused_by_name(tmp_path: Path, pairs: Pairs) -> None:
    path = write_csv(tmp_path / "rows.csv", [(text, "good") for text, _ in pairs])
    assert "only one class" in refused(path=path).what
    write_csv(path, [*pairs, ("rare one", "odd")])
    assert "'odd' has 1" in refused(path=path).what
    assert load(path=path, min_rows=3).classes == ("bad", "good")


FILE = Path("rows.csv")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "path is missing"),
        ({"train": FILE}, "path is missing"),
        ({"path": FILE, "test": FILE}, "path is for rows that ftkit splits"),
        ({"path": FILE, "encoding": "utf-9"}, "encoding 'utf-9' is unknown"),
        ({"path": FILE, "encoding": "idna"}, "encoding 'idna' is unknown"),
        ({"path": FILE, "encoding": "punycode"}, "encoding 'punycode' is unknown"),
        ({"path": FILE, "encoding": "base64"}, "encoding 'base64' is unknown"),
        ({"path": FILE, "delimiter": ";;"}, "delimiter must be one character"),
        ({"path": FILE, "delimiter": '"', "quote": '"'}, "delimiter and quote must differ"),
        ({"path": FILE, "escape": "/", "quote": "/"}, "quote and escape must differ"),
        ({"path": FILE, "skip": -1}, "skip must be a number of lines"),
        ({"path": FILE, "text": ()}, "text names no column"),
        ({"path": FILE, "text": "label"}, "label must be another column"),
        ({"path": FILE, "classes": ("a", "a")}, "classes has a class twice"),
        ({"path": FILE, "classes": ("a", "b"), "labels": {"1": "c"}}, "labels maps to the class 'c'"),
        ({"path": FILE, "max_damaged": 2}, "max_damaged must be a share"),
        ({"path": FILE, "shares": (1.0, 1.0, 1.0)}, "shares must add up to 1"),
    ],
)
def test_options_that_do_not_fit_are_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        Table(**options)


def test_real_sentences_in_three_files(shared: Path, tmp_path: Path) -> None:
    files = {"train": "train", "valid": "dev", "test": "test"}
    for name, source in files.items():
        lines = (shared / f"sst2/stsa.binary.{source}").read_text("utf-8").splitlines()
        pairs = [(text, label) for label, _, text in (line.partition(" ") for line in lines)]
        write_tsv(tmp_path / f"{name}.tsv", pairs)
    data = load(
        **{name: tmp_path / f"{name}.tsv" for name in files},
        labels={"0": "negative", "1": "positive"},
        max_damaged=0,
    )
    assert data.classes == ("negative", "positive")
    assert data.report.rows_read == 6920 + 872 + 1821
    assert sum(data.report.dropped.values()) < 20
    assert len(data.test) > 1815


def test_real_questions_in_six_classes(shared: Path, tmp_path: Path) -> None:
    for name in ("train", "test"):
        lines = (shared / f"trec/TREC.{name}.all").read_text("latin-1").splitlines()
        pairs = [(text, label) for label, _, text in (line.partition(" ") for line in lines)]
        path = write_tsv(tmp_path / f"{name}.tsv", pairs)
        path.write_bytes(path.read_text("utf-8").encode("latin-1"))
    names = {"0": "DESC", "1": "ENTY", "2": "ABBR", "3": "HUM", "4": "LOC", "5": "NUM"}
    files = {"train": tmp_path / "train.tsv", "test": tmp_path / "test.tsv"}
    data = load(**files, labels=names, encoding="latin-1")
    assert data.classes == tuple(names.values())
    assert data.report.rows_read == 5452 + 500
    assert data.report.dropped["text is also in test"] > 0
    assert len(data.test) > 490
    warned = load(**files, labels=names)
    assert warned.report.dropped["damaged line"] == 1
    assert 'encoding = "cp1252" reads the whole file' in warned.report.warnings[0]
