"""The labels of all files are seen together: what is one class, what the recipe lists, what is left out."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftkit.contracts import SPLITS, Data
from ftkit.data.class_names import same_class
from ftkit.data.rows import Rows
from ftkit.data.splits import CONTRADICTORY, NO_LABEL, SEVERAL, UNLISTED, WITHOUT, Rules, join, split
from ftkit.errors import DataError

NAN = float("nan")


def labelled(labels: Sequence[Any], source: str = "rows.csv", prefix: str = "text") -> Rows:
    """A row with a text of its own for each label."""
    table = Rows(source, label_column="label")
    for index, label in enumerate(labels):
        table.add(f"{prefix} {index}", label)
    return table


def loaded(
    train: Sequence[Any], test: Sequence[Any] | None = None, classes: Sequence[str] = (), **options: Any
) -> Data:
    """Each label four times: one table that is split, or a table for training and one for testing."""
    rules = Rules(seed=0, **options)
    if test is None:
        return split(labelled([*train] * 4), classes, rules)
    parts = {"train": labelled([*train] * 4, "train.csv"), "test": labelled([*test] * 4, "test.csv", "other")}
    return join(parts, classes, rules)


def refused(*tables: Sequence[Any], **options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        loaded(*tables, **options)
    assert caught.value.hint
    assert len(str(caught.value)) < 700, "an error must be short"
    return caught.value


def in_test(data: Data) -> list[str]:
    """The classes of the test rows."""
    return sorted({data.classes[label] for label in data.test.labels})


SAME = [
    (["0", "1"], [0, 1], ("0", "1")),
    (["0", "1"], [0.0, 1.0], ("0", "1")),
    (["0", "1"], ["0.0", "1.0"], ("0", "1")),
    ([0, 1, 2], ["0.00", "1.0", "2"], ("0", "1", "2")),
    (["True", "False"], [True, False], ("false", "true")),
    (["true", "false"], [True, False], ("false", "true")),
    (["TRUE", "FALSE"], ["True", "False"], ("false", "true")),
    (["caf\u00e9", "th\u00e9"], ["cafe\u0301", "the\u0301"], ("caf\u00e9", "th\u00e9")),
    (["new york", "paris"], ["new\u00a0york", "paris\u200b"], ("new york", "paris")),
    (["new york", "paris"], ["new \n york", "\ufeffparis"], ("new york", "paris")),
    (["a", "b"], [["a"], ["b"]], ("a", "b")),
    (["a", "b"], ["['a']", '["b"]'], ("a", "b")),
    (["a", "b"], [b"a", b"b"], ("a", "b")),
]


@pytest.mark.parametrize(("one", "other", "classes"), SAME)
@pytest.mark.parametrize("files", ["one file", "two files", "two files, turned"])
def test_labels_that_are_surely_the_same_are_one_class(
    one: list[Any], other: list[Any], classes: tuple[str, ...], files: str
) -> None:
    if files == "one file":
        data = loaded([*one, *other])
    else:
        data = loaded(one, other) if files == "two files" else loaded(other, one)
    assert data.classes == classes
    assert in_test(data) == sorted(classes)
    assert data.report.warnings == ()
    written = {str(label).strip() if not isinstance(label, bool) else str(label).lower() for label in (*one, *other)}
    merged = [
        note for note in data.report.notes if note.startswith("Labels written in several ways were taken for one class")
    ]
    assert len(merged) == (len(written) > len(classes)), "what was merged is stated, with counts"
    assert all("(4)" in note for note in merged)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["1.0", "2.5"], ("1.0", "2.5")),
        (["True", "False"], ("False", "True")),
        (["007", "8"], ("007", "8")),
        (["zip 01", "zip 1"], ("zip 01", "zip 1")),
        (["10", "9"], ("9", "10")),
    ],
)
def test_a_class_that_all_rows_write_in_one_way_is_called_so(labels: list[Any], classes: tuple[str, ...]) -> None:
    assert loaded(labels).classes == classes
    assert loaded(labels).report.notes == ()


def test_rows_without_a_label_are_left_out_and_counted() -> None:
    data = loaded(["a", "b", None, "", NAN, " \u00a0", []])
    assert data.classes == ("a", "b")
    assert data.report.dropped == {NO_LABEL: 20}
    assert data.report.rows_read == 28


def test_a_text_of_the_unlabelled_rows_of_another_file_is_kept() -> None:
    parts = {"train": labelled(["a", "b"] * 4), "test": labelled(["a", "b"] * 4, prefix="other")}
    parts["test"].add("text 0", None)
    data = join(parts, (), Rules(seed=0))
    assert data.report.dropped == {NO_LABEL: 1}


def test_one_text_with_two_spellings_of_its_class_is_a_duplicate_and_no_contradiction() -> None:
    table = labelled(["1", "2"] * 4)
    table.add("same", 1.0)
    table.add("same", "1")
    table.add("other", "1")
    table.add("other", 2.0)
    assert split(table, (), Rules(seed=0)).report.dropped == {"duplicate": 1, CONTRADICTORY: 2}


@pytest.mark.parametrize(
    ("label", "described"),
    [
        (["a", "b"], "a list of 2 (a, b)"),
        ("['a', 'b']", "a list of 2 (a, b)"),
        ([0, 1], "a list of 2 (0, 1)"),
        ({"name": "a"}, "an object ({'name': 'a'})"),
    ],
)
@pytest.mark.parametrize("files", ["one file", "train", "test"])
def test_several_labels_of_a_text_are_refused_naming_file_and_line(label: Any, described: str, files: str) -> None:
    parts = {"train": labelled(["a", "b"] * 4, "train.csv"), "test": labelled(["a", "b"] * 4, "test.csv", "other")}
    part = parts["train" if files == "one file" else files]
    part.lines = [*range(2, 10), 23]
    part.add("two labels", label)
    with pytest.raises(DataError) as caught:
        split(part, (), Rules(seed=0)) if files == "one file" else join(parts, (), Rules(seed=0))
    assert f"the label of line 23 is {described}; 1 of 9 labels" in caught.value.what
    assert ('task = "multi-label"' if "list" in described else ".name") in caught.value.hint
    assert caught.value.where == f"{part.source}:23, column 'label'"


def test_rows_of_several_labels_are_left_out_where_the_recipe_leaves_out_what_it_does_not_list() -> None:
    data = loaded(["a", "b", ["a", "b"]], classes=("a", "b"), unlisted="drop")
    assert data.report.dropped == {SEVERAL: 4}


LISTED = [
    ({"classes": ("1", "0")}, ["0", 1.0], ("1", "0")),
    ({"classes": ("True", "False")}, [True, "false"], ("True", "False")),
    ({"classes": ("caf\u00e9", "b")}, ["cafe\u0301", "b\u200b"], ("caf\u00e9", "b")),
    ({"classes": ("1", "1.0")}, ["1", "1.0"], ("1", "1.0")),
    ({"labels": {"1.0": "low", "2.5": "high"}}, ["1", 2.5], ("low", "high")),
    ({"labels": {"1": "low", "2.5": "high"}}, ["1.0", "2.5"], ("low", "high")),
    ({"labels": {"true": "yes", "false": "no"}}, ["True", False], ("yes", "no")),
    ({"labels": {"0": "low", "1": "high"}}, ["0", "1", "low", "high"], ("low", "high")),
    ({"labels": {"a": "b", "b": "a"}}, ["a", "b"], ("b", "a")),
    ({"labels": {"B": "b"}, "unlisted": "keep"}, ["c", "B", "b", "a"], ("a", "b", "c")),
    ({"classes": ("c",), "unlisted": "keep"}, ["c", "b", "a"], ("c", "a", "b")),
    ({"without": ("C", "1.0")}, ["a", "b", "C", 1], ("a", "b")),
    ({"labels": {"x": "c"}, "without": ("c",), "unlisted": "keep"}, ["a", "b", "x"], ("a", "b")),
]


@pytest.mark.parametrize(("options", "labels", "classes"), LISTED)
def test_what_the_recipe_lists_matches_in_the_same_way(
    options: dict[str, Any], labels: list[Any], classes: tuple[str, ...]
) -> None:
    data = loaded(labels, **options)
    assert data.classes == classes
    assert {name for part in SPLITS for name in data.report.counts[part]} == {*classes}
    assert data.report.warnings == ()


def test_a_label_that_is_not_listed_is_refused_with_the_nearest_class_and_its_file() -> None:
    error = refused(["a", "billing"], ["a", "billing", "biling"], classes=("a", "billing"))
    assert error.what == "4 rows have a label that is none of the classes: 'biling' (4)"
    assert error.where == "test.csv, column 'label'"
    assert error.hint.startswith("Did you mean 'billing'? The classes are 'a', 'billing'.")
    assert loaded(["a", "b", "c"], classes=("a", "b"), unlisted="drop").report.dropped == {UNLISTED: 4}


def test_labels_left_out_are_counted_and_a_name_that_no_row_has_is_a_warning() -> None:
    data = loaded(["a", "b", "c"], without=("c", "misk"), labels={"A": "a"}, unlisted="keep")
    assert data.report.dropped == {WITHOUT: 4}
    assert data.report.warnings == ("labels names 'A', which no row has.", "without names 'misk', which no row has.")


def test_a_label_with_no_name_is_a_mistake_in_the_recipe() -> None:
    with pytest.raises(ValueError, match="labels maps 'x' to no name: to leave out its rows, set without"):
        Rules(seed=0, labels={"x": " "})


NASTY = st.one_of(
    st.sampled_from(
        ["a", "A", "a ", "b", "1", "1.0", "01", 1, 1.0, True, "true", "0", 0, False, None, NAN, "", "N/A", "-1", -1]
    ),
    st.sampled_from(
        ["a|b", "['a']", "['a', 'b']", ["a"], ["a", "b"], [], {"a": 1}, b"a", "a\nb", "\ud800", "2026-01-01"]
    ),
    st.text(max_size=3),
    st.floats(),
    st.integers(),
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(NASTY, max_size=8), st.lists(NASTY, max_size=8), st.booleans(), st.sampled_from(["fail", "drop", "keep"])
)
def test_any_labels_become_classes_or_are_refused_shortly(
    train: list[Any], test: list[Any], files: bool, unlisted: Any
) -> None:
    classes = ("a", "b") if unlisted != "fail" else ()
    try:
        data = loaded(train, test if files else None, classes, unlisted=unlisted)
    except DataError as error:
        assert error.hint and len(str(error)) < 1200  # noqa: PT017  # whichever error it is
        return
    kept = sum(len(getattr(data, name)) for name in SPLITS)
    assert data.report.rows_read == kept + sum(data.report.dropped.values())
    assert {*data.train.labels} == {*range(len(data.classes))}
    assert len({same_class(name) for name in data.classes}) == len(data.classes)
    assert all(len(sentence) < 1200 for sentence in (*data.report.notes, *data.report.warnings))


def test_classes_and_splits_depend_neither_on_the_hash_seed_nor_on_the_order_of_the_rows() -> None:
    code = (
        "import sys; from ftkit.data.rows import Rows; from ftkit.data.splits import Rules, split\n"
        "labels = ['a1', 'a01', 'b', 'B', '1', 1.0, '01', True, 'true', 'x y', 'x\\u00a0y', 'N/A', 'a|b'] * 4\n"
        "table = Rows('rows.csv')\n"
        "rows = [(f'text {number}', label) for number, label in enumerate(labels)]\n"
        "for row in rows[::-1] if sys.argv[1] == 'turned' else rows: table.add(*row)\n"
        "data = split(table, (), Rules(seed=0)); report = data.report\n"
        "print(data.classes, report.notes, report.warnings, report.counts, sorted(data.test.texts), sep='\\n')\n"
        "print(report.fingerprint)"
    )
    first, again, turned = (
        subprocess.run(
            [sys.executable, "-c", code, order],
            capture_output=True,
            text=True,
            check=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONIOENCODING": "utf-8"},
        ).stdout.splitlines()
        for hash_seed, order in (("1", "straight"), ("2", "straight"), ("3", "turned"))
    )
    assert "a01" in first[0]
    assert first == again
    assert first[:-1] == turned[:-1], "the fingerprint alone knows the order, in which a model is trained"
