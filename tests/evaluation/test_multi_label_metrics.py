"""Metrics of rows with several labels: scikit-learn's definitions, resampled and compared as those of one label."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, log_loss

from ftkit.contracts.tasks import METRICS_OF
from ftkit.evaluation import metrics
from ftkit.evaluation.decisions import answers, targets
from ftkit.evaluation.paired_comparison import compare

MULTI_LABEL = METRICS_OF["multi-label"]


def rows(count: int, classes: int, skill: float, decimals: int = 9) -> tuple[np.ndarray, np.ndarray]:
    """Labels, about one in three, and probabilities that know them as far as `skill` goes."""
    random = np.random.default_rng(classes)
    labels = (random.random((count, classes)) < 0.35).astype(np.int64)
    logits = random.normal(size=labels.shape) + skill * (2 * labels - 1)
    return np.round(np.clip(1 / (1 + np.exp(-logits)), 0.01, 0.99), decimals), labels


def reference(metric: str, probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The metric by scikit-learn."""
    predicted = answers(probabilities, "multi-label")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if metric.endswith("_f1"):
            average = metric.removesuffix("_f1")
            undefined = {"micro": 0.0, "macro": math.nan, "samples": 1.0}[average]
            return float(f1_score(labels, predicted, average=average, zero_division=undefined))
        if metric == "map":
            with_rows = labels.any(axis=0)
            return float(average_precision_score(labels[:, with_rows], probabilities[:, with_rows], average="macro"))
        if metric == "subset_accuracy":
            return float(accuracy_score(labels, predicted))
        columns = range(labels.shape[1])
        return float(np.mean([log_loss(labels[:, each], probabilities[:, each], labels=[0, 1]) for each in columns]))


@pytest.mark.parametrize("metric", MULTI_LABEL)
@pytest.mark.parametrize("classes", [2, 6])
@pytest.mark.parametrize("decimals", [1, 9], ids=["with ties", "without"])
@pytest.mark.parametrize("skill", [0.0, 1.5])
def test_every_metric_of_several_labels_equals_that_of_scikit_learn(
    metric: str, classes: int, decimals: int, skill: float
) -> None:
    probabilities, labels = rows(80, classes, skill, decimals)
    labels[:, 0] = 0  # a label without rows
    assert metrics.score(metric, probabilities, labels) == pytest.approx(reference(metric, probabilities, labels))


@pytest.mark.parametrize("metric", MULTI_LABEL)
def test_weights_that_are_counts_score_as_rows_of_several_labels_repeated(metric: str) -> None:
    probabilities, labels = rows(30, 4, 0.5, 1)
    counts = np.random.default_rng(0).multinomial(30, np.full(30, 1 / 30), 20)
    repeated = [np.repeat(np.arange(30), each) for each in counts]
    expected = [metrics.score(metric, probabilities[each], labels[each]) for each in repeated]
    measured = metrics.measure(metric, probabilities, labels)(counts.astype(float))
    assert measured == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("metric", MULTI_LABEL)
@pytest.mark.parametrize("skill", [0.5, 50.0], ids=["some right", "all right"])
def test_an_interval_over_rows_of_several_labels_has_a_width_and_holds_the_value(metric: str, skill: float) -> None:
    probabilities, labels = rows(40, 4, skill)
    low, high = metrics.interval(metric, probabilities, labels, resamples=200)
    assert low <= metrics.score(metric, probabilities, labels) <= high
    assert 0.005 < high - low < 0.6


def test_rows_without_any_label_have_no_average_precision_and_are_right_without_an_answer() -> None:
    probabilities, labels = np.full((5, 3), 0.2), np.zeros((5, 3), dtype=np.int64)
    scores = metrics.scores(probabilities, labels, "multi-label")
    assert math.isnan(scores["map"])
    assert math.isnan(scores["macro_f1"])
    assert scores["subset_accuracy"] == scores["samples_f1"] == 1
    assert scores["micro_f1"] == 0


@pytest.mark.parametrize("metric", MULTI_LABEL)
def test_a_better_model_of_several_labels_leads_and_the_same_one_does_not(metric: str) -> None:
    (good, labels), (bad, _) = rows(200, 4, 2.0), rows(200, 4, 0.3)
    low, high = compare(metric, good, bad, labels, seed=1, resamples=200).interval(0.95)
    assert 0 < low < high
    same = compare(metric, good, good + 1e-9, labels, seed=1, resamples=200)
    assert same.identical
    assert same.interval(0.95) == (0.0, 0.0)


def test_labels_that_only_one_of_two_models_knows_are_left_out_of_their_comparison() -> None:
    probabilities, labels = rows(100, 3, 1.0)
    lacking = probabilities.copy()
    lacking[:, 2] = 0.0
    compared = compare("subset_accuracy", probabilities, lacking, labels, seed=1, resamples=200, classes=(0, 1))
    assert compared.identical
    assert compared.gained == compared.lost == 0


def test_targets_are_indices_or_a_table_of_labels() -> None:
    assert targets([1, 0], 3, "ordinal").tolist() == [1, 0]
    assert targets([(0, 2), (), (1,)], 3, "multi-label").tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    assert targets([], 3, "multi-label").shape == (0, 3)


def test_answers_are_the_most_probable_class_or_every_label_from_the_threshold_on() -> None:
    probabilities = np.array([[0.5, 0.4, 0.9], [0.1, 0.2, 0.3]])
    assert answers(probabilities, "multi-label").tolist() == [[1, 0, 1], [0, 0, 0]]
    assert answers(probabilities, "ordinal").tolist() == [[0, 0, 1], [0, 0, 1]]
