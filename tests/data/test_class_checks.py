"""Classes that cannot be learnt or tested: short errors that name the class, the file and the way out."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from ftkit.contracts import SPLITS, Data
from ftkit.data.rows import Rows
from ftkit.data.splits import Rules, join, split
from ftkit.errors import DataError

AB = ["a", "b"] * 10


def labelled(labels: Sequence[Any], source: str, prefix: str = "") -> Rows:
    table = Rows(source, label_column="label")
    for index, label in enumerate(labels):
        table.add(f"{prefix or source} text {index}", label)
    return table


def joined(files: Mapping[str, Sequence[Any]], classes: Sequence[str] = (), **options: Any) -> Data:
    parts = {name: labelled(labels, f"data/{name}.csv") for name, labels in files.items()}
    return join(parts, classes, Rules(seed=0, **options))


def refused(files: Mapping[str, Sequence[Any]], classes: Sequence[str] = (), **options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        joined(files, classes, **options)
    assert caught.value.where.startswith("data/")
    assert caught.value.where.endswith("column 'label'")
    assert caught.value.hint
    assert len(str(caught.value)) < 500, "an error must be short"
    return caught.value


def proposed(sentence: str) -> dict[str, Any]:
    """The options that a sentence proposes, read as TOML."""
    options = re.findall(r'labels = \{ .* \}|unlisted = "keep"|without = \[.*?\]|min_rows = \d+', sentence)
    return tomllib.loads("\n".join(dict.fromkeys(options)))


ONLY_MEASURED = [
    (
        {"train": AB, "test": [*AB, "c"]},
        "class 'c' (1 row) is in test.csv only, so train.csv does not teach it",
        "test",
    ),
    ({"train": AB, "valid": [*AB, "c", "c"], "test": AB}, "class 'c' (2 rows) is in valid.csv only", "valid"),
    (
        {"train": AB, "valid": [*AB, "c"], "test": [*AB, "c"]},
        "class 'c' (2 rows) is in valid.csv and test.csv only",
        "valid",
    ),
    (
        {"train": AB, "test": [*AB, "c", "d"]},
        "2 classes are in test.csv only, so train.csv does not teach them: 'c' (1 row), ",
        "test",
    ),
    ({"train": ["0", "1"] * 10, "test": [0, 1, -1]}, "class '-1' (1 row) is in test.csv only", "test"),
]


@pytest.mark.parametrize(("files", "what", "file"), ONLY_MEASURED)
def test_a_class_without_training_rows_is_refused_and_the_proposal_leaves_it_out(
    files: dict[str, list[Any]], what: str, file: str
) -> None:
    error = refused(files)
    assert what in error.what
    assert error.where == f"data/{file}.csv, column 'label'"
    assert len(joined(files, **proposed(error.hint)).classes) == 2


def test_a_label_of_the_test_file_that_is_nearly_a_trained_class_is_asked_for() -> None:
    files = {"train": AB, "test": [*AB, "B."]}
    error = refused(files)
    assert error.hint.startswith("Is 'B.' the class 'b'? Then set labels = { \"B.\" = \"b\" } and unlisted")
    merged = joined(files, labels={"B.": "b"}, unlisted="keep")
    assert (merged.classes, merged.report.counts["test"]) == (("a", "b"), {"a": 10, "b": 11})
    assert joined(files, without=("B.",)).report.dropped == {"label left out": 1}


@pytest.mark.parametrize("slip", ["Billing", "billing.", "biling", "b\u0456lling"])
@pytest.mark.parametrize("files", ["one file", "two files"])
def test_a_rare_class_that_is_probably_a_slip_is_asked_for(slip: str, files: str) -> None:
    labels = ["billing", "shipping"] * 10
    one = labelled([*labels, slip], "rows.csv")
    with pytest.raises(DataError) as caught:
        split(one, (), Rules(seed=0)) if files == "one file" else joined({"train": [*labels, slip], "test": labels})
    assert caught.value.hint.startswith(f"Is '{slip}' the class 'billing'? Then set labels = ")
    assert "Otherwise add rows, or leave it out: without" in caught.value.hint


def test_rows_that_cleaning_took_are_part_of_the_error() -> None:
    table = labelled([*AB, "c", "c", "c"], "rows.csv")
    table.texts = [*table.texts[:-1], table.texts[-2]]
    with pytest.raises(DataError, match=r"'c' has 2 \(3 before cleaning\)"):
        split(table, (), Rules(seed=0))


def test_files_without_a_class_in_common_are_told_to_be_mapped() -> None:
    hint = refused({"train": [0, 1] * 10, "test": ["bad", "good"] * 9}).hint
    assert "train.csv has the classes '0', '1'. The files have no class in common" in hint


def test_a_test_file_whose_labels_are_all_missing_is_refused() -> None:
    assert (
        refused({"train": AB, "test": [None, ""] * 9}).what
        == "no row with a label is left in test.csv, so it measures nothing"
    )


def test_a_test_file_without_labels_is_explained() -> None:
    assert "-1 marks rows without a label" in refused({"train": [0, 1] * 10, "test": [-1] * 9}).hint


def test_many_classes_of_a_test_file_alone_are_not_listed() -> None:
    error = refused({"train": AB, "test": [f"id-{number}" for number in range(400)]})
    assert error.what.startswith("400 classes are in test.csv only")
    assert "codes or addresses" in error.hint


@pytest.mark.parametrize(
    ("files", "warning"),
    [
        ({"train": [*AB, "c", "c"], "test": AB}, "test.csv has no row of 'c': this class is not tested."),
        (
            {"train": [*AB, "c"], "valid": AB, "test": [*AB, "c"]},
            "valid.csv has no row of 'c': this class does not count when the best trial is chosen.",
        ),
        (
            {"train": [*AB, *"ccdd"], "test": AB},
            "test.csv has no row of 'c', 'd': each of these classes is not tested.",
        ),
    ],
)
def test_a_trained_class_that_another_file_lacks_is_a_warning(files: dict[str, list[Any]], warning: str) -> None:
    data = joined(files)
    assert data.report.warnings == (warning,)
    assert {*data.train.labels} == {*range(len(data.classes))}
    assert all(set(data.report.counts[name]) == {*data.classes} for name in SPLITS)


def test_files_of_one_name_are_told_apart_by_their_folders() -> None:
    parts = {"train": labelled([*AB, "c", "c"], "train/rows.csv"), "test": labelled(AB, "test/rows.csv")}
    assert join(parts, (), Rules(seed=0)).report.warnings == (
        "test/rows.csv has no row of 'c': this class is not tested.",
    )


def test_a_class_that_cleaning_takes_from_the_training_rows_is_named() -> None:
    parts = {"train": labelled([*AB, "c"], "train.csv"), "test": labelled([*AB, "c"], "test.csv")}
    parts["train"].texts = [*parts["train"].texts[:-1], parts["test"].texts[-1]]
    with pytest.raises(DataError, match=r"no row of 'c' in train\.csv is left after cleaning") as caught:
        join(parts, (), Rules(seed=0))
    assert 'without = ["c"]' in caught.value.hint


def test_a_listed_class_that_no_row_has_is_a_mistake_of_the_list() -> None:
    assert (
        refused({"train": AB, "test": AB}, classes=("a", "b", "c")).hint
        == "Correct classes or labels: they list what no row has."
    )


@pytest.mark.parametrize(
    ("rare", "proposal"), [(1, {"without": ["c"], "min_rows": 3}), (2, {"without": ["c"], "min_rows": 3})]
)
def test_a_class_of_too_few_rows_is_refused_and_each_proposal_leaves_it_out(
    rare: int, proposal: dict[str, Any]
) -> None:
    table = labelled([*AB, *["c"] * rare], "rows.csv")
    with pytest.raises(DataError) as caught:
        split(table, (), Rules(seed=0))
    assert caught.value.what == f"too few rows to have every class in train, valid and test: 'c' has {rare}"
    assert proposed(caught.value.hint) == proposal
    for option, value in proposal.items():
        assert split(table, (), Rules(seed=0, **{option: value})).classes == ("a", "b")


def test_a_training_file_that_gives_the_validation_rows_needs_two_of_each_class() -> None:
    error = refused({"train": [*AB, "c"], "test": [*AB, "c"]})
    assert error.what == "too few rows to have every class in train and valid: 'c' has 1"
    assert error.where == "data/train.csv, column 'label'"
    assert proposed(error.hint) == {"without": ["c"]}


@pytest.mark.parametrize("number", [400, 40])
def test_hundreds_of_classes_of_one_row_are_a_short_error(number: int) -> None:
    with pytest.raises(DataError) as caught:
        split(
            labelled([f"name {chr(97 + index % 26)}{index}" for index in range(number)], "rows.csv"), (), Rules(seed=0)
        )
    assert caught.value.what.startswith(f"{number} of {number} classes have fewer rows than there are splits")
    assert caught.value.hint.startswith(f"There are {number} different labels for {number} rows")
    assert len(str(caught.value)) < 400
