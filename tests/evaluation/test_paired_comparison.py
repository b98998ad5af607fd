"""Two models on the same rows: what is significant, and how the difference is resampled."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ftkit.evaluation.paired_comparison import compare, mcnemar, percentiles


@pytest.mark.parametrize(("gained", "lost", "expected"), [(0, 0, 1.0), (5, 5, 1.0), (5, 0, 2 / 32), (1, 9, 22 / 1024)])
def test_mcnemars_test_is_the_exact_binomial_one(gained: int, lost: int, expected: float) -> None:
    assert mcnemar(gained, lost) == pytest.approx(expected)


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (1, 0), (3, 9), (12, 5), (40, 40), (0, 30)])
def test_mcnemars_test_is_that_of_statsmodels(gained: int, lost: int) -> None:
    from statsmodels.stats.contingency_tables import mcnemar as reference

    assert mcnemar(gained, lost) == pytest.approx(reference([[50, gained], [lost, 7]], exact=True).pvalue)


def test_a_positive_difference_is_better_for_a_loss_too() -> None:
    labels = np.array([0, 1] * 20)
    sure, unsure = np.eye(2)[labels] * 0.8 + 0.1, np.eye(2)[labels] * 0.2 + 0.4
    for metric in ("log_loss", "roc_auc"):
        comparison = compare(metric, sure, unsure, labels, seed=7, resamples=50)
        assert comparison.difference >= 0
        assert (comparison.draws >= 0).all()


def test_the_same_model_differs_on_no_resample() -> None:
    labels = np.array([0, 1] * 20)
    scores = np.random.default_rng(0).dirichlet([1, 1], 40)
    comparison = compare("accuracy", scores, scores, labels, seed=7, resamples=50)
    assert comparison.interval(0.95) == (0.0, 0.0)
    assert comparison.share_below(0.0) == 0


def test_without_draws_there_is_no_interval() -> None:
    assert all(math.isnan(end) for end in percentiles(np.array([]), 0.95))
