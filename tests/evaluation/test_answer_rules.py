"""From probabilities to answers by a bundle's rule: thresholds, texts without an answer, and what is promised of the others."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ftkit.contracts.deciding import Abstain, AnswerRule, Decision, answer_rule
from ftkit.evaluation import answer_rules, decisions, metrics, selective_risk, threshold_tuning
from ftkit.evaluation.selective_risk import Rows, promise

TWO = ("ham", "spam")
SEVERAL = ("late", "rude", "dear")


@pytest.mark.parametrize(
    ("probabilities", "rule", "expected"),
    [
        ([[0.4, 0.6]], None, ["spam"]),
        ([[0.5, 0.5]], None, ["ham"]),
        ([[0.25, 0.75], [0.2, 0.8]], AnswerRule(thresholds={"spam": 0.8}), ["ham", "spam"]),
        ([[0.2, 0.8], [0.19, 0.81]], AnswerRule(thresholds={"ham": 0.2}), ["ham", "spam"]),
        ([[0.0, 1.0], [1.0, 0.0]], AnswerRule(thresholds={"spam": 0.99}), ["spam", "ham"]),
        ([[0.4, 0.6], [0.1, 0.9]], AnswerRule(below=0.7, abstains=True), [None, "spam"]),
        ([[0.3, 0.7]], AnswerRule(thresholds={"spam": 0.8}, below=0.5, abstains=True), [None]),
    ],
)  # fmt: skip
def test_one_of_two_classes_is_answered_by_the_rule(
    probabilities: list[list[float]], rule: AnswerRule | None, expected: list[str | None]
) -> None:
    assert answer_rules.decide(np.array(probabilities), TWO, "single-label", rule).labels == expected


def test_several_labels_have_thresholds_of_their_own_and_an_unsure_row_none() -> None:
    probabilities = np.array([[0.3, 0.6, 0.05], [0.29, 0.95, 0.02], [0.1, 0.1, 0.1]])
    rule = AnswerRule(thresholds={"late": 0.3, "rude": 0.9}, below=0.5, abstains=True)
    decided = answer_rules.decide(probabilities, SEVERAL, "multi-label", rule)
    assert decided.best == [["late"], ["rude"], []]
    assert decided.certainty == pytest.approx([0.3, 0.71, 0.9])
    assert decided.labels == [None, ["rude"], []]
    assert decided.counts == {"rude": 1}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("task", ["single-label", "multi-label"])
def test_moved_probabilities_give_the_answers_of_the_rule_by_the_plain_one(task: str, dtype: type) -> None:
    generator = np.random.default_rng(0)
    for threshold in (0.01, 0.3, 0.5, 0.77, 0.999):
        own = np.concatenate([generator.random(500), np.nextafter(threshold, [0, 1]), [threshold, 0.0, 1.0]])
        own = own.astype(dtype)
        probabilities = np.stack([1 - own, own], axis=1)
        rule = AnswerRule(thresholds={"spam": threshold})
        moved = answer_rules.moved(probabilities, TWO, task, rule)  # type: ignore[arg-type]  # of a parameter
        wanted = own.astype(np.float64) >= threshold
        assert (decisions.answers(moved, task)[:, 1].astype(bool) == wanted).all()  # type: ignore[arg-type]
        assert ((moved >= 0) & (moved <= 1)).all()
        if task == "single-label":
            assert moved.sum(axis=1) == pytest.approx(1)


def test_metrics_of_probabilities_are_those_of_the_model() -> None:
    probabilities = np.array([[0.4, 0.6], [0.1, 0.9]])
    rule = AnswerRule(thresholds={"spam": 0.8})
    for metric in answer_rules.OF_PROBABILITIES:
        assert answer_rules.for_metric(metric, probabilities, TWO, "single-label", rule) is probabilities
    assert metrics.score("accuracy", probabilities, np.array([0, 1])) == 0.5
    moved = answer_rules.for_metric("accuracy", probabilities, TWO, "single-label", rule)
    assert metrics.score("accuracy", moved, np.array([0, 1])) == 1


@pytest.mark.parametrize("metric", ["micro_f1", "macro_f1", "samples_f1", "subset_accuracy"])
def test_thresholds_of_several_labels_are_tuned_by_the_metric(metric: str) -> None:
    generator = np.random.default_rng(1)
    labels = (generator.random((600, 3)) < (0.1, 0.4, 0.01)).astype(np.int64)
    # The model says too little of the first label, and nothing true of the last, which few rows have.
    probabilities = np.clip(labels * (0.3, 0.5, 0.2) + generator.random((600, 3)) * (0.2, 0.5, 0.6), 0, 1)
    thresholds = threshold_tuning.tuned(probabilities, labels, SEVERAL, "multi-label", metric, 30)
    assert "dear" not in thresholds
    assert 0.19 < thresholds["late"] < 0.31
    rule = AnswerRule(thresholds=thresholds)
    moved = answer_rules.moved(probabilities, SEVERAL, "multi-label", rule)
    assert metrics.score(metric, moved, labels) > metrics.score(metric, probabilities, labels) + 0.05


def test_the_threshold_of_two_classes_is_tuned_and_stays_where_rows_are_few() -> None:
    generator = np.random.default_rng(2)
    labels = (generator.random(400) < 0.2).astype(np.int64)
    own = np.clip(0.2 * labels + 0.25 * generator.random(400), 0, 1)
    probabilities = np.stack([1 - own, own], axis=1)
    thresholds = threshold_tuning.tuned(probabilities, labels, TWO, "single-label", "macro_f1", 30)
    assert 0.15 < thresholds["spam"] < 0.3
    assert threshold_tuning.tuned(probabilities, labels, TWO, "single-label", "macro_f1", 200) == {}


def rows(count: int, seed: int, error: float = 0.5) -> Rows:
    """Calibrated answers, whose certainty is even between 1 - error and 1."""
    generator = np.random.default_rng(seed)
    certainty = 1 - error * generator.random(count)
    return Rows(certainty, generator.random(count) < certainty)


def test_a_promise_is_broken_no_more_often_than_its_confidence_says() -> None:
    risk, confidence = 0.1, 0.8
    broken = promised = 0
    for seed in range(100):
        outcome = promise(rows(300, 2 * seed), rows(300, 2 * seed + 1), risk, confidence)
        if outcome.below is not None:
            promised += 1
            broken += (1 - outcome.below) / 2 > risk  # the mean error of what is answered
    assert promised > 50
    assert broken <= 0.2 * 100 + 2 * math.sqrt(100 * 0.2 * 0.8)


def test_what_cannot_be_promised_says_what_could() -> None:
    outcome = promise(rows(100, 1), rows(100, 2), 0.02, 0.95)
    assert outcome.below is None
    assert 0.02 < outcome.least_risk < 0.6
    assert outcome.rows > 100
    hopeless = Rows(np.ones(100), np.zeros(100, dtype=bool))
    assert promise(hopeless, hopeless, 0.02, 0.95).rows == math.inf


@pytest.mark.parametrize(("risk", "confidence", "needed"), [(0.05, 0.9, 45), (0.05, 0.95, 59), (0.1, 0.9, 22)])
def test_so_many_rows_are_needed_even_if_all_answers_are_right(risk: float, confidence: float, needed: int) -> None:
    assert selective_risk.least_rows(risk, confidence) == needed
    for count, possible in ((needed, True), (needed - 1, False)):
        right = Rows(np.full(count, 0.99), np.ones(count, dtype=bool))
        assert (promise(right, right, risk, confidence).below is not None) == possible


@pytest.mark.parametrize(
    "wrong", [{}, {"risk": 0.1, "below": 0.5}, {"risk": 0}, {"risk": 0.1, "confidence": 1}, {"below": 1.5}]
)
def test_abstention_needs_one_way_and_sensible_numbers(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"give one of|must be above 0"):
        Abstain(**wrong)


def test_a_rule_is_the_same_after_the_manifest() -> None:
    rule = AnswerRule(thresholds={"spam": 0.8}, below=0.7, abstains=True, risk=0.1, confidence=0.9, rows=50)
    assert answer_rule(rule.table()) == rule
    assert answer_rule({**rule.table(), "of a newer ftkit": 1}) == rule
    with pytest.raises(ValueError, match="probabilities"):
        answer_rule({"thresholds": {"spam": "high"}})
    assert Decision(thresholds={"spam": 0.8}).given == {"spam": 0.8}
