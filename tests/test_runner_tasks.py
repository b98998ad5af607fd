"""Runs of several labels and of ordered classes: from the data to a bundle that was judged, and what is refused before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ftkit
from ftkit.bundle import bundle as bundles
from ftkit.contracts import AnswerRule, Task
from ftkit.contracts.tasks import METRICS_OF
from ftkit.errors import DataError, RecipeError
from ftkit.plugins.tasks import task_of
from ftkit.recipe import loader
from ftkit.runs import preparation
from ftkit.stages.rollout_checks import wrong_answer
from ftkit.testing import toys

RECIPE = (
    toys.RECIPE.replace('metric = "roc_auc"\n', "").replace("trials = 2", "trials = 1")
    + """
[[promote]]
use = "metric-floor"
floor = 0.4

[[promote]]
use = "beats-majority"
"""
)


@pytest.fixture
def recipe(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "toy.toml"
    path.write_text(RECIPE, encoding="utf-8")
    with toys.install(tmp_path / "plugins"):
        yield path


@pytest.mark.parametrize(("task", "metric"), [("multi-label", "micro_f1"), ("ordinal", "quadratic_kappa")])
def test_a_run_of_each_task_is_judged_by_its_metrics_and_keeps_its_task(recipe: Path, task: Task, metric: str) -> None:
    outcome = ftkit.run(recipe, {"dataset.task": task, "backbone.epochs": 12}, emit=lambda _: None)
    assert outcome.promoted, [each.sentence for each in outcome.verdicts]
    assert set(outcome.metrics) == set(outcome.best.metrics) == set(METRICS_OF[task])
    assert outcome.metrics[metric] > 0.6
    bundle = bundles.verify(outcome.bundle)
    assert bundle.manifest["metric"] == metric
    assert bundle.task == task_of(bundle.classifier) == task
    answers = bundle.predict(["sturdy bright lamp easy perfect", "broke noisy it refund cheap"])
    expected: list[Any] = [["good"], ["bad"]] if task == "multi-label" else ["good", "bad"]
    assert answers == expected
    assert bundle.record is not None
    assert bundle.record.profile is not None
    page = (outcome.folder / "report.html").read_text(encoding="utf-8")
    assert ("Each label on its own" in page) == (task == "multi-label")
    assert ("Confusion matrix of the candidate" in page) == (task == "ordinal")
    assert ("any number of 2 labels" in (outcome.bundle / "README.md").read_text()) == (task == "multi-label")


def test_a_bundle_without_a_task_is_of_one_label(tmp_path: Path) -> None:
    manifest = {"classes": ["a", "b"], "backbone": {"use": "toy-words"}}
    assert bundles.Bundle(tmp_path, manifest, "").task == "single-label"


@pytest.mark.parametrize(
    ("overrides", "key", "sentence"),
    [
        ({"search.metric": "roc_auc"}, "search.metric", "'roc_auc' is no metric of multi-label data"),
        ({"promote": [{"use": "metric-floor", "floor": 0.5, "metric": "mae"}]}, "promote.0.metric", "'mae' is no metric"),
    ],
)  # fmt: skip
def test_a_metric_of_another_task_is_refused_when_the_recipe_is_loaded(
    recipe: Path, overrides: dict[str, object], key: str, sentence: str
) -> None:
    text = RECIPE.replace('use = "toy-reviews"', 'use = "toy-reviews"\ntask = "multi-label"')
    if "promote" in overrides:
        text = text.replace("floor = 0.4", 'floor = 0.4\nmetric = "mae"')
        overrides = {}
    with pytest.raises(RecipeError) as refused:
        loader.loads(text, overrides)
    [problem] = refused.value.problems
    assert problem.key == key
    assert sentence in problem.what
    assert "micro_f1" in problem.hint


def test_a_backbone_and_a_test_that_know_one_task_are_refused_for_another(
    recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ftkit.evaluation.promotion_tests import BeatsMajority

    monkeypatch.delattr(toys.ToyWords, "tasks")
    monkeypatch.delattr(BeatsMajority, "tasks")
    assert loader.load(recipe).search.metric == "macro_f1"
    with pytest.raises(RecipeError) as refused:
        loader.load(recipe, {"dataset.task": "ordinal"})
    assert {each.key: each.what for each in refused.value.problems} == {
        "backbone.use": "the backbone 'toy-words' cannot learn ordinal data; it knows single-label",
        "promote.1.use": "the promotion test 'beats-majority' cannot judge ordinal data; it knows single-label",
    }


def test_what_does_not_suit_is_refused_with_the_data_where_the_data_set_did_not_say_its_task(recipe: Path) -> None:
    plan = loader.load(recipe, {"search.metric": "accuracy"})
    data = toys.ToyReviews(task="multi-label").load(7, lambda _: None)
    with pytest.raises(DataError, match="'accuracy' is no metric of multi-label data") as refused:
        preparation.foresee(plan, data.without_test())
    assert refused.value.where == "search.metric"
    assert json.dumps(refused.value.hint)


def test_a_rollout_takes_lists_of_labels_from_a_model_of_several_and_from_no_other() -> None:
    request, classes = {"data": [{"text": "a"}, {"text": "b"}]}, ("late", "rude")
    assert not wrong_answer([["late", "rude"], []], request, classes, "multi-label")
    assert "no list of labels" in wrong_answer(["late", []], request, classes, "multi-label")
    assert '"kind" is no class' in wrong_answer([["late"], ["kind"]], request, classes, "multi-label")
    assert "is no class" in wrong_answer([["late"], "rude"], request, classes, "ordinal")
    unsure = AnswerRule(below=0.6, abstains=True)
    cases: tuple[tuple[Task, Any], ...] = (("single-label", "late"), ("multi-label", ["late"]))
    for task, label in cases:
        assert wrong_answer([label, None], request, classes, task)
        assert not wrong_answer([label, None], request, classes, task, unsure)
