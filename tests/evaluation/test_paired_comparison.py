"""Two models on the same rows: what is significant, and how the difference is resampled."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ftkit.contracts.tasks import METRICS_OF
from ftkit.evaluation.paired_comparison import compare, mcnemar, tango, tango_interval


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
    comparison = compare("log_loss", sure, unsure, labels, seed=7, resamples=50)
    assert comparison.difference > 0
    assert comparison.favourable.mean() > comparison.against.mean()
    low, high = comparison.interval(0.95)
    assert low < comparison.difference < high


def test_the_same_model_differs_on_no_resample() -> None:
    labels = np.array([0, 1] * 20)
    scores = np.random.default_rng(0).dirichlet([1, 1], 40)
    for metric in METRICS_OF["ordinal"]:
        comparison = compare(metric, scores, scores + 1e-9, labels, seed=7, resamples=50)
        assert comparison.interval(0.95) == (0.0, 0.0)
        assert comparison.share_better() == 0


@pytest.mark.parametrize("metric", METRICS_OF["ordinal"])
def test_models_that_answer_all_rows_alike_may_still_differ(metric: str) -> None:
    for rows, widest in ((30, 0.5), (300, 0.06)):
        labels = np.arange(rows) % 2
        champion = np.eye(2)[labels] * 0.8 + 0.1
        low, high = compare(metric, champion * 0.99 + 0.005, champion, labels, seed=7, resamples=1000).interval(0.95)
        assert low < 0 < high
        assert 0.005 < high - low < widest


def test_where_a_metric_is_not_defined_there_is_no_interval() -> None:
    one_class = np.zeros(5, dtype=int)
    scores = np.random.default_rng(0).dirichlet([1, 1], 10)
    comparison = compare("roc_auc", scores[:5], scores[5:], one_class, seed=7, resamples=50)
    assert all(math.isnan(end) for end in (*comparison.interval(0.95), *comparison.own))


@pytest.mark.parametrize(
    ("gained", "lost", "rows"), [(0, 0, 30), (3, 5, 100), (10, 4, 200), (29, 1, 30), (1, 0, 1), (0, 40, 41)]
)
def test_tangos_interval_holds_what_tangos_test_does_not_reject(gained: int, lost: int, rows: int) -> None:
    low, high = tango_interval(gained, lost, rows, 0.9)
    assert -1 <= low < (gained - lost) / rows <= high <= 1
    assert tango(gained, lost, rows, low) == pytest.approx(0.05, abs=1e-6)
    if gained < rows:
        assert tango(lost, gained, rows, -high) == pytest.approx(0.05, abs=1e-6)


def test_where_all_rows_are_lost_the_interval_ends_there() -> None:
    assert tango_interval(0, 30, 30, 0.95)[0] == -1
    assert tango_interval(30, 0, 30, 0.95)[1] == 1
