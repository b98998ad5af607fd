"""Metrics on resamples, against the same metrics one resample at a time."""

from __future__ import annotations

import numpy as np
import pytest

from ftkit.evaluation import metrics
from ftkit.evaluation.metrics import resampled


@pytest.mark.parametrize("metric", metrics.METRICS)
@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("decimals", [1, 6], ids=["with ties", "without"])
def test_a_block_of_resamples_scores_as_one_after_another(metric, classes, decimals):
    random = np.random.default_rng(classes)
    labels = random.integers(0, classes, 30)
    probabilities = np.round(random.dirichlet(np.ones(classes), 30), decimals) + 1e-3
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    draws = np.random.default_rng(7)
    expected = [
        metrics.score(metric, probabilities[rows], labels[rows])
        for rows in (draws.integers(0, 30, 30) for _ in range(20))
    ]
    assert resampled(metric, probabilities, labels, seed=7, resamples=20) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("metric", metrics.METRICS)
@pytest.mark.parametrize("classes", [2, 3])
def test_resamples_that_lack_a_class_score_as_one_after_another(metric, classes):
    probabilities = np.random.default_rng(3).dirichlet(np.ones(classes), 4)
    labels = np.array([0, 0, 1, classes - 1])
    draws = np.random.default_rng(0)
    expected = [
        metrics.score(metric, probabilities[rows], labels[rows])
        for rows in (draws.integers(0, 4, 4) for _ in range(60))
    ]
    assert resampled(metric, probabilities, labels, seed=0, resamples=60) == pytest.approx(expected, nan_ok=True)


def test_the_size_of_a_block_does_not_change_the_scores(monkeypatch):
    probabilities, labels = np.random.default_rng(1).dirichlet(np.ones(3), 50), np.arange(50) % 3
    whole = resampled("macro_f1", probabilities, labels, seed=1, resamples=25)
    monkeypatch.setattr("ftkit.evaluation.metrics.BLOCK", 350)
    assert resampled("macro_f1", probabilities, labels, seed=1, resamples=25).tolist() == whole.tolist()


def test_an_unknown_metric_is_a_key_error():
    with pytest.raises(KeyError):
        resampled("f1", np.eye(2), np.arange(2), seed=0, resamples=1)
