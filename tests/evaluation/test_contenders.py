"""Probabilities of a model as probabilities over the classes of the data."""

from __future__ import annotations

import numpy as np
import pytest

from ftkit.evaluation.contenders import align_classes


def test_columns_follow_class_names_not_positions() -> None:
    columns = align_classes(np.array([[0.9, 0.1], [0.2, 0.8]]), ("good", "bad"), ("bad", "good"))
    assert columns.tolist() == [[0.1, 0.9], [0.8, 0.2]]


def test_a_class_the_model_does_not_know_gets_0_and_one_the_data_lacks_is_shared_out() -> None:
    columns = align_classes(np.array([[0.5, 0.3, 0.2]]), ("a", "b", "c"), ("a", "b", "d"))
    assert columns[0] == pytest.approx([0.625, 0.375, 0.0])


def test_a_row_without_any_known_class_gets_equal_probabilities() -> None:
    assert align_classes(np.array([[1.0]]), ("x",), ("a", "b")).tolist() == [[0.5, 0.5]]
