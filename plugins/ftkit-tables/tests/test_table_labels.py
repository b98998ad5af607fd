"""A class is one class however a file writes it: every way to write labels, in every format of both files."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from ftkit_tables import Table

from ftkit import options
from ftkit.contracts import Data
from ftkit.errors import DataError

Writer = Callable[[Path, Sequence[Any]], Path]


def ignore(event: object) -> None:
    """An emit that ignores every event."""


def load(**values: Any) -> Data:
    return options.build(
        Table, {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}
    ).load(7, ignore)


def write_rows(path: Path, labels: Sequence[Any], delimiter: str) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(("text", "kind"))
        writer.writerows((f"{path.stem} text {index}", label) for index, label in enumerate(labels))
    return path


def write_csv(folder: Path, labels: Sequence[Any]) -> Path:
    return write_rows(folder.with_suffix(".csv"), labels, ",")


def write_tsv(folder: Path, labels: Sequence[Any]) -> Path:
    return write_rows(folder.with_suffix(".tsv"), labels, "\t")


def write_jsonl(folder: Path, labels: Sequence[Any]) -> Path:
    path = folder.with_suffix(".jsonl")
    rows = ({"text": f"{path.stem} text {index}", "kind": label} for index, label in enumerate(labels))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def write_parquet(folder: Path, labels: Sequence[Any]) -> Path:
    path = folder.with_suffix(".parquet")
    texts = [f"{path.stem} text {index}" for index in range(len(labels))]
    pyarrow.parquet.write_table(pyarrow.table({"text": texts, "kind": list(labels)}), path)
    return path


FORMATS = [write_csv, write_tsv, write_jsonl, write_parquet]
TYPED = (write_jsonl, write_parquet)
PAIRS = [
    ([0, 1], [0.0, 1.0], ("0", "1")),
    ([0, 1], ["0", "1"], ("0", "1")),
    ([0, 1], ["0.0", "1.00"], ("0", "1")),
    ([1.0, 2.5], ["1", "2.5"], ("1", "2.5")),
    ([False, True], ["False", "True"], ("false", "true")),
    ([False, True], ["false", "TRUE"], ("false", "true")),
    (["caf\u00e9", "th\u00e9"], ["cafe\u0301", "the\u0301"], ("caf\u00e9", "th\u00e9")),
    (["new york", "rome"], ["new\u00a0york", " rome\u200b"], ("new york", "rome")),
    (["new york", "rome"], ["new\nyork", "\ufeffrome"], ("new york", "rome")),
]


@pytest.mark.parametrize(("one", "other", "classes"), PAIRS)
@pytest.mark.parametrize(("train", "test"), itertools.product(FORMATS, FORMATS))
def test_a_class_is_one_class_in_every_format_of_both_files(
    train: Writer, test: Writer, one: list[Any], other: list[Any], classes: tuple[str, ...], tmp_path: Path
) -> None:
    data = load(train=train(tmp_path / "train", one * 5), test=test(tmp_path / "test", other * 5), label="kind")
    assert tuple(map(same, data.classes)) == classes
    assert {name: len({*getattr(data, name).labels}) for name in ("train", "valid", "test")} == dict.fromkeys(
        ("train", "valid", "test"), 2
    )
    assert data.report.warnings == ()


def same(name: str) -> str:
    """A class name without the case of true and false, which stays as both files write it."""
    return name.lower()


@pytest.mark.parametrize("write", FORMATS)
@pytest.mark.parametrize(("one", "other", "classes"), PAIRS)
def test_a_class_is_one_class_in_one_file(
    write: Writer, one: list[Any], other: list[Any], classes: tuple[str, ...], tmp_path: Path
) -> None:
    if write is write_parquet and len({type(label) for label in (*one, *other)}) > 1:
        one, other = [str(label) for label in one], [str(label) for label in other]
    data = load(path=write(tmp_path / "rows", [*one, *other] * 3), label="kind")
    assert tuple(map(same, data.classes)) == classes
    assert data.report.warnings == ()


@pytest.mark.parametrize("write", FORMATS)
@pytest.mark.parametrize(
    ("labels", "missing"), [(["a", None, "b"], 6), (["a", "b", " "], 6), ([0, None, 1], 6), ([True, False, None], 6)]
)
def test_a_missing_label_is_left_out_in_every_format(
    write: Writer, labels: list[Any], missing: int, tmp_path: Path
) -> None:
    data = load(path=write(tmp_path / "rows", labels * 6), label="kind")
    assert len(data.classes) == 2
    assert data.report.dropped == {"no label": missing}


@pytest.mark.parametrize("write", TYPED)
def test_a_list_of_one_is_its_label_and_a_list_of_several_is_refused(write: Writer, tmp_path: Path) -> None:
    assert load(path=write(tmp_path / "rows", [["a"], ["b"]] * 5), label="kind").classes == ("a", "b")
    with pytest.raises(DataError, match="the label of line 3 is a list of 2") as caught:
        load(path=write(tmp_path / "rows", [["a"], ["b"], ["a", "b"]]), label="kind")
    assert ":3, column 'kind'" in caught.value.where


@pytest.mark.parametrize("write", [write_csv, write_tsv, write_jsonl])
def test_a_list_written_as_text_is_refused_as_a_list_is(write: Writer, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a list of 2"):
        load(path=write(tmp_path / "rows", ["['a']", "['b']", "['a', 'b']"]), label="kind")


@pytest.mark.parametrize("write", FORMATS)
def test_options_match_labels_of_every_format_in_the_same_way(write: Writer, tmp_path: Path) -> None:
    path = write(tmp_path / "rows", [1.0, 2.5, 3.0] * 5)
    mapped = {"path": path, "label": "kind", "labels": {"1": "low", "2.5": "middle", "3.0": "high"}}
    assert load(**mapped).classes == ("low", "middle", "high")
    assert load(**mapped, without=["3"]).classes == ("low", "middle")
    assert load(path=path, label="kind", classes=["3", "1", "2.5"]).classes == ("3", "1", "2.5")


@pytest.mark.parametrize(
    ("option", "value", "hint"),
    [
        ("classes", [0, 1], 'Put it in quotes: "0".'),
        ("labels", {"a": True}, 'Put it in quotes: "true".'),
        ("labels", {"1": {"0": "low"}, "2": {"5": "high"}}, 'if "1.0" is one key, quote it, "1.0" = '),
    ],
)
def test_options_of_several_labels_and_unquoted_keys_are_explained(option: str, value: Any, hint: str) -> None:
    with pytest.raises(options.Mistakes) as caught:
        options.build(Table, {"path": "rows.csv", option: value})
    (mistake,) = caught.value.mistakes
    assert mistake.path == (option,)
    assert hint in mistake.hint
