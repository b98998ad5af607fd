"""A search over several backbones: what is proposed, and which trials a policy compares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ftkit.contracts import Trial
from ftkit.contracts.settings import Search
from ftkit.contracts.space import BackboneChoice, Choice, Dimension, Int, LogUniform, combinations, dimensions_of, table
from ftkit.recipe import loader
from ftkit.runs import preview
from ftkit.searching import decisions, sampling
from ftkit.searching.running import RunningTrial
from ftkit.testing import toys

FINITE: dict[str, Dimension] = {
    "backbone": BackboneChoice(("linear", "qwen3-0.6b", "minilm")),
    "qwen3-0.6b.epochs": Int(1, 2),
    "minilm.epochs": Int(1, 2),
    "minilm.learning_rate": Choice((1e-4, 2e-4)),
}
ENDLESS: dict[str, Dimension] = {**FINITE, "minilm.learning_rate": LogUniform(1e-5, 1e-3)}
RECIPE = toys.RECIPE.replace('[backbone]\nuse = "toy-words"\n', "").replace(
    "trials = 2", 'trials = 2\npolicy = { use = "median", delay = 1 }\nspace.backbone = ["linear", "toy-words"]'
)


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))
    with toys.install(tmp_path / "plugins"):
        yield


def ended(number: int, values: Mapping[str, Any], *curve: float, seed: int = 7) -> Trial:
    history = tuple({"epoch": epoch, "roc_auc": value} for epoch, value in enumerate(curve, 1))
    return Trial(number, values, seed, "finished", history=history, metrics={"roc_auc": max(curve)})


def carry_out(search: Search, trials: tuple[Trial, ...] = ()) -> list[Trial]:
    """Trials one after another; minilm is the best, more so with more epochs."""
    done = list(trials)
    for number in range(len(done), sampling.total(search)):
        values, seed = sampling.propose(search, 7, number, done, [])
        score = 0.9 + 0.01 * values["minilm.epochs"] if values["backbone"] == "minilm" else 0.5
        done.append(ended(number, values, score, seed=seed))
    return done


@pytest.mark.parametrize("sampler", ["random", "grid", "tpe"])
@pytest.mark.parametrize("dimensions", [FINITE, ENDLESS])
def test_a_trial_has_the_fields_of_its_backbone_alone(sampler: Any, dimensions: Any) -> None:
    if sampler == "grid" and dimensions is ENDLESS:
        return
    search = Search(metric="roc_auc", trials=14, sampler=sampler, space=dimensions)
    trials = carry_out(search)
    assert {trial.values["backbone"] for trial in trials} == {"linear", "qwen3-0.6b", "minilm"}
    for trial in trials:
        assert list(trial.values) == list(dimensions_of(dimensions, trial.values))
    assert carry_out(search, tuple(trials[:5])) == trials, "an interrupted search goes on as it would have"


def test_a_grid_takes_one_combination_of_each_backbone_in_turn() -> None:
    assert combinations(FINITE) == 7
    trials = carry_out(Search(metric="roc_auc", trials=20, sampler="grid", space=FINITE))
    names = [trial.values["backbone"] for trial in trials]
    assert names == ["linear", "qwen3-0.6b", "minilm", "qwen3-0.6b", "minilm", "minilm", "minilm"]


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_backbone_without_fields_is_tried_once_while_others_have_untried_values(sampler: Any) -> None:
    trials = carry_out(Search(metric="roc_auc", trials=25, sampler=sampler, space=ENDLESS))
    counts = Counter(trial.values["backbone"] for trial in trials)
    assert (counts["linear"], counts["qwen3-0.6b"]) == (1, 2)
    assert {trial.seed for trial in trials} == {7}


def test_the_estimator_prefers_the_better_backbone() -> None:
    space: dict[str, Dimension] = {
        **ENDLESS,
        "linear.C": LogUniform(0.1, 10.0),
        "qwen3-0.6b.warmup": LogUniform(0.01, 0.2),
    }
    trials = carry_out(Search(metric="roc_auc", trials=40, sampler="tpe", space=space))
    assert Counter(trial.values["backbone"] for trial in trials[15:])["minilm"] > 15


def test_a_space_is_written_with_a_table_for_each_backbone() -> None:
    assert table(FINITE) == {
        "backbone": ["linear", "qwen3-0.6b", "minilm"],
        "qwen3-0.6b": {"epochs": {"low": 1, "high": 2}},
        "minilm": {"epochs": {"low": 1, "high": 2}, "learning_rate": [1e-4, 2e-4]},
    }


@pytest.mark.parametrize(("rival", "goes_on"), [("linear", True), ("toy-words", False)])
def test_a_policy_compares_the_trials_of_one_backbone(rival: str, goes_on: bool) -> None:
    plan = loader.loads(RECIPE)
    trial = RunningTrial(1, {"backbone": "toy-words"}, 7, 0, 1, attempt=None)  # type: ignore[arg-type]  # nothing runs here
    trial.add({"epoch": 1, "roc_auc": 0.6}, "roc_auc")
    assert decisions.goes_on(plan, trial, [ended(0, {"backbone": rival}, 0.9)], [trial]) is goes_on


@pytest.mark.parametrize(("backbone", "answer"), [("toy-words", (False, True)), ("linear", (True, False))])
def test_past_the_budget_a_trial_ends_as_its_own_backbone_can(backbone: str, answer: tuple[bool, bool]) -> None:
    plan = loader.loads(RECIPE)
    trial = RunningTrial(1, {"backbone": backbone}, 7, 0, 1, attempt=None)  # type: ignore[arg-type]  # nothing runs here
    trial.add({"epoch": 1, "roc_auc": 0.6}, "roc_auc")
    assert decisions.past_budget(plan, trial, [], [trial]) == answer


def test_the_preview_names_every_backbone() -> None:
    steps = preview.preview(loader.loads(RECIPE)).steps
    (search,) = [step.says for step in steps if step.stage == "search"]
    assert search.startswith("2 trials of linear, toy-words on local, random over backbone")
