"""A candidate must be better than a linear model of its own training rows, and the sentence says which of the two is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import ftkit_linear
import numpy as np
import pytest
from ftkit_linear.backbone import Linear
from ftkit_linear.baseline import BeatsBaseline

from ftkit import plugins
from ftkit.contracts import Contender, Data, DataReport, Split
from ftkit.testing.backbones import separable
from ftkit.testing.promotion_tests import Fixed, PromotionTestSuite

REPORT = DataReport("made up", 0, {}, {}, {}, "ab" * 32)
CLASSES = ("one", "two", "three")


class TestBeatsBaseline(PromotionTestSuite):
    @pytest.fixture
    def component(self):
        return BeatsBaseline(resamples=200)


def data(doubtful: float, rows: int = 240) -> Data:
    """Rows that n-grams tell apart, but for a share of the test rows, which have the words of another class."""
    train, test = separable(120, 1), separable(rows, 2)
    wrong = np.arange(rows) < doubtful * rows
    labels = [(label + 1) % 3 if other else label for label, other in zip(test.labels, wrong, strict=True)]
    return Data(CLASSES, train, Split((), ()), Split(test.texts, labels), REPORT)


def candidate(of: Data, share: float, metric: str = "accuracy") -> Contender:
    """A contender that is right about this share of the test rows: about the last ones, which n-grams tell apart."""
    rows = len(of.test)
    labels = np.asarray(of.test.labels)
    answers = np.where(np.arange(rows) >= (1 - share) * rows, labels, (labels + 2) % 3)
    return Contender("the candidate", Path(), Fixed(CLASSES, 0.8), np.eye(3)[answers] * 0.7 + 0.1, of, metric, seed=7)


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
def test_a_candidate_that_is_right_where_n_grams_fail_passes(metric):
    verdict = BeatsBaseline().check(candidate(data(0.2), 1.0, metric), None)
    assert verdict.status == "passed"
    assert verdict.sentence.startswith("better than a linear model on word and character n-grams: ")
    assert verdict.numbers["value"] == 1
    assert verdict.numbers["baseline"] == pytest.approx(0.8, abs=0.03)
    assert verdict.numbers["low"] > 0.1
    assert verdict.figure is not None


def test_a_candidate_that_loses_is_told_so_plainly():
    verdict = BeatsBaseline().check(candidate(data(0.0), 0.89), None)
    assert verdict.status == "failed"
    assert verdict.sentence.startswith(
        "a linear model on word and character n-grams is as good or better: accuracy 0.8"
    )
    assert 'use = "linear"' in verdict.sentence
    assert verdict.numbers["difference"] < -0.05


def test_where_it_is_not_required_the_sentence_says_the_same():
    required, told = (BeatsBaseline(required=each).check(candidate(data(0.0), 0.89), None) for each in (True, False))
    assert (required.status, told.status) == ("failed", "passed")
    assert told.sentence == required.sentence


def test_a_gain_that_these_rows_cannot_show_fails_with_the_reason():
    verdict = BeatsBaseline().check(candidate(data(0.1, rows=60), 0.95), None)
    assert verdict.status == "failed"
    assert verdict.numbers["difference"] > 0 > verdict.numbers["low"]
    assert verdict.sentence.startswith("not shown to be better than a linear model")


def test_a_margin_below_zero_asks_that_it_is_no_worse():
    of = data(0.0)
    good = replace(
        candidate(of, 1.0), probabilities=Linear(C=20.0).fit(of, 0, lambda *_: True).probabilities(of.test.texts)
    )
    assert BeatsBaseline().check(good, None).status == "failed"
    verdict = BeatsBaseline(margin=-0.05).check(good, None)
    assert verdict.status == "passed"
    assert BeatsBaseline(margin=-0.05).check(candidate(of, 0.89), None).status == "failed"


def test_a_margin_above_zero_asks_for_more_than_that():
    assert BeatsBaseline(margin=0.05).check(candidate(data(0.2), 1.0), None).status == "passed"
    assert BeatsBaseline(margin=0.3).check(candidate(data(0.2), 1.0), None).status == "failed"


def test_a_linear_candidate_has_nothing_to_beat():
    of = data(0.0)
    model = Linear().fit(of, 0, lambda *_: True)
    verdict = BeatsBaseline().check(replace(candidate(of, 1.0), classifier=model), None)
    assert verdict.status == "not applicable"


def test_without_training_rows_it_does_not_apply():
    of = replace(data(0.0), train=Split((), ()))
    assert BeatsBaseline().check(candidate(of, 1.0), None).status == "not applicable"


def test_the_baseline_of_many_rows_says_how_many_it_was_fitted_on():
    verdict = BeatsBaseline(max_rows=100).check(candidate(data(0.2), 1.0), None)
    assert "about 100 of the 120 training rows" in verdict.sentence
    assert verdict.numbers["training_rows"] == 100


def test_several_labels_are_compared_by_their_own_metrics():
    of = data(0.0)
    own = [Split(split.texts, [(label,) if label else () for label in split.labels]) for split in (of.train, of.test)]
    of = replace(of, train=own[0], test=own[1], task="multi-label")
    right = np.array([[0.9 if index in label else 0.1 for index in range(3)] for label in of.test.labels])
    contender = replace(candidate(data(0.0), 1.0, "micro_f1"), data=of, probabilities=1 - right)
    verdict = BeatsBaseline().check(contender, None)
    assert verdict.status == "failed"
    assert verdict.numbers["baseline"] > 0.95


def test_it_is_offered():
    assert plugins.collect([], {"linear": ftkit_linear}).names("promotion_tests") == ["beats-baseline"]
