"""`[search]` in HyperDrive's words, as its own classes take it, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ftkit_hyperdrive import search

from ftkit.contracts.plan import Plan
from ftkit.errors import RecipeError
from ftkit.recipe import loader
from ftkit.testing import toys


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Any]:
    path = tmp_path / "toy.toml"
    path.write_text(toys.RECIPE)

    def read(overrides: dict[str, Any]) -> Plan:
        return loader.load(path, overrides, on="hyperdrive")

    with toys.install(tmp_path / "plugins"):
        yield read


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ([3.5e-5, 1], ["choice", [[3.5e-5, 1]]]),
        ({"low": 1e-5, "high": 1e-4, "log": True}, ["loguniform", [math.log(1e-5), math.log(1e-4)]]),
        ({"low": 0.1, "high": 0.3}, ["uniform", [0.1, 0.3]]),
        ({"low": 0.1, "high": 0.3, "step": 0.1}, ["choice", [[0.1, 0.2, 0.3]]]),
        ({"low": 2.0, "high": 5000.0, "step": 2.0}, ["quniform", [2.0, 5000.0, 2.0]]),
    ],
)
def test_a_searched_number_is_translated_one_to_one(load: Any, written: Any, sent: list[Any]) -> None:
    from azureml.train.hyperdrive import RandomParameterSampling

    plan = load({"search.space.learning_rate": written})
    assert search.space(plan) == {"--learning_rate": sent}
    assert RandomParameterSampling(search.space(plan)).to_json()["parameter_space"] == {"--learning_rate": sent}


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ({"low": 1, "high": 4}, ["choice", [[1, 2, 3, 4]]]),
        ({"low": 1, "high": 9, "step": 4}, ["choice", [[1, 5, 9]]]),
        ({"low": 1, "high": 64, "log": True}, ["qloguniform", [0.0, math.log(64), 1]]),
        ({"low": 10, "high": 20000, "step": 10}, ["quniform", [10, 20000, 10]]),
    ],
)
def test_a_searched_whole_number_is_translated_one_to_one(load: Any, written: Any, sent: list[Any]) -> None:
    assert search.space(load({"search.space.epochs": written})) == {"--epochs": sent}


def test_choices_that_are_no_numbers_and_no_texts_travel_as_json(load: Any) -> None:
    plan = load({"search.space.engines": [[], ["half"]], "search.space.fault": ["none", "error"]})
    assert search.space(plan) == {
        "--engines": ["choice", [["[]", '["half"]']]],
        "--fault": ["choice", [["none", "error"]]],
    }


def test_a_recipe_that_searches_nothing_goes_through_seeds(load: Any) -> None:
    plan = load({"search.trials": 3})
    assert search.space(plan) == {"--trial_seed": ["choice", [[7, 8, 9]]]}
    assert search.sampler(plan) == "GRID"


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("none", {"name": "Default"}),
        (
            {"use": "bandit", "slack_factor": 0.1, "interval": 5},
            {"name": "Bandit", "properties": {"slack_factor": 0.1, "evaluation_interval": 5, "delay_evaluation": 0}},
        ),
        (
            {"use": "bandit", "slack_amount": 0.2, "delay": 2},
            {"name": "Bandit", "properties": {"slack_amount": 0.2, "evaluation_interval": 1, "delay_evaluation": 2}},
        ),
        (
            {"use": "bandit", "slack_factor": 0.0},
            {"name": "Bandit", "properties": {"slack_factor": 1e-9, "evaluation_interval": 1, "delay_evaluation": 0}},
        ),
        (
            {"use": "median", "interval": 2, "delay": 1},
            {"name": "MedianStopping", "properties": {"evaluation_interval": 2, "delay_evaluation": 1}},
        ),
        (
            {"use": "truncation", "percentage": 30},
            {
                "name": "TruncationSelection",
                "properties": {
                    "truncation_percentage": 30,
                    "evaluation_interval": 1,
                    "delay_evaluation": 0,
                    "exclude_finished_jobs": False,
                },
            },
        ),
    ],
)
def test_a_policy_is_the_one_hyperdrive_sends(load: Any, written: Any, sent: dict[str, Any]) -> None:
    from azureml.train import hyperdrive

    arguments = dict(search.policy(load({"search.policy": written})))
    policy = getattr(hyperdrive, arguments.pop("class"))(**arguments).to_json()
    assert {**policy, "properties": dict(policy.get("properties") or {})} == {"properties": {}, **sent}


def test_metric_and_goal_are_those_of_the_recipe(load: Any) -> None:
    assert search.goal(load({"search.metric": "roc_auc"})) == "MAXIMIZE"
    assert search.goal(load({"search.metric": "log_loss"})) == "MINIMIZE"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"search.policy": "halving"}, "HyperDrive has no policy 'halving'"),
        ({"search.policy": "asha"}, "HyperDrive has no policy 'asha'"),
        ({"search.policy": {"use": "hyperband", "largest": 9}}, "HyperDrive has no policy 'hyperband'"),
        ({"search.max_minutes": 60}, "'hyperdrive' ends no search by a budget"),
        ({"search.max_cost": 9, "search.price_per_trial_hour": 3}, "'hyperdrive' ends no search by a budget"),
        ({"search.start_from": "toy-1"}, "'hyperdrive' starts no search from an earlier run"),
        ({"search.sampler": "tpe", "search.policy": "median"}, "stops no trial early"),
        (
            {"search.sampler": "tpe", "search.space.learning_rate": {"low": 1e-5, "high": 1e-4, "log": True}},
            "no logarithmic scale",
        ),
        ({"search.trials": 1001}, "at most 1000 trials"),
        ({"search.trials": 101, "search.concurrency": 101}, "at most 100 trials at a time"),
        ({"search.space.epochs": {"low": 1, "high": 9001, "step": 3}}, "counts steps from 0"),
        ({"run.offline": True}, "needs connections"),
        ({"run.data": {"dataset.files": "reviews"}}, "has no option 'files'"),
        ({"backbone.use": "bert-base-cased", "backbone.checkpoint": "./nowhere"}, "to take along"),
        ({"run.gpu_cluster": "g"}, "2 to 24"),
        ({"run.workspace": "alone"}, "together"),
        ({"run.data": {"dataset": "reviews"}}, "options such as dataset.path"),
        ({"run.data": {"dataset.rows": "reviews:latest"}}, "a version by its number, not 'latest'"),
        ({"run.search_minutes": 10081}, "at most 10080"),
        ({"run.snapshot_mb": 301}, "at most 300"),
    ],
)
def test_what_cannot_be_expressed_is_refused_when_the_recipe_is_loaded(
    load: Any, overrides: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        load(overrides)


def test_bayesian_sampling_takes_what_hyperdrive_takes(load: Any) -> None:
    from azureml.train.hyperdrive import BayesianParameterSampling

    plan = load(
        {
            "search.sampler": "tpe",
            "search.space.learning_rate": {"low": 0.1, "high": 1.0},
            "search.space.epochs": {"low": 2, "high": 6},
        }
    )
    sampling = BayesianParameterSampling(search.space(plan)).to_json()
    assert sampling["name"] == search.sampler(plan)
    assert sampling["parameter_space"] == {
        "--learning_rate": ["uniform", [0.1, 1.0]],
        "--epochs": ["choice", [[2, 3, 4, 5, 6]]],
    }


def test_the_recipe_of_the_original_is_accepted() -> None:
    plan = loader.load("bert_automotive", on="hyperdrive")
    assert plan.search.confirm
    assert search.space(plan) == {"--learning_rate": ["choice", [[3.5e-5, 4e-5, 4.5e-5, 5e-5, 5.5e-5, 6e-5, 6.5e-5]]]}
