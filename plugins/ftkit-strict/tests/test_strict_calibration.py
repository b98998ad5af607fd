"""Calibration: what the errors are on rows counted by hand, and what they do not depend on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ftkit_strict.calibration import Calibration

from ftkit.evaluation.calibration import brier, calibration_error


def test_the_error_of_four_rows_in_two_bins_is_the_one_counted_by_hand() -> None:
    certainty, right = np.array([0.6, 0.7, 0.9, 1.0]), np.array([1.0, 0.0, 1.0, 1.0])
    # Bins {0.6, 0.7} and {0.9, 1.0}: |0.65 - 0.5| and |0.95 - 1|, each of half the rows.
    assert calibration_error(certainty, right, 2) == pytest.approx((0.15 + 0.05) / 2)
    # One bin: |0.8 - 0.75|. More bins than rows: each row is one.
    assert calibration_error(certainty, right, 1) == pytest.approx(0.05)
    assert calibration_error(certainty, right, 99) == pytest.approx((0.4 + 0.7 + 0.1 + 0.0) / 4)


def test_rows_of_one_certainty_share_a_bin_so_that_their_order_does_not_matter() -> None:
    certainty = np.full(10, 0.8)
    right = np.array([1.0] * 8 + [0.0] * 2)
    assert calibration_error(certainty, right, 5) == pytest.approx(0)
    random = np.random.default_rng(0)
    certainty, right = random.choice([0.6, 0.7, 0.9], 100), random.integers(0, 2, 100).astype(float)
    order = random.permutation(100)
    assert calibration_error(certainty, right, 7) == pytest.approx(calibration_error(certainty[order], right[order], 7))


def test_the_brier_score_is_the_one_counted_by_hand() -> None:
    found = brier(np.array([[0.7, 0.2, 0.1], [0.0, 0.0, 1.0]]), np.array([0, 0]))
    assert found == pytest.approx(((0.3**2 + 0.2**2 + 0.1**2) + 2) / 2)


def test_bins_of_equal_mass_agree_with_an_independent_count() -> None:
    random = np.random.default_rng(2)
    certainty = random.uniform(0.5, 1, 600)
    right = (random.random(600) < certainty**2).astype(float)
    order = np.argsort(certainty)
    parts = np.array_split(order, 10)
    expected = sum(len(rows) * abs(certainty[rows].mean() - right[rows].mean()) for rows in parts) / 600
    assert calibration_error(certainty, right, 10) == pytest.approx(expected)


def test_bins_of_equal_mass_agree_with_the_calibration_curve_of_scikit_learn() -> None:
    from sklearn.calibration import calibration_curve

    random = np.random.default_rng(3)
    certainty = random.uniform(0.5, 1, 800)
    right = (random.random(800) < certainty**3).astype(float)
    hit, sure = calibration_curve(right, certainty, n_bins=8, strategy="quantile")
    assert calibration_error(certainty, right, 8) == pytest.approx(abs(hit - sure).mean())


def test_the_brier_score_of_two_classes_is_twice_that_of_scikit_learn() -> None:
    from sklearn.metrics import brier_score_loss

    random = np.random.default_rng(4)
    found, labels = random.random(300), random.integers(0, 2, 300)
    assert brier(np.stack([1 - found, found], axis=1), labels) == pytest.approx(2 * brier_score_loss(labels, found))


def drawn(bench: Any, power: float, rows: int = 2000) -> Any:
    """A candidate that is right with its certainty to this power: 1 is calibrated."""
    random = np.random.default_rng(1)
    certainty = random.uniform(0.5, 1, rows)
    labels = (random.random(rows) < certainty**power).astype(int)
    return bench.scored(certainty, labels.tolist())


def test_a_calibrated_model_passes_and_one_too_sure_of_itself_fails(bench: Any) -> None:
    good, bad = Calibration(max_error=0.05).check(drawn(bench, 1), None), Calibration().check(drawn(bench, 4), None)
    assert (good.status, bad.status) == ("passed", "failed")
    assert "surer than right" in bad.sentence
    assert good.figure is not None
    assert abs(good.numbers["error"] - good.numbers["by_chance"]) < 0.015
    assert bad.numbers["error"] > 5 * bad.numbers["by_chance"]


def test_the_brier_score_is_judged_when_a_limit_is_given(bench: Any) -> None:
    candidate = drawn(bench, 1)
    assert Calibration(max_brier=0.5).check(candidate, None).status == "passed"
    assert Calibration(max_brier=0.1).check(candidate, None).status == "failed"


def test_the_champions_error_is_told_beside_it(bench: Any) -> None:
    candidate = drawn(bench, 1)
    sure = np.where(candidate.probabilities > 0.5, 1.0, 0.0)
    verdict = Calibration().check(candidate, replace(candidate, probabilities=sure, title="champion version 2"))
    assert verdict.numbers["champion_error"] > verdict.numbers["error"]
    assert "champion version 2" in verdict.sentence


def test_an_error_that_chance_explains_is_not_judged_and_a_greater_one_is(bench: Any) -> None:
    doubtful = bench.scored([0.7] * 6, [1] * 3 + [0] * 3)
    verdict = Calibration(max_error=0.1).check(doubtful, None)
    assert verdict.numbers["error"] == pytest.approx(0.2)
    assert verdict.status == "not applicable"
    assert "chance" in verdict.sentence
    assert Calibration(max_error=0.1).check(bench.scored([0.99] * 6, [1] * 2 + [0] * 4), None).status == "failed"
    assert Calibration(max_error=0.1, max_brier=0.1).check(doubtful, None).status == "failed"


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_few_rows_get_a_verdict(bench: Any, rows: int) -> None:
    assert Calibration().check(bench.scored([0.9] * rows, [1] * rows), None).numbers["error"] == pytest.approx(0.1)


def test_nan_and_an_empty_test_split_fail(bench: Any) -> None:
    assert Calibration().check(bench.scored([0.9, np.nan], [1, 1]), None).status == "failed"
    assert Calibration().check(bench.scored(np.zeros((0, 2)), []), None).status == "failed"


@pytest.mark.parametrize("options", [{"max_error": 1.5}, {"max_brier": 3.0}, {"bins": 0}])
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Calibration(**options)
