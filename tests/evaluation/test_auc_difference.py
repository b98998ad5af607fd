"""The difference between two ROC AUC: against derivatives and DeLong's formula, and where rows show nothing yet."""

from __future__ import annotations

import numpy as np
import pytest

from ftkit.evaluation import auc_difference, metrics


def models(classes: int, rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two models' probabilities that know the same half of what there is to know, with ties, and the labels."""
    random = np.random.default_rng(seed)
    labels = np.minimum(random.integers(0, classes + 1, rows), classes - 1)
    common = np.eye(classes)[labels] + random.normal(size=(rows, classes)) * 0.5
    both = [np.round(np.exp(common + random.normal(size=(rows, classes)) * 0.5), 1) + 0.1 for _ in range(2)]
    one, other = (each / each.sum(axis=1, keepdims=True) for each in both)
    return one, other, labels


@pytest.mark.parametrize(("classes", "absent"), [(2, 0), (3, 0), (5, 0), (3, 2)])
def test_a_rows_pull_is_the_derivative_by_its_weight(classes: int, absent: int) -> None:
    one, other, labels = models(classes, 40)
    one, other = (np.pad(each, ((0, 0), (0, absent))) for each in (one, other))
    step = 1e-6
    weights = 1 + step * np.eye(40)
    heavier, equal = (
        metrics.measure("roc_auc", one, labels)(each) - metrics.measure("roc_auc", other, labels)(each)
        for each in (weights, np.ones((1, 40)))
    )
    lead, pulled, _ = auc_difference.pulls(one, other, labels)
    assert lead == pytest.approx(equal[0])
    assert pulled == pytest.approx((heavier - equal) / step, abs=1e-6)
    assert pulled.sum() == pytest.approx(0, abs=1e-12)


def test_with_many_rows_the_interval_is_delongs() -> None:
    one, other, labels = models(2, 3000)
    positive = labels == 1
    components = []
    for scores in (one[:, 1], other[:, 1]):
        gaps = scores[positive][:, None] - scores[~positive]
        in_order = (gaps > 0) + (gaps == 0) / 2  # (positives, negatives)
        components.append((in_order.mean(axis=1), in_order.mean(axis=0)))
    (above, below), (other_above, other_below) = components
    gaps = above - other_above, below - other_below
    spread = np.sqrt(sum(each.var(ddof=1) / len(each) for each in gaps))
    lower, upper = auc_difference.quantiles(one, other, labels, 39)
    assert lower[0] == pytest.approx(gaps[0].mean() - 1.96 * spread, abs=0.05 * spread)
    assert upper[-1] == pytest.approx(gaps[0].mean() + 1.96 * spread, abs=0.05 * spread)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_other_way_round_everything_is_mirrored(classes: int) -> None:
    one, other, labels = models(classes, 60)
    lower, upper = auc_difference.quantiles(one, other, labels, 99)
    assert (np.diff(lower) >= 0).all() and (lower < upper).all()
    mirrored_lower, mirrored_upper = auc_difference.quantiles(other, one, labels, 99)
    assert mirrored_lower == pytest.approx(-upper[::-1])
    assert mirrored_upper == pytest.approx(-lower[::-1])


@pytest.mark.parametrize(
    ("counts", "shown"),
    [
        ((1, 1), False),
        ((15, 15), False),
        ((20, 80), False),
        ((80, 80), False),
        ((1, 1000), False),
        ((30, 1000), False),
        ((100, 100), False),
        ((130, 130), True),
        ((150, 1000), True),
        ((20, 20, 20), False),
        ((200, 200, 200), True),
        ((2,) * 77, False),
    ],
)
def test_rows_that_both_rank_rightly_show_little_until_they_are_many(counts: tuple[int, ...], shown: bool) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    right = np.eye(len(counts))[labels] * 0.9 + 0.05
    lower, upper = auc_difference.quantiles(right, right * 0.9, labels, 39)
    assert lower[0] < 0 < upper[-1]
    assert (lower[0] >= -0.02) == shown
    assert lower[0] == pytest.approx(-upper[-1])


def test_rows_of_one_class_have_no_difference() -> None:
    one, other, _ = models(3, 10)
    assert [len(each) for each in auc_difference.quantiles(one, other, np.zeros(10, dtype=int), 39)] == [0, 0]


def shown_no_worse(rows: int, smaller: int, reach: float, misread: float = 0.0) -> float:
    """Share of 600 models that are shown to lose less than 0.02 of the area; the other model has 0.965."""
    random = np.random.default_rng(rows + smaller)
    labels = (np.arange(rows) < smaller).astype(int)
    shown = 0
    for _ in range(600):
        common = random.normal(size=rows) * 0.9**0.5
        one, other = (each * (2 * labels - 1) + common + random.normal(size=rows) * 0.1**0.5 for each in (reach, 1.28))
        one = np.where(random.random(rows) < misread, -one, one)
        probabilities = [np.stack([-each, each], axis=1) for each in (one, other)]
        shown += auc_difference.quantiles(probabilities[0], probabilities[1], labels, 39)[0][0] >= -0.02
    return shown / 600


@pytest.mark.parametrize(("rows", "smaller"), [(100, 20), (200, 40), (200, 100)])
def test_a_model_whose_area_is_less_by_the_margin_is_seldom_shown_to_be_no_worse(rows: int, smaller: int) -> None:
    """One of forty is what an interval of 95 % promises; 4 % would be a sign of more (2 % of chance)."""
    assert shown_no_worse(rows, smaller, 1.13) < 0.04


@pytest.mark.parametrize(("rows", "smaller"), [(100, 20), (200, 40)])
def test_nor_is_one_that_takes_a_few_rows_for_the_other_class(rows: int, smaller: int) -> None:
    assert shown_no_worse(rows, smaller, 1.28, misread=0.022) < 0.04


@pytest.mark.parametrize(("rows", "smaller", "power"), [(100, 50, 0.25), (200, 40, 0.25), (200, 100, 0.68)])
def test_a_model_that_is_as_good_is_often_shown_to_be_no_worse(rows: int, smaller: int, power: float) -> None:
    assert shown_no_worse(rows, smaller, 1.28) > power
