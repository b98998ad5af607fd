"""What a backbone reports is held to the validation rows before anything is measured by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ftkit.errors import HopelessError
from ftkit.stages.trial import Reporter
from ftkit.testing.toys import ToyReviews

DATA = ToyReviews(rows=60).load(3, lambda event: None).without_test()
EVEN = np.full((len(DATA.valid), 2), 0.5)


@pytest.fixture
def report(tmp_path: Path) -> Reporter:
    return Reporter(lambda numbers: (True, True), DATA, tmp_path)


@pytest.mark.parametrize(
    ("epoch", "probabilities", "expected"),
    [
        (1, EVEN[:1], "probabilities of shape (1, 2), not"),
        (1, EVEN[:, :1], "probabilities of shape"),
        (1, None, "probabilities of shape ()"),
        (1, EVEN * np.nan, "the training diverged: in epoch 1"),
        (1, EVEN * 3, "numbers that are no probabilities, such as 1.5, 1.5"),
        (1, EVEN * [3, -1], "numbers that are no probabilities, such as 1.5, -0.5"),
        (1, EVEN.astype(str), "which is no array of numbers"),
        ("1", EVEN, "'1', which is no epoch"),
        (1.5, EVEN, "1.5, which is no epoch"),
        (None, EVEN, "None, which is no epoch"),
        (0, EVEN, "epoch 0 after epoch 0"),
    ],
)
def test_a_wrong_report_ends_the_trial_and_is_not_tried_again(
    report: Reporter, epoch: Any, probabilities: Any, expected: str
) -> None:
    with pytest.raises(HopelessError) as caught:
        report(epoch, probabilities)
    assert expected in str(caught.value)
    assert not report.evaluations


def test_a_right_report_is_taken(report: Reporter) -> None:
    assert report(1, EVEN.astype(np.float16), train_loss=0.5)
    assert report(np.int64(2), EVEN.tolist())
