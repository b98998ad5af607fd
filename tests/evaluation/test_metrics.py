"""Scores on probabilities, against values worked out by hand and scikit-learn's own definitions."""

import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, f1_score, log_loss, matthews_corrcoef, roc_auc_score

from ftkit.contracts.tasks import METRICS_OF
from ftkit.evaluation import metrics

LABELS = np.array([1, 0, 1, 0])
PROBABILITIES = np.array([[0.1, 0.9], [0.6, 0.4], [0.7, 0.3], [0.8, 0.2]])


def test_metrics_of_two_classes_are_as_computed_by_hand():
    scores = metrics.scores(PROBABILITIES, LABELS)
    assert set(scores) == set(METRICS_OF["single-label"])
    assert scores["accuracy"] == 0.75
    # Class 0: precision 2/3, recall 1; class 1: precision 1, recall 1/2.
    assert scores["macro_f1"] == pytest.approx((0.8 + 2 / 3) / 2)
    assert scores["weighted_f1"] == pytest.approx((0.8 + 2 / 3) / 2)
    # Of the four pairs, (0.9, 0.4), (0.9, 0.2) and (0.3, 0.2) are in order.
    assert scores["roc_auc"] == 0.75
    assert scores["mcc"] == pytest.approx((1 * 2 - 0 * 1) / math.sqrt(1 * 2 * 2 * 3))
    assert scores["log_loss"] == pytest.approx(-(math.log(0.9) + math.log(0.6) + math.log(0.3) + math.log(0.8)) / 4)


def reference(metric, probabilities, labels):
    predicted, classes = probabilities.argmax(axis=1), probabilities.shape[1]
    match metric:
        case "accuracy":
            return np.mean(predicted == labels)
        case "macro_f1" | "weighted_f1":
            return f1_score(labels, predicted, average=metric.removesuffix("_f1"), zero_division=0.0)
        case "mcc":
            return matthews_corrcoef(labels, predicted)
        case "log_loss":
            return log_loss(labels, probabilities, labels=range(classes))
        case "quadratic_kappa":
            return cohen_kappa_score(labels, predicted, labels=range(classes), weights="quadratic")
        case "mae":
            return np.mean(abs(labels - predicted))
    single = probabilities[:, 1] if classes == 2 else probabilities
    return roc_auc_score(labels, single, multi_class="ovr", average="weighted", labels=range(classes))


@pytest.mark.parametrize("metric", METRICS_OF["ordinal"])
@pytest.mark.parametrize("classes", [2, 3, 6])
@pytest.mark.parametrize("decimals", [1, 9], ids=["with ties", "without"])
@pytest.mark.parametrize("skill", [0.0, 3.0])
def test_every_metric_equals_that_of_scikit_learn(metric, classes, decimals, skill):
    random = np.random.default_rng(classes)
    labels = np.concatenate([np.arange(classes), random.integers(0, classes, 90)])
    raised = np.exp(random.normal(size=(len(labels), classes)) + skill * np.eye(classes)[labels])
    probabilities = np.round(raised / raised.sum(axis=1, keepdims=True), decimals) + 1e-4
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    assert metrics.score(metric, probabilities, labels) == pytest.approx(reference(metric, probabilities, labels))


@pytest.mark.parametrize("metric", ["macro_f1", "weighted_f1", "mcc"])
def test_a_class_without_predictions_or_rows_counts_as_in_scikit_learn(metric):
    for labels, predicted in (([0, 0, 1, 1], [0, 0, 0, 0]), ([0, 0, 0, 0], [0, 1, 1, 0]), ([0, 1, 0, 1], [2, 2, 2, 2])):
        probabilities = np.eye(3)[predicted]
        expected = reference(metric, probabilities, np.array(labels))
        assert metrics.score(metric, probabilities, np.array(labels)) == pytest.approx(expected)


def test_roc_auc_uses_scores_and_not_hard_labels():
    never_sure = np.column_stack([1 - LABELS * 0.1, LABELS * 0.1])
    assert metrics.score("roc_auc", never_sure, LABELS) == 1.0
    assert metrics.score("accuracy", never_sure, LABELS) == 0.5


def test_roc_auc_beyond_two_classes_is_one_against_the_rest_weighted_by_frequency():
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 200)
    probabilities = random.dirichlet(np.ones(4), 200)
    expected = roc_auc_score(labels, probabilities, multi_class="ovr", average="weighted")
    assert metrics.score("roc_auc", probabilities, labels) == pytest.approx(expected)


def test_roc_auc_leaves_out_a_class_without_rows():
    labels = np.array([0, 1, 0, 1])
    probabilities = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.5, 0.3, 0.2], [0.2, 0.7, 0.1]])
    assert metrics.score("roc_auc", probabilities, labels) == 1.0


def test_rows_of_one_class_have_no_roc_auc():
    assert math.isnan(metrics.score("roc_auc", PROBABILITIES, np.array([1, 1, 1, 1])))


def test_log_loss_of_a_certain_wrong_answer_is_finite():
    assert metrics.score("log_loss", np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([1, 1])) < 100


def test_single_precision_probabilities_score_without_a_warning(recwarn):
    random = np.random.default_rng(0)
    scores = random.normal(size=(500, 3)).astype(np.float32)
    raised = np.exp(scores)
    probabilities = raised / raised.sum(axis=1, keepdims=True)
    metrics.scores(probabilities, random.integers(0, 3, 500))
    assert not [str(warning.message) for warning in recwarn]


def test_better_knows_the_direction_of_a_metric_and_prefers_a_number_to_nan():
    assert metrics.better("accuracy", 0.9, 0.8)
    assert not metrics.better("accuracy", 0.8, 0.8)
    assert metrics.better("log_loss", 0.1, 0.2)
    assert metrics.better("roc_auc", 0.1, math.nan)
    assert not metrics.better("roc_auc", math.nan, 0.1)
    assert not metrics.better("roc_auc", math.nan, math.nan)


def test_an_unknown_metric_is_a_key_error():
    with pytest.raises(KeyError):
        metrics.score("f1", PROBABILITIES, LABELS)


def test_an_interval_contains_the_score_and_depends_on_the_seed_alone():
    random = np.random.default_rng(1)
    labels = random.integers(0, 2, 300)
    right = np.where(random.random(300) < 0.8, labels, 1 - labels)
    probabilities = np.eye(2)[right] * 0.8 + 0.1
    low, high = metrics.interval("accuracy", probabilities, labels, seed=3, resamples=200)
    assert low < metrics.score("accuracy", probabilities, labels) < high
    # The normal approximation: 1.96 * sqrt(0.8 * 0.2 / 300) = 0.045 to each side.
    assert 0.06 < high - low < 0.12
    assert (low, high) == metrics.interval("accuracy", probabilities, labels, seed=3, resamples=200)
    assert (low, high) != metrics.interval("accuracy", probabilities, labels, seed=4, resamples=200)
