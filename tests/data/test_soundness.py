"""What a data set loads is held to its task: labels of one class, or rising tuples of several."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ftkit.contracts import Data
from ftkit.data import soundness
from ftkit.data.rows import Rows
from ftkit.data.splits import Rules, split
from ftkit.errors import DataError


@pytest.fixture(scope="module")
def several() -> Data:
    labels = [["a"], ["b", "c"], [], ["c", "a"]] * 10
    rows = Rows("rows.csv", [f"text {row}" for row in range(40)], labels)
    return split(rows, (), Rules(seed=1, task="multi-label", near_copies="ignored"))


def test_several_labels_are_sound(several: Data) -> None:
    soundness.check(several, "the rows")


@pytest.mark.parametrize(
    ("label", "words"),
    [
        (0, "no tuple of class indices, in row 1: 0"),
        ([0], "no tuple of class indices"),
        ((True,), "no tuple of class indices"),
        ((1, 0), "does not rise, in row 1: (1, 0)"),
        ((1, 1), "does not rise"),
        ((0, 3), "out of range, in row 1: (0, 3), of 3 classes"),
        ((-1,), "out of range"),
    ],
)
def test_a_label_of_another_form_is_refused(several: Data, label: Any, words: str) -> None:
    labels = (several.train.labels[0], label, *several.train.labels[2:])
    with pytest.raises(DataError) as caught:
        soundness.check(replace(several, train=replace(several.train, labels=labels)), "the rows")
    assert words in caught.value.what


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"task": "single-label"}, "a train label that is no index of a class"),
        ({"task": "several"}, "a task that is none of single-label, multi-label, ordinal: 'several'"),
    ],
)
def test_a_task_that_does_not_fit_is_refused(several: Data, change: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError) as caught:
        soundness.check(replace(several, **change), "the rows")
    assert words in caught.value.what


def test_a_report_that_counts_other_rows_is_refused(several: Data) -> None:
    report = replace(several.report, rows={**several.report.rows, "valid": 1})
    with pytest.raises(DataError, match="a report of 1 valid rows, and there are"):
        soundness.check(replace(several, report=report), "the rows")
