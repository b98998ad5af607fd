"""Every promotion test on data of every task: a gate of a sound model promotes, and a test that does not apply says why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ftkit_strict.agreement import Agreement
from ftkit_strict.calibration import Calibration
from ftkit_strict.champion import NoWorseThanChampion
from ftkit_strict.degenerate import NotDegenerate
from ftkit_strict.examples import Examples
from ftkit_strict.invariance import Invariance
from ftkit_strict.label_noise import suspects
from ftkit_strict.preset import Strict
from ftkit_strict.slices import Slices

from ftkit.bundle import bundle as bundles
from ftkit.contracts import TASKS, Contender, Split, Task
from ftkit.contracts.tasks import DEFAULT_METRICS
from ftkit.evaluation.promotion_tests import BeatsChampion, BeatsMajority, MetricFloor
from ftkit.plugins.tasks import known_tasks
from ftkit.serving.server_process import SharedServer
from ftkit.testing import toys
from ftkit.testing.promotion_tests import check_verdict

NOT_APPLICABLE = {"ordinal": {"direction"}, "multi-label": {"direction"}, "single-label": {"direction"}}
"""The tests that have no answer on the toy reviews, whose classes are not called positive and negative."""

CORE = (MetricFloor(floor=0.3), BeatsMajority(), BeatsChampion())
COMPARING = ("beats-champion", "no-worse-than-champion", "beats-baseline")
"""Whether they pass depends on the other model; a linear model learns the toy reviews as well as the toy."""
SERVED = ("odd-input", "served-parity", "budget", "reload")


def gate() -> list[Any]:
    """Every test of the core and of the plugin, with what is measured in a moment."""
    strict = Strict(depth="fast", margin=0.2, floor=None, without=("invariance", "slices", "calibration")).tests()
    return [
        *CORE, *strict, Slices(floor=0.3, min_support=3, lengths=2, resamples=200), Calibration(max_error=0.5),
        Invariance(rows=10, min_rows=3, max_share=0.6, limits={"upper case": 1.0}),
    ]  # fmt: skip


@pytest.fixture(scope="module", params=TASKS)
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Contender, Contender]]:
    """A toy of each task with a bundle and a server, and a champion that is worse."""
    task: Task = request.param
    folder = tmp_path_factory.mktemp("gate")
    data = toys.ToyReviews(task=task, rows=400).load(7, lambda _: None)
    classifier = toys.ToyWords(epochs=20).fit(data.without_test(), 7, lambda *_, **__: True)
    (folder / "model").mkdir()
    classifier.save(folder / "model")
    with toys.install(folder / "plugins"):
        bundle = bundles.write(
            folder / "bundle",
            model=folder / "model",
            classes=data.classes,
            task=task,
            backbone={"use": "toy-words"},
            recipe='name = "toy"\n',
            card="# A toy\n",
            sample_texts=list(data.train.texts[:2]),
            about={"run": "toy"},
        )
        probabilities = bundle.probabilities(data.test.texts)
        metric = DEFAULT_METRICS[task]
        candidate = Contender("the candidate", bundle.folder, bundle.classifier, probabilities, data, metric, 7)
        worse: Any = replace(classifier, weights=classifier.weights * 0.2 + 0.1)
        champion = replace(candidate, title="champion version 1", classifier=worse)
        champion = replace(champion, probabilities=worse.probabilities(data.test.texts))
        with SharedServer(bundle.folder, threads=1) as shared:
            yield replace(candidate, serving=shared), champion


@pytest.mark.parametrize("test", gate(), ids=lambda test: test.name)
def test_every_promotion_test_judges_every_task(test: Any, pair: tuple[Contender, Contender]) -> None:
    candidate, champion = pair
    assert known_tasks(test) == TASKS
    for other in (champion,) if test.name in SERVED else (None, champion):
        verdict = test.check(candidate, other)
        check_verdict(test, verdict)
        if test.name in NOT_APPLICABLE[candidate.data.task]:
            assert verdict.status == "not applicable", verdict.sentence
        elif test.name not in COMPARING:
            assert verdict.status in ("passed", "not applicable"), verdict.sentence


def several(
    labels: list[tuple[int, ...]], probabilities: Any, classes: tuple[str, ...] = ("late", "rude")
) -> Contender:
    """A contender with these labels and probabilities of several labels."""
    data = toys.ToyReviews(task="multi-label").load(7, lambda _: None)
    texts = [f"text {number}" for number in range(len(labels))]
    data = replace(data, classes=classes, test=Split(texts, labels))
    classifier: Any = toys.ToyClassifier(classes, np.zeros((256, len(classes))), "multi-label")
    return Contender("the candidate", Path(), classifier, np.asarray(probabilities, dtype=float), data, "micro_f1", 7)


def test_a_label_that_is_wrong_is_found_among_several() -> None:
    random = np.random.default_rng(0)
    labels = (random.random((200, 3)) < 0.4).astype(np.int64)
    probabilities = np.clip(labels * 0.9 + 0.05 + random.normal(0, 0.02, labels.shape), 0.01, 0.99)
    probabilities[7, 1] = 0.99 if labels[7, 1] else 0.01
    labels[7, 1] = 1 - labels[7, 1]
    rows, likely = suspects(probabilities, labels)
    assert rows.tolist() == [7]
    assert likely[0].tolist() == [*labels[7, :1], 1 - labels[7, 1], labels[7, 2]]


def test_probabilities_of_several_labels_need_not_add_up_to_one_but_lie_from_0_to_1() -> None:
    labels = [(0,), (1,), (0, 1), ()] * 5
    right = np.array([[0.9, 0.1], [0.2, 0.8], [0.9, 0.9], [0.1, 0.1]] * 5)
    assert NotDegenerate().check(several(labels, right), None).status == "passed"
    beyond = right.copy()
    beyond[3, 1] = 1.4
    verdict = NotDegenerate().check(several(labels, beyond), None)
    assert verdict.status == "failed"
    assert "do not lie from 0 to 1, the first is row 4 with 1.4" in verdict.sentence
    same = NotDegenerate().check(several(labels, np.full((20, 2), 0.9)), None)
    assert "every row is answered 'late and rude'" in same.sentence
    none = NotDegenerate().check(several(labels, np.full((20, 2), 0.1)), None)
    assert "every row is answered 'no label'" in none.sentence


def test_labels_that_are_new_to_the_champion_are_left_out_of_the_comparison() -> None:
    labels = [(0,), (1,), (0, 1), ()] * 30
    right = np.array([[0.9, 0.1], [0.2, 0.8], [0.9, 0.9], [0.1, 0.1]] * 30)
    candidate = several(labels, right)
    champion = several(labels, right * [1, 0])
    knows_one: Any = toys.ToyClassifier(("late",), np.zeros((256, 1)), "multi-label")
    champion = replace(champion, classifier=knows_one)
    verdict = NoWorseThanChampion(resamples=200).check(candidate, champion)
    assert verdict.status == "passed", verdict.sentence
    assert "without the label 'rude', new since" in verdict.sentence
    assert "100.0 % of 120 rows alike" in Agreement().check(candidate, champion).sentence


def test_a_champion_of_another_task_fails_every_comparison() -> None:
    candidate = several([(0,), (1,)], [[0.9, 0.1], [0.2, 0.8]])
    of_one_label: Any = toys.ToyClassifier(("late", "rude"), np.zeros((256, 2)))
    champion = replace(candidate, classifier=of_one_label)
    for test in (BeatsChampion(), NoWorseThanChampion(), Slices()):
        verdict = test.check(candidate, champion)
        assert verdict.status == "failed"
        assert "answers single-label data, the candidate multi-label data" in verdict.sentence


def test_examples_may_have_several_labels_or_none(tmp_path: Path) -> None:
    path = tmp_path / "examples.csv"
    path.write_text("text,label\none,late | rude\ntwo,\nthree,rude\n", encoding="utf-8")
    candidate = several([(0,), (1,)], [[0.9, 0.1], [0.2, 0.8]])
    test = Examples(path=path)
    test.foresee(candidate.data)
    verdict = test.check(candidate, None)  # whose model answers both labels to any text
    assert verdict.numbers["right"] == 1
    assert "is rude, answered late and rude" in verdict.sentence
