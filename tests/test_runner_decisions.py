"""Runs with a `[decision]`: thresholds and abstention from the recipe to the bundle, the gate and the answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ftkit
from ftkit.bundle import bundle as bundles
from ftkit.errors import DataError, LedgerError
from ftkit.recipe import loader
from ftkit.runs import ledger as ledgers
from ftkit.runs.plan_keys import plan_key
from ftkit.testing import toys

RECIPE = (
    toys.RECIPE.replace('metric = "roc_auc"\n', 'metric = "macro_f1"\n').replace("trials = 2", "trials = 1")
    + """
[[promote]]
use = "metric-floor"
floor = 0.4
"""
)


@pytest.fixture
def recipe(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "toy.toml"
    path.write_text(RECIPE, encoding="utf-8")
    with toys.install(tmp_path / "plugins"):
        yield path


def run(recipe: Path, **options: Any) -> Any:
    return ftkit.run(recipe, {"backbone.epochs": 12, **options}, emit=lambda _: None)


def test_what_a_recipe_gives_is_in_the_bundle_and_decides(recipe: Path) -> None:
    outcome = run(recipe, **{"decision.thresholds": {"good": 0.999}, "decision.abstain": {"below": 0.9}})
    bundle = bundles.verify(outcome.bundle)
    assert bundle.rule is not None
    assert (dict(bundle.rule.thresholds), bundle.rule.below) == ({"good": 0.999}, 0.9)
    texts = ["sturdy bright lamp easy perfect", "broke noisy it refund cheap", "it"]
    probabilities = bundle.probabilities(texts)
    decided = bundle.decided(probabilities)
    expected = ["good" if row[bundle.classes.index("good")] >= 0.999 else "bad" for row in probabilities]
    assert decided.best == expected
    sure = [float(row[bundle.classes.index(name)]) >= 0.9 for row, name in zip(probabilities, expected, strict=True)]
    assert bundle.predict(texts) == [name if each else None for name, each in zip(expected, sure, strict=True)]
    verdict = {each.test: each for each in outcome.verdicts}["selective-risk"]
    assert verdict.status == "not applicable"
    assert "no risk is promised" in verdict.sentence
    assert "Thresholds: good from 0.999 on" in (outcome.bundle / "README.md").read_text(encoding="utf-8")


def test_a_promise_is_tested_on_rows_that_no_training_saw(recipe: Path) -> None:
    outcome = run(recipe, **{"decision.abstain": {"risk": 0.2}, "dataset.rows": 1500})
    ledger = ledgers.Ledger(outcome.folder)
    valid, kept_back = ledger.data(("valid",)).valid, ledger.kept_back()
    assert len(kept_back) == pytest.approx(len(valid), abs=2)
    assert not {*kept_back.texts} & {*valid.texts}
    rule = bundles.verify(outcome.bundle).rule
    assert rule is not None
    assert (rule.risk, rule.confidence, rule.rows) == (0.2, 0.9, len(kept_back))
    verdict = {each.test: each for each in outcome.verdicts}["selective-risk"]
    assert verdict.status == "passed", verdict.sentence
    assert verdict.numbers["risk"] <= 0.2
    manifest = json.loads((outcome.bundle / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["decision"]["settings"] == {"least_rows": 30, "abstain": {"risk": 0.2, "confidence": 0.9}}


def test_a_risk_that_cannot_be_promised_ends_the_run_and_a_greater_one_goes_on_without_training(recipe: Path) -> None:
    with pytest.raises(DataError, match="no threshold of certainty promises") as caught:
        run(recipe, **{"decision.abstain": {"risk": 0.01}, "dataset.rows": 6000, "backbone.epochs": 1})
    assert "nothing is trained again" in caught.value.hint
    again = run(recipe, **{"decision.abstain": {"risk": 0.6}, "dataset.rows": 6000, "backbone.epochs": 1})
    assert [each["number"] for each in ledgers.Ledger(again.folder).facts("trial-started")] == [0]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"decision.thresholds": {"great": 0.8}}, "there is no class 'great'"),
        ({"decision.thresholds": {"good": 0.8, "bad": 0.3}}, "of two classes one has a threshold"),
        ({"decision.thresholds": "tuned", "search.metric": "roc_auc"}, "no threshold changes ROC AUC"),
        ({"decision.abstain": {"risk": 0.001}}, "needs at least 2,302 rows"),
    ],
)  # fmt: skip
def test_what_the_data_cannot_give_is_refused_before_anything_is_trained(
    recipe: Path, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        run(recipe, **options)


def test_thresholds_that_are_tuned_are_better_on_the_validation_rows(recipe: Path) -> None:
    outcome = run(
        recipe,
        **{"decision.thresholds": "tuned", "dataset.task": "multi-label", "search.metric": "micro_f1", "backbone.epochs": 1, "dataset.rows": 900},
    )  # fmt: skip
    bundle = bundles.verify(outcome.bundle)
    assert bundle.rule is not None
    assert bundle.rule.thresholds
    assert all(isinstance(each, list) for each in bundle.predict(["sturdy bright lamp", "it"]))


def test_a_bundle_that_was_made_is_not_used_for_another_decision(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("ftkit.stages.release.decide", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(recipe, **{"decision.abstain": {"below": 0.6}})
    with pytest.raises(LedgerError, match="another"):
        run(recipe, **{"decision.abstain": {"below": 0.7}})
    assert run(recipe, **{"decision.abstain": {"below": 0.6}}).promoted


def _interrupted(*_: Any) -> Any:
    raise KeyboardInterrupt


def test_a_recipe_without_a_decision_is_as_ever(recipe: Path) -> None:
    plan = loader.load(recipe)
    assert "decision" not in plan.text
    given = loader.load(recipe, {"decision.thresholds": {"good": 0.8}, "decision.abstain": {"below": 0.7}})
    assert loader.loads(given.text) == given
    assert plan_key(given.text) == plan_key(plan.text)
    promised = loader.load(recipe, {"decision.abstain": {"risk": 0.1}})
    assert plan_key(promised.text) != plan_key(plan.text)
    less = loader.load(recipe, {"decision.abstain": {"risk": 0.2, "confidence": 0.8}})
    assert plan_key(less.text) == plan_key(promised.text)
    outcome = run(recipe)
    assert "decision" not in json.loads((outcome.bundle / "manifest.json").read_text(encoding="utf-8"))
    assert "selective-risk" not in {each.test for each in outcome.verdicts}
