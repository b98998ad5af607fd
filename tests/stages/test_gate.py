"""The promotion gate's arithmetic; its decisions are pinned by the runner's tests."""

from __future__ import annotations

import numpy as np
import pytest

from ftkit.stages.gate import aligned


def test_columns_follow_class_names_not_positions() -> None:
    found = aligned(np.array([[0.9, 0.1], [0.2, 0.8]]), ("good", "bad"), ("bad", "good"))
    assert found.tolist() == [[0.1, 0.9], [0.8, 0.2]]


def test_a_class_the_model_does_not_know_gets_nothing_and_one_we_lack_is_shared_out() -> None:
    found = aligned(np.array([[0.5, 0.3, 0.2]]), ("a", "b", "c"), ("a", "b", "d"))
    assert found[0] == pytest.approx([0.625, 0.375, 0.0])


def test_a_row_with_nothing_left_is_undecided() -> None:
    assert aligned(np.array([[1.0]]), ("x",), ("a", "b")).tolist() == [[0.5, 0.5]]
