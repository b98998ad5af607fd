"""Calibration error and Brier score: as computed by hand and by scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

from ftkit.evaluation.calibration import binned_error, brier, equal_mass_bins


def calibration_error(certainty: np.ndarray, right: np.ndarray, bins: int) -> float:
    """Over bins with equally many rows, as the report and the promotion test compute it."""
    return binned_error(certainty, right, equal_mass_bins(certainty, bins))


def test_the_error_of_four_rows_in_two_bins_is_as_computed_by_hand() -> None:
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


def test_the_brier_score_is_as_computed_by_hand() -> None:
    score = brier(np.array([[0.7, 0.2, 0.1], [0.0, 0.0, 1.0]]), np.array([0, 0]))
    assert score == pytest.approx(((0.3**2 + 0.2**2 + 0.1**2) + 2) / 2)


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
    scores, labels = random.random(300), random.integers(0, 2, 300)
    assert brier(np.stack([1 - scores, scores], axis=1), labels) == pytest.approx(2 * brier_score_loss(labels, scores))
