"""Probabilities of a model as probabilities over the classes of the data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ftkit.evaluation.contenders import align_classes, class_mismatch, class_sources, matched
from ftkit.testing.promotion_tests import Fixed, make_contender, make_data


def test_columns_follow_class_names_not_positions() -> None:
    columns = align_classes(np.array([[0.9, 0.1], [0.2, 0.8]]), ("good", "bad"), ("bad", "good"))
    assert columns.tolist() == [[0.1, 0.9], [0.8, 0.2]]


def test_a_class_the_model_does_not_know_gets_0_and_one_the_data_lacks_is_shared_out() -> None:
    columns = align_classes(np.array([[0.5, 0.3, 0.2]]), ("a", "b", "c"), ("a", "b", "d"))
    assert columns[0] == pytest.approx([0.625, 0.375, 0.0])


def test_a_row_without_any_known_class_gets_equal_probabilities() -> None:
    assert align_classes(np.array([[1.0]]), ("x",), ("a", "b")).tolist() == [[0.5, 0.5]]


@pytest.mark.parametrize(
    ("model", "data", "expected"),
    [
        (("1.0", "2.0"), ("1", "2"), {"1": "1.0", "2": "2.0"}),
        (("Caf\u00e9",), ("Cafe\u0301",), {"Cafe\u0301": "Caf\u00e9"}),
        (("a b",), ("a\u00a0b",), {"a\u00a0b": "a b"}),
        (("True", "False"), ("true", "false"), {"true": "True", "false": "False"}),
        (("1", "1.0"), ("1.0", "1"), {"1": "1", "1.0": "1.0"}),
        (("Billing",), ("billing",), {}),
        (("[a, b]",), ("x",), {}),
    ],
)
def test_classes_are_the_same_by_name_or_where_that_is_sure(model, data, expected) -> None:
    assert class_sources(model, data) == expected


def test_other_spellings_find_their_columns() -> None:
    columns = align_classes(np.array([[0.9, 0.1]]), ("2.0", "1.0"), ("1", "2"))
    assert columns.tolist() == [[0.1, 0.9]]


def test_a_champion_of_fewer_classes_is_matched_on_the_rows_whose_class_both_know() -> None:
    candidate = make_contender(make_data(30))
    labels = np.array(candidate.data.test.labels)
    champion = replace(candidate, title="champion version 1", classifier=Fixed(("good", "bad"), 0.6))
    assert class_mismatch(champion) == ""
    both = matched(candidate, champion)
    new = candidate.data.classes.index("fair")
    assert both.rows.tolist() == np.flatnonzero(labels != new).tolist()
    assert list(both.candidate.data.test.texts) == [candidate.data.test.texts[row] for row in both.rows]
    assert both.candidate.probabilities.tolist() == candidate.probabilities[both.rows].tolist()
    assert set(both.classes) == {0, 1, 2} - {new}
    left_out = int((labels == new).sum())
    assert both.note == (
        f"; without {left_out} rows of the class 'fair', new since champion version 1: only what both know is compared"
    )


def test_where_both_know_all_classes_nothing_is_left_out() -> None:
    candidate = make_contender(make_data(30))
    both = matched(candidate, replace(candidate, classifier=Fixed(("good", "fair", "bad"), 0.6)))
    assert both.candidate is candidate
    assert both.note == ""


def test_several_labels_keep_their_probabilities_and_all_rows_where_one_is_new() -> None:
    columns = align_classes(np.array([[0.9, 0.8]]), ("late", "gone"), ("late", "new"), "multi-label")
    assert columns.tolist() == [[0.9, 0.0]]
    data = make_data(task="multi-label")
    candidate = make_contender(data)
    champion = replace(candidate, title="champion version 1", classifier=Fixed(data.classes[:2], 0.8, "multi-label"))
    both = matched(candidate, champion)
    assert (both.classes, len(both.rows)) == ((0, 1), len(data.test))
    assert "without the label 'good', new since champion version 1" in both.note
    assert class_mismatch(champion) == ""
    other = replace(candidate, title="champion version 1", classifier=Fixed(data.classes, 0.8))
    assert class_mismatch(other) == "champion version 1 answers single-label data, the candidate multi-label data"
