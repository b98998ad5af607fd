"""What is asked of a text, in every format: several labels in each form in which files have them, and classes of an order."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.feather
import pyarrow.parquet
import pytest
from ftkit_tables import Table

from ftkit import options
from ftkit.contracts import SPLITS, Data
from ftkit.data import soundness
from ftkit.errors import DataError
from ftkit.testing.datasets import DatasetSuite

NAMES = ("billing", "shipping", "urgent")
CYCLE: tuple[tuple[str, ...], ...] = (("billing",), ("shipping", "urgent"), (), ("urgent", "billing"), ("shipping",))
ROWS = 60

Rows = list[dict[str, Any]]


def text(number: int) -> str:
    return f"text number {number}"


def table(label: Callable[[tuple[str, ...]], Mapping[str, Any]]) -> Rows:
    return [{"id": row, "text": text(row), **label(CYCLE[row % len(CYCLE)])} for row in range(ROWS)]


def delimited(delimiter: str) -> Callable[[Path, Rows], None]:
    def write(path: Path, rows: Rows) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [*rows[0]], delimiter=delimiter)
            writer.writeheader()
            writer.writerows(rows)

    return write


def write_fasttext(path: Path, rows: Rows) -> None:
    prefixed = [" ".join(f"__label__{label}" for label in row["label"]) + f" {row['text']}\n" for row in rows]
    path.write_text("".join(prefixed), "utf-8")


def write_lines(path: Path, rows: Rows) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def write_parquet(path: Path, rows: Rows) -> None:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def write_arrow(path: Path, rows: Rows) -> None:
    pyarrow.feather.write_feather(pyarrow.Table.from_pylist(rows), str(path))


FORMATS: dict[str, Callable[[Path, Rows], Any]] = {
    "csv": delimited(","),
    "tsv": delimited("\t"),
    "jsonl": write_lines,
    "json": lambda path, rows: path.write_text(json.dumps(rows), "utf-8"),
    "parquet": write_parquet,
    "arrow": write_arrow,
}
LISTS = ("jsonl", "json", "parquet", "arrow")

FORMS: dict[str, tuple[Callable[[tuple[str, ...]], Mapping[str, Any]], Sequence[str], dict[str, Any]]] = {
    "list": (lambda labels: {"label": [*labels]}, LISTS, {}),
    "list as text": (lambda labels: {"label": str([*labels])}, [*FORMATS], {}),
    "list as json": (lambda labels: {"label": json.dumps(labels)}, [*FORMATS], {}),
    "bars": (lambda labels: {"label": "|".join(labels) or "[]"}, [*FORMATS], {"separator": "|"}),
    "lines": (lambda labels: {"label": "\n".join(labels) or "[]"}, [*FORMATS], {"separator": "\n"}),
    "spaces": (lambda labels: {"label": " ".join(labels) or "[]"}, [*FORMATS], {"separator": " "}),
    "columns": (lambda labels: {name: int(name in labels) for name in NAMES}, [*FORMATS], {"label": [*NAMES]}),
    "truth": (lambda labels: {name: name in labels for name in NAMES}, [*FORMATS], {"label": [*NAMES]}),
}


def load(path: Path, task: str = "multi-label", **values: Any) -> Data:
    written = {"path": str(path), "task": task, "near_copies": "ignored"} | values
    return options.build(Table, written).load(7, lambda event: None)


def labels_of(data: Data) -> dict[str, tuple[str, ...]]:
    return {
        text: tuple(data.classes[index] for index in label)
        for name in SPLITS
        for text, label in zip(getattr(data, name).texts, getattr(data, name).labels, strict=True)
    }


class TestTableOfSeveralLabels(DatasetSuite):
    @pytest.fixture
    def component(self, tmp_path: Path) -> Table:
        write_lines(path := tmp_path / "rows.jsonl", table(lambda labels: {"label": labels}))
        return Table(path=path, task="multi-label", columns=("id",))


class TestTableOfAnOrder(DatasetSuite):
    @pytest.fixture
    def component(self, tmp_path: Path) -> Table:
        rows = [{"text": text(row), "label": ("good", "bad", "ok")[row % 3]} for row in range(ROWS)]
        write_lines(path := tmp_path / "rows.jsonl", rows)
        return Table(path=path, task="ordinal", order=("bad", "ok", "good"))


@pytest.mark.parametrize(("form", "suffix"), [(form, each) for form, (_, able, _) in FORMS.items() for each in able])
def test_several_labels_of_a_text_are_read_in_every_form_and_format(tmp_path: Path, form: str, suffix: str) -> None:
    written, _, values = FORMS[form]
    FORMATS[suffix](path := tmp_path / f"rows.{suffix}", table(written))
    data = load(path, **values)
    soundness.check(data, "the table")
    assert (data.task, data.classes) == ("multi-label", NAMES)
    assert labels_of(data) == {text(row): tuple(sorted(CYCLE[row % len(CYCLE)])) for row in range(ROWS)}
    assert data.report.sizes == {name: len(getattr(data, name)) for name in SPLITS}
    assert sum(data.report.sizes.values()) == ROWS
    assert "Labels of a row: 0 in 12 rows, 1 in 24 rows, 2 in 24 rows." in data.report.notes


@pytest.mark.parametrize("separator", ["|", ";", ",", "/", " | ", ", "])
def test_the_separator_is_found(tmp_path: Path, separator: str) -> None:
    rows = [row for row in table(lambda labels: {"label": separator.join(labels)}) if row["label"]]
    FORMATS["csv"](path := tmp_path / "rows.csv", rows)
    data = load(path)
    assert data.classes == NAMES
    assert f"The labels of a row are separated by {separator.strip()!r}." in data.report.notes


def test_the_lines_of_fasttext_have_several_labels(tmp_path: Path) -> None:
    rows = [row for row in table(lambda labels: {"label": labels}) if row["label"]]
    write_fasttext(path := tmp_path / "rows.txt", rows)
    assert labels_of(load(path)) == {row["text"]: tuple(sorted(row["label"])) for row in rows}


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_missing_list_is_dropped_and_an_empty_one_is_a_row_of_no_class(tmp_path: Path, suffix: str) -> None:
    rows = table(lambda labels: {"label": [*labels] if suffix in LISTS else str([*labels])})
    rows[1]["label"] = None if suffix in LISTS else ""
    FORMATS[suffix](path := tmp_path / f"rows.{suffix}", rows)
    data = load(path)
    assert data.report.dropped == {"no label": 1}
    (warning,) = data.report.warnings
    assert warning.startswith("1 row has no label and was left out.")
    assert labels_of(data)[text(2)] == ()


def test_the_class_names_of_a_file_stand_for_the_numbers_in_its_lists(tmp_path: Path) -> None:
    rows = pyarrow.Table.from_pylist(table(lambda labels: {"label": [NAMES.index(label) for label in labels]}))
    feature = {"feature": {"names": [*NAMES], "_type": "ClassLabel"}, "_type": "Sequence"}
    features = json.dumps({"info": {"features": {"label": feature}}})
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(rows.replace_schema_metadata({"huggingface": features}), path)
    assert labels_of(load(path)) == {text(row): tuple(sorted(CYCLE[row % len(CYCLE)])) for row in range(ROWS)}


def test_a_word_for_no_label_is_doubted(tmp_path: Path) -> None:
    write_lines(path := tmp_path / "rows.jsonl", table(lambda labels: {"label": [*labels] or ["none"]}))
    (warning,) = load(path).report.warnings
    assert "'none' (12 rows) may mean that there is no label. If so, write an empty list ([])" in warning


def test_an_empty_cell_among_columns_of_zeros_and_ones_is_a_zero_of_which_a_warning_tells(tmp_path: Path) -> None:
    rows = table(lambda labels: {name: int(name in labels) for name in NAMES})
    rows[0]["urgent"] = ""
    rows[2] |= dict.fromkeys(NAMES, "")
    FORMATS["csv"](path := tmp_path / "rows.csv", rows)
    data = load(path, label=[*NAMES])
    assert any("1 row (line 2) has empty cells" in warning for warning in data.report.warnings)
    assert data.report.dropped == {"no label": 1}
    rows[0]["urgent"] = "-1"
    FORMATS["csv"](path, rows)
    with pytest.raises(DataError, match="'urgent' is '-1', not 0 or 1"):
        load(path, label=[*NAMES], max_damaged=0)


CONTRADICTIONS: dict[str, tuple[str, Any, dict[str, Any], str, str]] = {
    "lists": ("single-label", lambda row: ["a", "b"][: 1 + row % 2], {}, "a list of 2 (a, b)", 'task = "multi-label"'),
    "list texts": ("ordinal", lambda row: "['1', '2']" if row % 2 else "1", {}, "a list of 2", 'task = "multi-label"'),
    "one each": ("multi-label", lambda row: "ab"[row % 2], {}, "every row has one label, 60 rows", "single-label"),
    "lists of one": ("multi-label", lambda row: [str(row % 5)], {}, "every row has one label", '"ordinal"'),
    "one label": ("multi-label", lambda row: ["a"] * (row % 2), {}, "there is only one label: 'a'", "single-label"),
    "objects": ("multi-label", lambda row: {"a": 1}, {}, "is an object", "reads a field of an object"),
    "vectors": ("multi-label", lambda row: [0, 1, row % 2], {}, "a list of zeros and ones (0, 1, 0)", "names of the labels"),
    "two separators": (
        "multi-label",
        lambda row: ("a|b", "c;d", "a", "b", "c", "d")[row % 6],
        {},
        "separated by '|' in 10 rows and by ';' in 10",
        'separator = "|"',
    ),
    "words": ("ordinal", lambda row: ("bad", "good", "3")[row % 3], {}, "'bad', 'good' are no number", 'order = ["3", "bad", "good"]'),
    "an order that misses": (
        "ordinal",
        lambda row: ("bad", "ok", "good")[row % 3],
        {"order": ["bad", "good"]},
        "order misses the class 'ok' (20 rows)",
        "without = [...]",
    ),
    "an order of too many": (
        "ordinal",
        lambda row: ("bad", "good")[row % 2],
        {"order": ["bad", "ok", "good"]},
        "order names 'ok', which no row has",
        "The labels are 'bad', 'good'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_task_that_the_labels_contradict_is_an_error_with_the_right_word(tmp_path: Path, name: str) -> None:
    task, label, values, what, hint = CONTRADICTIONS[name]
    write_lines(path := tmp_path / "rows.jsonl", [{"text": text(row), "label": label(row)} for row in range(ROWS)])
    with pytest.raises(DataError) as caught:
        load(path, task, **values)
    assert what in caught.value.what
    assert hint in caught.value.hint
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("task", ["single-label", "multi-label"])
def test_columns_of_zeros_and_ones_are_held_to_the_task(tmp_path: Path, suffix: str, task: str) -> None:
    one_each = task == "multi-label"
    rows = table(lambda labels: {name: int(name == "urgent" if one_each else name in labels) for name in NAMES})
    FORMATS[suffix](path := tmp_path / f"rows.{suffix}", rows)
    with pytest.raises(DataError) as caught:
        load(path, task, label=[*NAMES])
    assert ("single-label" if one_each else 'task = "multi-label"') in caught.value.hint


def test_columns_of_zeros_and_ones_are_offered_where_there_is_no_label(tmp_path: Path) -> None:
    FORMATS["csv"](path := tmp_path / "rows.csv", table(lambda labels: {name: int(name in labels) for name in NAMES}))
    with pytest.raises(DataError) as caught:
        load(path)
    assert 'label = ["billing", "shipping", "urgent"]' in caught.value.hint


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    ("labels", "values", "classes"),
    [
        ((10, 2, 1), {}, ("1", "2", "10")),
        (("5", "1", "3"), {}, ("1", "3", "5")),
        (("ok", "good", "bad"), {"order": ["bad", "ok", "good"]}, ("bad", "ok", "good")),
        ((1, 2, 3), {"order": ["low", "mid", "top"], "labels": {"1": "low", "2": "mid", "3": "top"}}, ("low", "mid", "top")),
        (("ok", "good", "?"), {"order": ["ok", "good"], "without": ["?"]}, ("ok", "good")),
    ],
)  # fmt: skip
def test_classes_of_an_order_are_read_in_it(
    tmp_path: Path, suffix: str, labels: tuple[Any, ...], values: dict[str, Any], classes: tuple[str, ...]
) -> None:
    rows = [{"text": text(row), "label": labels[row % len(labels)]} for row in range(ROWS)]
    FORMATS[suffix](path := tmp_path / f"rows.{suffix}", rows)
    data = load(path, "ordinal", **values)
    soundness.check(data, "the table")
    assert (data.task, data.classes) == ("ordinal", classes)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"task": "several"}, "task"),
        ({"order": ["a", "b"]}, 'order lists classes from the lowest to the highest: it needs task = "ordinal"'),
        ({"task": "ordinal", "order": ["a", "b"], "classes": ["a", "b"]}, "leave classes out"),
        ({"task": "ordinal", "order": ["a", "b", "a"]}, "order has the class 'a' twice"),
        ({"separator": "|"}, 'it needs task = "multi-label"'),
        ({"time": "day", "group": "user"}, "give group or time, not both"),
        ({"group": "label"}, "group must be another column than text and label, not 'label'"),
        ({"time": "day", "order": "day"}, "older form of time"),
    ],
)
def test_options_that_contradict_each_other_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(options.Mistakes) as caught:
        options.build(Table, {"path": "rows.csv"} | values)
    assert words in str(caught.value.mistakes if hasattr(caught.value, "mistakes") else caught.value)


def test_train_and_test_files_have_one_set_of_labels(tmp_path: Path) -> None:
    rows = table(lambda labels: {"label": [*labels]})
    write_lines(tmp_path / "train.jsonl", rows[:40])
    columns = [{"text": row["text"], "label": "|".join(row["label"]) or "[]"} for row in rows[40:]]
    FORMATS["csv"](tmp_path / "test.csv", columns)
    written = {"train": str(tmp_path / "train.jsonl"), "test": str(tmp_path / "test.csv"), "separator": "|"}
    data = options.build(Table, written | {"task": "multi-label"}).load(7, lambda event: None)
    soundness.check(data, "the table")
    assert labels_of(data) == {row["text"]: tuple(sorted(row["label"])) for row in rows}


@pytest.mark.parametrize(
    "label",
    [
        lambda labels: {"label": [*labels] or ["shipping"]},
        lambda labels: {"label": str([*labels])},
        lambda labels: {"label": "|".join(labels) or "shipping"},
        lambda labels: {name: int(name in labels) for name in NAMES},
    ],
    ids=["lists", "list texts", "bars", "columns"],
)
def test_what_is_proposed_where_one_label_was_said_reads_several(
    tmp_path: Path, label: Callable[[tuple[str, ...]], Mapping[str, Any]]
) -> None:
    write_lines(path := tmp_path / "rows.jsonl", table(label))
    named = {} if "label" in label(()) else {"label": [*NAMES]}
    try:
        (proposal,) = load(path, "single-label", **named).report.warnings
    except DataError as error:
        proposal = error.hint
    values = dict(re.findall(r'(task|separator) = "([^"]+)"', proposal))
    data = load(path, **(values | named))
    assert (data.task, data.classes) == ("multi-label", NAMES)
