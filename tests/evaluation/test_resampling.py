"""Resampling with a further row: against exact intervals, one resample at a time, and where rows show nothing yet."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from ftkit.contracts.tasks import METRICS_OF
from ftkit.evaluation import metrics, resampling
from ftkit.evaluation.metrics import resampled


@pytest.mark.parametrize("metric", METRICS_OF["ordinal"])
@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("decimals", [1, 6], ids=["with ties", "without"])
def test_weights_that_are_counts_score_as_the_rows_repeated(metric, classes, decimals):
    random = np.random.default_rng(classes)
    labels = random.integers(0, classes, 30)
    probabilities = np.round(random.dirichlet(np.ones(classes), 30), decimals) + 1e-3
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    counts = random.multinomial(30, np.full(30, 1 / 30), 20)
    rows = [np.repeat(np.arange(30), each) for each in counts]
    expected = [metrics.score(metric, probabilities[each], labels[each]) for each in rows]
    measured = metrics.measure(metric, probabilities, labels)(counts.astype(float))
    assert measured == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("metric", METRICS_OF["ordinal"])
@pytest.mark.parametrize("classes", [2, 3])
def test_counts_that_lack_a_class_score_as_the_rows_repeated(metric, classes):
    probabilities = np.random.default_rng(3).dirichlet(np.ones(classes), 4)
    labels = np.array([0, 0, 1, classes - 1])
    counts = np.array([[4, 0, 0, 0], [0, 0, 4, 0], [2, 0, 0, 2], [1, 1, 1, 1], [0, 1, 3, 0]])
    rows = [np.repeat(np.arange(4), each) for each in counts]
    expected = [metrics.score(metric, probabilities[each], labels[each]) for each in rows]
    measured = metrics.measure(metric, probabilities, labels)(counts.astype(float))
    assert measured == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(("right", "rows"), [(30, 30), (0, 30), (27, 30), (95, 100), (1, 1)])
def test_the_interval_of_a_share_is_that_of_clopper_and_pearson(right, rows):
    labels = np.arange(rows) % 2
    probabilities = np.eye(2)[np.where(np.arange(rows) < right, labels, 1 - labels)] * 0.8 + 0.1
    exact = binomtest(right, rows).proportion_ci(0.95)
    interval = metrics.interval("accuracy", probabilities, labels, seed=1, resamples=20_000)
    assert interval == pytest.approx((exact.low, exact.high), abs=0.005)


@pytest.mark.parametrize("metric", METRICS_OF["ordinal"])
@pytest.mark.parametrize("classes", [2, 4])
def test_no_interval_has_a_width_of_zero(metric, classes):
    labels = np.arange(40) % classes
    certain = np.eye(classes)[labels] * 0.98 + 0.02 / classes
    low, high = metrics.interval(metric, certain, labels)
    assert low <= metrics.score(metric, certain, labels) <= high
    assert high - low > 0.02


def test_a_class_without_rows_costs_no_macro_f1_in_resamples():
    labels = np.arange(300) % 3
    probabilities = np.eye(5)[labels] * 0.9 + 0.02
    low, _ = metrics.interval("macro_f1", probabilities, labels)
    assert low > 0.97


@pytest.mark.parametrize("right", [True, False])
def test_further_rows_are_answered_as_asked_whatever_the_rows_are(right):
    random = np.random.default_rng(5)
    probabilities = np.concatenate([random.dirichlet(np.ones(3), 50), np.full((3, 3), 1 / 3)])
    labels = np.arange(53) % 3
    both, both_labels = resampling.with_further_rows(probabilities, labels, 7, right=right)
    assert both[:53].tolist() == probabilities.tolist()
    assert ((both[53:].argmax(axis=1) == both_labels[53:]) == right).all()
    assert both.sum(axis=1) == pytest.approx(1)


def test_a_row_that_is_wrong_by_two_to_one_is_never_better_than_it_was():
    probabilities = np.array([[0.8, 0.1, 0.1], [0.1, 0.6, 0.3]])
    both, labels = resampling.with_further_rows(probabilities, np.array([0, 0]), 7, right=False, least=True)
    assert sorted(both[2:, 0].tolist()) == pytest.approx([0.1, 0.3])
    assert labels.tolist() == [0, 0, 0, 0]


def test_the_size_of_a_block_does_not_change_the_scores(monkeypatch):
    probabilities, labels = np.random.default_rng(1).dirichlet(np.ones(3), 50), np.arange(50) % 3
    whole = resampled("macro_f1", probabilities, labels, seed=1, resamples=25, right=False)
    monkeypatch.setattr("ftkit.evaluation.resampling.BLOCK", 350)
    blocks = resampled("macro_f1", probabilities, labels, seed=1, resamples=25, right=False)
    assert blocks == pytest.approx(whole.tolist(), abs=1e-12)


def test_an_unknown_metric_is_a_key_error():
    with pytest.raises(KeyError):
        resampled("f1", np.eye(2), np.arange(2), seed=0, resamples=1, right=True)
