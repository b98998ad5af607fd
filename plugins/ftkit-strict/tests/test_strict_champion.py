"""The comparison with the champion: decided by the lower end of the interval, on the same rows, reproducibly."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ftkit_strict.champion import NoWorseThanChampion

from ftkit.contracts.tasks import METRICS_OF
from ftkit.evaluation.paired_comparison import tango


def answers(wrong: set[int], rows: int) -> Any:
    """Probabilities of class 1 for rows that are all of class row % 2, some of them answered wrongly."""
    return [0.9 if (row % 2 == 1) != (row in wrong) else 0.1 for row in range(rows)]


def pair(
    bench: Any, wrong: set[int], champion_wrong: set[int], rows: int = 400, metric: str = "accuracy"
) -> tuple[Any, Any]:
    labels = [row % 2 for row in range(rows)]
    one = bench.scored(answers(wrong, rows), labels, metric)
    return one, bench.scored(answers(champion_wrong, rows), labels, metric, title="champion version 1")


def test_the_same_answers_are_no_worse_and_not_better(bench: Any) -> None:
    one, other = pair(bench, set(range(40)), set(range(40)))
    assert NoWorseThanChampion().check(one, other).status == "passed"
    assert NoWorseThanChampion(margin=0.0).check(one, other).status == "passed"
    verdict = NoWorseThanChampion(mode="superior").check(one, other)
    assert verdict.status == "failed"
    assert verdict.numbers["difference"] == verdict.numbers["low"] == verdict.numbers["high"] == 0


def test_a_clearly_worse_candidate_fails_and_a_clearly_better_one_is_superior(bench: Any) -> None:
    worse, better = pair(bench, set(range(80)), set(range(20)))
    assert NoWorseThanChampion().check(worse, better).status == "failed"
    verdict = NoWorseThanChampion(mode="superior", margin=0.05).check(better, worse)
    assert verdict.status == "passed"
    assert verdict.numbers["difference"] == pytest.approx(0.15)
    assert verdict.figure is not None


def test_a_slightly_better_value_on_few_rows_is_not_shown_to_be_better(bench: Any) -> None:
    one, other = pair(bench, {0, 1, 2}, {3, 4, 5, 6}, rows=40)
    verdict = NoWorseThanChampion(mode="superior").check(one, other)
    assert verdict.numbers["difference"] > 0
    assert verdict.status == "failed"
    assert "not shown to be better" in verdict.sentence


@pytest.mark.parametrize(
    ("gained", "lost", "rows", "bound"),
    [
        (0, 0, 100, -0.02),
        (3, 5, 100, -0.02),
        (10, 4, 200, 0.02),
        (0, 7, 50, -0.1),
        (30, 2, 100, 0.05),
        (1, 0, 183, -0.02),
    ],
)
def test_tangos_test_is_the_score_test_at_the_most_likely_shares(
    gained: int, lost: int, rows: int, bound: float
) -> None:
    from scipy.optimize import minimize_scalar
    from scipy.stats import norm

    def negative_log_likelihood(share: float) -> float:
        counted = ((gained, share + bound), (lost, share), (rows - gained - lost, 1 - 2 * share - bound))
        return -sum(number * math.log(each) for number, each in counted if number)

    ends = max(0.0, -bound) + 1e-12, (1 - bound) / 2 - 1e-12
    share = minimize_scalar(negative_log_likelihood, bounds=ends, method="bounded", options={"xatol": 1e-13}).x
    spread = math.sqrt((2 * share + bound - bound**2) / rows)
    assert tango(gained, lost, rows, bound) == pytest.approx(
        norm.sf(((gained - lost) / rows - bound) / spread), rel=1e-5
    )


@pytest.mark.parametrize("metric", METRICS_OF["single-label"])
def test_few_rows_that_are_answered_alike_show_nothing(bench: Any, metric: str) -> None:
    """A candidate that errs on one row of fifty more than the champion shows no such row in a hundred in 13 % of all draws."""
    enough = {"roc_auc": 260, "mcc": 400}.get(metric, 200)
    for rows, status, words in (
        (30, "failed", "not shown to be no worse"),
        (enough, "passed", "; shown to be no worse"),
    ):
        one, other = pair(bench, set(), set(), rows, metric)
        other = replace(other, probabilities=0.99 * other.probabilities + 0.005)
        verdict = NoWorseThanChampion().check(one, other)
        assert verdict.status == status, verdict.sentence
        assert words in verdict.sentence
        assert verdict.numbers["low"] < 0
        assert verdict.numbers["difference"] >= 0


@pytest.mark.parametrize("metric", METRICS_OF["single-label"])
def test_the_very_same_model_is_no_worse_however_few_the_rows(bench: Any, metric: str) -> None:
    one, other = pair(bench, {3}, {3}, 20, metric)
    verdict = NoWorseThanChampion().check(one, other)
    assert verdict.status == "passed"
    assert "the same probabilities for every row" in verdict.sentence
    assert NoWorseThanChampion(mode="superior").check(one, other).status == "failed"


def test_accuracy_comes_with_mcnemars_test_and_other_metrics_without(bench: Any) -> None:
    one, other = pair(bench, {0}, set(range(1, 10)))
    verdict = NoWorseThanChampion().check(one, other)
    assert (verdict.numbers["gained"], verdict.numbers["lost"]) == (9, 1)
    assert verdict.numbers["mcnemar_p"] == pytest.approx(22 / 1024)
    assert "mcnemar_p" not in NoWorseThanChampion(metric="macro_f1").check(one, other).numbers


def test_the_interval_is_the_one_of_scipys_paired_bootstrap(bench: Any) -> None:
    from scipy.stats import bootstrap

    random = np.random.default_rng(3)
    wrong, champion_wrong = (set(random.choice(400, size, replace=False).tolist()) for size in (50, 60))
    one, other = pair(bench, wrong, champion_wrong)
    verdict = NoWorseThanChampion(resamples=9999).check(one, other)
    hits = [np.array([row not in errors for row in range(400)], dtype=float) for errors in (wrong, champion_wrong)]
    reference = bootstrap(
        hits,
        lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis),
        paired=True,
        n_resamples=9999,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert verdict.numbers["low"] == pytest.approx(reference.low, abs=0.004)
    assert verdict.numbers["high"] == pytest.approx(reference.high, abs=0.004)


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "mcc"])
@pytest.mark.parametrize(("rows", "errors"), [(100, "alike"), (200, "nested")])
def test_a_candidate_that_is_worse_by_the_margin_is_seldom_passed(
    bench: Any, rows: int, errors: str, metric: str
) -> None:
    """One of forty is what an interval of 95 % promises; 18 or more of 400 would be a sign of more (1 % of chance)."""
    random = np.random.default_rng(11)
    margin = {"mcc": 0.04}.get(metric, 0.02)  # of balanced classes: MCC is twice the accuracy, less 1
    test = Quick(resamples=400, metric=metric, margin=margin)
    passed = 0
    for seed in range(400):
        labels = random.integers(0, 2, rows)
        champion_right = random.random(rows) < 0.9
        if errors == "nested":
            right = champion_right & (random.random(rows) >= 0.02 / 0.9)
        else:
            right = np.where(random.random(rows) < 0.8, champion_right, random.random(rows) < 0.8)
        one, other = (np.eye(2)[np.where(each, labels, 1 - labels)] for each in (right, champion_right))
        pair = [bench.scored(scores, labels.tolist(), seed=seed) for scores in (one, other * 0.8 + 0.1)]
        passed += test.check(*pair).status == "passed"
    assert passed < 18


class Quick(NoWorseThanChampion):
    """The test without its chart, which takes most of the time."""

    def _chart(self, *_: Any) -> str:
        return ""


def test_a_lower_log_loss_is_better(bench: Any) -> None:
    labels = [0, 1] * 100
    sure = bench.scored([0.1, 0.9] * 100, labels, "log_loss")
    unsure = bench.scored([0.4, 0.6] * 100, labels, "log_loss", title="champion version 1")
    assert NoWorseThanChampion(mode="superior").check(sure, unsure).status == "passed"
    assert NoWorseThanChampion().check(unsure, sure).status == "failed"


def test_the_runs_seed_decides_the_resamples(bench: Any) -> None:
    one, other = pair(bench, set(range(30)), set(range(20, 60)))
    first = NoWorseThanChampion().check(one, other)
    assert NoWorseThanChampion().check(one, other) == first
    assert NoWorseThanChampion().check(replace(one, seed=8), other).numbers != first.numbers


def test_without_a_champion_it_does_not_apply(bench: Any) -> None:
    verdict = NoWorseThanChampion().check(pair(bench, set(), set())[0], None)
    assert (verdict.status, verdict.sentence) == ("not applicable", "there is no champion yet")


def test_a_champion_with_a_class_that_goes_is_never_replaced_silently(bench: Any) -> None:
    one, other = pair(bench, set(), set())
    other.classifier.classes = ("bad", "positive", "negative")
    verdict = NoWorseThanChampion().check(one, other)
    assert verdict.status == "failed"
    assert "champion version 1 has the class 'bad', which the candidate lacks" in verdict.sentence
    assert "callers may rely on it" in verdict.sentence


def test_a_candidate_with_nan_fails_and_a_champion_with_nan_loses(bench: Any) -> None:
    one, other = pair(bench, set(), set())
    broken = replace(one, probabilities=np.where(np.arange(400)[:, None] == 3, math.nan, one.probabilities))
    assert NoWorseThanChampion().check(broken, other).status == "failed"
    assert NoWorseThanChampion().check(other, replace(broken, title="champion version 1")).status == "passed"


@pytest.mark.parametrize("metric", ["accuracy", "roc_auc", "log_loss"])
def test_one_row_shows_nothing(bench: Any, metric: str) -> None:
    one, other = pair(bench, set(), {0}, rows=1, metric=metric)
    assert NoWorseThanChampion().check(one, other).status == "failed"


def test_no_rows_show_nothing(bench: Any) -> None:
    one, other = (bench.scored(np.zeros((0, 2)), []) for _ in range(2))
    assert NoWorseThanChampion().check(one, other).status == "failed"


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"margin": -0.1}, "margin"),
        ({"margin": math.nan}, "margin"),
        ({"level": 95.0}, "level"),
        ({"resamples": 10}, "resamples"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        NoWorseThanChampion(**options)
