"""Classes that the champion does not know yet, and classes of which the test split has no row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ftkit_strict.agreement import Agreement
from ftkit_strict.calibration import Calibration
from ftkit_strict.champion import NoWorseThanChampion
from ftkit_strict.degenerate import NotDegenerate
from ftkit_strict.label_noise import LabelNoise
from ftkit_strict.slices import Slices

from ftkit.contracts import Contender, Verdict
from ftkit.contracts.tasks import METRICS_OF
from ftkit.evaluation import metrics
from ftkit.evaluation.contenders import align_classes
from ftkit.evaluation.promotion_tests import BeatsChampion, BeatsMajority, MetricFloor

CLASSES = ("billing", "jobs", "returns", "shipping")
NEW = 1


def contenders(
    bench: Any,
    wrong: set[int] = frozenset(),
    rows: int = 1200,
    metric: str = "accuracy",  # type: ignore[assignment]
) -> tuple[Contender, Contender]:
    """A candidate that errs on some rows, and a champion that does not know the class `jobs` and errs on every tenth row."""
    bench.classes = CLASSES
    random = np.random.default_rng(3)
    labels = np.arange(rows) % 4
    noise = random.dirichlet(np.ones(4), rows) * 0.1
    answers = np.where([row in wrong for row in range(rows)], NEW, labels)
    own = np.eye(4)[answers] * 0.9 + noise
    known = [index for index in range(4) if index != NEW]
    other_answers = np.where(np.arange(rows) % 10 == 0, (labels + 2) % 4, labels)
    other_answers = np.where(other_answers == NEW, 0, other_answers)
    other = (np.eye(4)[other_answers] * 0.7 + noise + 0.05)[:, known]
    other /= other.sum(axis=1, keepdims=True)
    names = tuple(CLASSES[index] for index in known)
    candidate = bench.scored(own, labels.tolist(), metric)
    champion = bench.scored(align_classes(other, names, CLASSES), labels.tolist(), metric, title="champion version 1")
    champion.classifier.classes = names
    return candidate, champion


@pytest.mark.parametrize("metric", METRICS_OF["single-label"])
@pytest.mark.parametrize("test", [NoWorseThanChampion(), BeatsChampion(), Slices()], ids=lambda each: each.name)
def test_a_better_candidate_with_a_new_class_passes_and_says_what_was_compared(
    bench: Any, metric: str, test: Any
) -> None:
    verdict: Verdict = test.check(*contenders(bench, metric=metric))
    assert verdict.status == "passed", verdict.sentence
    assert "without 300 rows of the class 'jobs', new since champion version 1" in verdict.sentence


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "weighted_f1", "mcc"])
def test_answering_the_new_class_is_wrong_where_both_know_the_class(bench: Any, metric: str) -> None:
    """And no more than wrong: macro F1 does not count the new class as one without any right answer."""
    few, many = {row for row in range(0, 1200, 100) if row % 4 != NEW}, {row for row in range(1200) if row % 3}
    assert NoWorseThanChampion().check(*contenders(bench, few, metric=metric)).status == "passed"
    verdict = NoWorseThanChampion().check(*contenders(bench, many, metric=metric))
    assert verdict.status == "failed"
    assert verdict.numbers["difference"] < -0.1


def test_agreement_names_rows_by_their_place_in_the_whole_test_split(bench: Any) -> None:
    candidate, champion = contenders(bench, {1000})
    verdict = Agreement().check(candidate, champion)
    differing = {int(value) for name, value in verdict.numbers.items() if name.startswith("differs ")}
    assert differing <= {row + 1 for row in range(1200) if row % 10 == 0}
    assert "of 900 rows alike" in verdict.sentence
    assert "new since champion version 1" in verdict.sentence


def test_calibration_measures_the_champion_on_the_rows_it_can_know(bench: Any) -> None:
    assert "champion version 1 has an error of" in (sentence := Calibration().check(*contenders(bench)).sentence)
    assert "on 900 rows" in sentence


def test_without_a_row_that_both_know_there_is_no_comparison(bench: Any) -> None:
    candidate, champion = contenders(bench)
    rows = np.flatnonzero(np.arange(1200) % 4 == NEW)
    test = replace(candidate.data.test, texts=[f"row {row}" for row in rows], labels=[NEW] * len(rows), columns={})
    only_new = [
        replace(each, data=replace(each.data, test=test), probabilities=each.probabilities[rows])
        for each in (candidate, champion)
    ]
    for check in (NoWorseThanChampion(), BeatsChampion(), Slices()):
        verdict = check.check(*only_new)
        assert verdict.status == "failed"
        assert "no test row has a class that champion version 1 knows" in verdict.sentence


UNTESTED = [
    MetricFloor(floor=0.0),
    BeatsMajority(),
    BeatsChampion(),
    NoWorseThanChampion(),
    Agreement(),
    Calibration(),
    Slices(floor=0.5),
    NotDegenerate(),
    LabelNoise(),
]


def untested(bench: Any, metric: str) -> tuple[Contender, Contender]:
    """Both know all classes; the test split has no row of `jobs`, which the candidate answers once."""
    both = contenders(bench, {0}, metric=metric)
    rows = np.flatnonzero(np.arange(1200) % 4 != NEW)
    labels = [int(row % 4) for row in rows]
    test = replace(both[0].data.test, texts=[f"row {row}" for row in rows], labels=labels)
    train = replace(both[0].data.train, texts=["a", "b", "c", "d"], labels=[0, 1, 2, 3])
    candidate, champion = (
        replace(each, data=replace(each.data, test=test, train=train), probabilities=each.probabilities[rows])
        for each in both
    )
    champion.classifier.classes = CLASSES  # type: ignore[misc]
    return candidate, champion


@pytest.mark.parametrize("metric", METRICS_OF["single-label"])
@pytest.mark.parametrize("test", UNTESTED, ids=lambda each: each.name)
def test_a_class_without_test_rows_stops_no_test(bench: Any, metric: str, test: Any) -> None:
    limit = replace(test, floor=3.0) if isinstance(test, MetricFloor) and metric == "log_loss" else test
    limit = replace(limit, floor=1.0) if isinstance(test, Slices) and metric == "log_loss" else limit
    verdict = limit.check(*untested(bench, metric))
    assert verdict.status == "passed", verdict.sentence
    assert all(np.isfinite(value) for value in verdict.numbers.values())


def test_slices_say_which_class_has_no_test_row(bench: Any) -> None:
    assert "no test row of 'jobs'" in Slices(floor=0.5).check(*untested(bench, "accuracy")).sentence


@pytest.mark.parametrize("metric", METRICS_OF["single-label"])
def test_metrics_of_rows_that_lack_a_class_are_those_of_scikit_learn(bench: Any, metric: str) -> None:
    from sklearn import metrics as reference

    candidate, _ = untested(bench, metric)
    labels, probabilities = np.array(candidate.data.test.labels), candidate.probabilities
    answers = probabilities.argmax(axis=1)
    present = np.unique(labels)
    expected = {
        "accuracy": lambda: reference.accuracy_score(labels, answers),
        "macro_f1": lambda: reference.f1_score(labels, answers, average="macro"),
        "weighted_f1": lambda: reference.f1_score(labels, answers, average="weighted"),
        "mcc": lambda: reference.matthews_corrcoef(labels, answers),
        "log_loss": lambda: reference.log_loss(
            labels, probabilities / probabilities.sum(axis=1, keepdims=True), labels=range(4)
        ),
        "roc_auc": lambda: np.average(
            [reference.roc_auc_score(labels == each, probabilities[:, each]) for each in present],
            weights=[(labels == each).sum() for each in present],
        ),
    }[metric]()
    assert metrics.score(metric, probabilities, labels) == pytest.approx(expected)
