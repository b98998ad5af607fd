"""The promotion tests of the core: which candidates pass, and what the verdict says."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from ftkit import plugins
from ftkit.contracts import Contender, PromotionTest, Split
from ftkit.evaluation import metrics
from ftkit.evaluation.promotion_tests import BeatsChampion, BeatsMajority, MetricFloor
from ftkit.testing.promotion_tests import Fixed, PromotionTestSuite, make_contender, make_data


class TestMetricFloor(PromotionTestSuite):
    @pytest.fixture
    def component(self) -> PromotionTest:
        return MetricFloor(floor=0.5)


class TestBeatsMajority(PromotionTestSuite):
    @pytest.fixture
    def component(self) -> PromotionTest:
        return BeatsMajority()


class TestBeatsChampion(PromotionTestSuite):
    @pytest.fixture
    def component(self) -> PromotionTest:
        return BeatsChampion(margin=0.01)


def contender(right: int, rows: int = 20, title: str = "the candidate", metric: str = "accuracy") -> Contender:
    """A contender that is right about exactly this many of the test rows."""
    template = make_contender(make_data(rows), title, metric=metric)
    labels = list(template.data.test.labels)
    answers = [label if row < right else (label + 1) % 3 for row, label in enumerate(labels)]
    return replace(template, probabilities=np.eye(3)[answers] * 0.7 + 0.1)


def test_the_core_offers_its_tests_by_the_hook_that_plugins_use():
    assert {"metric-floor", "beats-majority", "beats-champion"} <= set(plugins.load().names("promotion_tests"))


@pytest.mark.parametrize(("right", "status"), [(17, "passed"), (16, "passed"), (15, "failed")])
def test_a_value_equal_to_the_floor_meets_it(right, status):
    verdict = MetricFloor(floor=0.8).check(contender(right), None)
    assert verdict.status == status
    assert verdict.numbers["value"] == right / 20
    assert verdict.numbers["low"] <= right / 20 <= verdict.numbers["high"]


def test_the_floor_verdict_names_value_interval_and_floor():
    verdict = MetricFloor(floor=0.95).check(contender(16), None)
    low, high = metrics.interval("accuracy", contender(16).probabilities, np.array(make_data(20).test.labels), seed=7)
    assert verdict.sentence == f"accuracy 0.8000 (95 % interval {low:.4f} to {high:.4f}) is below the floor of 0.9500"


def test_the_floor_of_log_loss_is_a_ceiling():
    good = contender(20, metric="log_loss")
    value = metrics.score("log_loss", good.probabilities, np.array(good.data.test.labels))
    assert MetricFloor(floor=value + 0.01).check(good, None).status == "passed"
    verdict = MetricFloor(floor=value - 0.01).check(good, None)
    assert verdict.status == "failed"
    assert "is above the ceiling of" in verdict.sentence


def test_a_test_may_judge_by_another_metric_than_the_recipe():
    verdict = MetricFloor(floor=0.1, metric="mcc").check(contender(16, metric="accuracy"), None)
    assert verdict.sentence.startswith("MCC ")


def test_a_metric_that_is_not_defined_fails_with_the_reason():
    two_classes = contender(10, metric="roc_auc")
    data = replace(two_classes.data, test=Split(["a", "b"], [0, 0]))
    one_class = replace(two_classes, data=data, probabilities=two_classes.probabilities[:2])
    for test in (MetricFloor(floor=0.5), BeatsMajority(), BeatsChampion()):
        verdict = test.check(one_class, one_class)
        assert verdict.status == "failed"
        assert verdict.sentence == "ROC AUC is not defined here: the test split has rows of one class only"
    data = replace(two_classes.data, test=Split((), ()))
    empty = replace(two_classes, data=data, probabilities=two_classes.probabilities[:0])
    assert "the test split has no rows" in MetricFloor(floor=0.5).check(empty, None).sentence


def test_probabilities_that_are_not_numbers_fail():
    broken = replace(contender(20), probabilities=np.full((20, 3), np.nan))
    assert BeatsChampion().check(broken, contender(0, title="champion version 1")).status == "failed"
    assert MetricFloor(floor=0.0, metric="log_loss").check(broken, None).status == "failed"
    sentence = BeatsMajority().check(broken, None).sentence
    assert sentence.endswith("the candidate gave probabilities that are not finite numbers")


def test_the_majority_is_the_most_frequent_class_of_the_training_split():
    data = make_data(20)
    labels = np.array(data.test.labels)
    always = np.tile([0.9, 0.05, 0.05], (20, 1))
    shares = replace(make_contender(data, metric="accuracy"), probabilities=always)
    verdict = BeatsMajority().check(shares, None)
    assert verdict.numbers["baseline"] == (labels == 0).mean()
    assert verdict.status == "failed"
    assert verdict.sentence.endswith("of always answering 'bad': equal, which is not better")
    assert BeatsMajority().check(contender(20), None).status == "passed"


@pytest.mark.parametrize(("metric", "baseline"), [("roc_auc", 0.5), ("mcc", 0.0)])
def test_the_baseline_of_a_rank_or_correlation_metric_is_chance(metric, baseline):
    assert BeatsMajority().check(contender(18, metric=metric), None).numbers["baseline"] == pytest.approx(baseline)


def test_log_loss_is_compared_with_the_entropy_of_the_class_shares():
    candidate = contender(18, metric="log_loss")
    shares = np.bincount(candidate.data.train.labels) / len(candidate.data.train)
    verdict = BeatsMajority().check(candidate, None)
    assert verdict.numbers["baseline"] == pytest.approx(-(shares * np.log(shares)).sum())
    assert verdict.numbers["difference"] == pytest.approx(verdict.numbers["baseline"] - verdict.numbers["value"])


def test_class_shares_come_from_the_report_where_the_training_rows_are_closed():
    candidate = contender(18)
    closed = replace(candidate, data=replace(candidate.data, train=Split((), ())))
    assert BeatsMajority().check(closed, None) == BeatsMajority().check(candidate, None)


def test_without_any_class_counts_there_is_no_majority():
    data = replace(contender(18).data, train=Split((), ()))
    closed = replace(contender(18), data=replace(data, report=replace(data.report, counts={})))
    verdict = BeatsMajority().check(closed, None)
    assert (verdict.status, verdict.sentence) == ("failed", "the class counts of the training split are not known")


def test_without_a_champion_there_is_nothing_to_beat():
    verdict = BeatsChampion().check(contender(3), None)
    assert (verdict.status, verdict.sentence) == ("not applicable", "there is no champion yet")


@pytest.mark.parametrize(("right", "status"), [(15, "failed"), (16, "failed"), (17, "passed")])
def test_an_equal_score_does_not_beat_the_champion(right, status):
    verdict = BeatsChampion().check(contender(right), contender(16, title="champion version 3"))
    assert verdict.status == status
    low, high = verdict.numbers["low"], verdict.numbers["high"]
    assert verdict.numbers == {
        "value": right / 20,
        "champion": 0.8,
        "difference": right / 20 - 0.8,
        "margin": 0.0,
        "low": low,
        "high": high,
    }
    assert low <= right / 20 - 0.8 <= high


def test_the_champion_verdict_names_both_values_and_the_difference():
    verdict = BeatsChampion(margin=0.02).check(contender(17), contender(16, title="champion version 3"))
    assert verdict.sentence == (
        "accuracy 0.8500 against 0.8000 of champion version 3 on the same 20 rows: 0.0500 better, "
        "more than the margin of 0.0200 (95 % interval -0.1192 to +0.2361)"
    )


@pytest.mark.parametrize(
    ("right", "margin", "status"), [(18, 0.1, "failed"), (19, 0.1, "passed"), (18, 0.09, "passed")]
)
def test_the_margin_itself_is_not_enough(right, margin, status):
    # 0.9 - 0.8 differs from 0.1 in its last bit.
    assert BeatsChampion(margin=margin).check(contender(right), contender(16)).status == status


def test_a_lower_log_loss_is_better():
    better, worse = contender(20, metric="log_loss"), contender(15, metric="log_loss")
    assert BeatsChampion().check(better, worse).status == "passed"
    assert BeatsChampion().check(worse, better).status == "failed"
    assert "worse" in BeatsChampion().check(worse, better).sentence


def test_a_champion_with_a_class_that_goes_is_never_replaced_silently():
    candidate = contender(20)
    other = replace(contender(0, title="champion version 2"), classifier=Fixed(("no", "yes"), 0.6))
    verdict = BeatsChampion().check(candidate, other)
    assert verdict.status == "failed"
    assert verdict.sentence.startswith("champion version 2 has the classes 'no', 'yes', which the candidate lacks")
    assert "labels of [dataset]" in verdict.sentence
    same = replace(other, classifier=Fixed(("good", "bad", "fair"), 0.6))
    assert BeatsChampion().check(candidate, same).status == "passed"


def test_a_small_difference_is_not_rounded_to_zero():
    rows = 40_000
    better, champion = contender(rows, rows), contender(rows - 1, rows)
    assert "2.5e-05 better" in BeatsChampion().check(better, champion).sentence


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: MetricFloor(floor=math.nan), "finite"),
        (lambda: MetricFloor(floor=95, metric="accuracy"), "lies from 0 to 1"),
        (lambda: MetricFloor(floor=-0.1, metric="log_loss"), "lies from 0"),
        (lambda: BeatsChampion(margin=-0.1), "at least 0"),
        (lambda: BeatsMajority(margin=math.inf), "at least 0"),
    ],
)
def test_options_that_make_no_sense_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
