"""A recipe as a pipeline with a sweep against the loopback Azure: the real SDK, and steps that really run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ftkit_azureml.job import STEPS

from ftkit import bundle, cli, ledger, recipe, runner
from ftkit.errors import StageError
from ftkit.events import Event, StageFinished, TrialFinished, TrialReported
from ftkit.testing import toys

if TYPE_CHECKING:
    from ftkit.contracts import Outcome
    from tests.azure.azure import Azure

RECIPE = (
    toys.RECIPE.replace('on = "local"', 'on = "azureml"\npoll = 0.2')
    + """
[search.space]
learning_rate = [0.0005, 1.0]

[[promote]]
use = "metric-floor"
floor = 0.6

[[promote]]
use = "beats-champion"

[rollout]
bake = 0.0
poll = 0.05
"""
)


@pytest.fixture
def toy(azureml: Azure, tmp_path: Path) -> Path:
    """A recipe over the toys in a folder with the workspace's config.json; the clusters have a managed identity."""
    azureml.machine.has_identity = True
    path = tmp_path / "toy.toml"
    path.write_text(RECIPE)
    return path


def run(path: Path, overrides: dict[str, Any] | None = None, **options: Any) -> tuple[Outcome, list[Event]]:
    told: list[Event] = []
    return runner.run(recipe.load(path, {"search.sampler": "grid", **(overrides or {})}, **options), told.append), told


def test_the_steps_search_decide_and_end_as_a_local_run(azureml: Azure, toy: Path) -> None:
    outcome, told = run(toy, {"search.policy": {"use": "bandit", "slack_factor": 0.1, "interval": 5}})
    assert (outcome.promoted, outcome.exit_code) == (True, 0)
    assert [trial.values for trial in outcome.trials] == [{"learning_rate": 0.0005}, {"learning_rate": 1.0}]
    assert outcome.best.number == 1
    found = bundle.verify(outcome.bundle)
    assert found.predict(["the lamp is sturdy and bright", "it broke, a cheap refund"]) == ["good", "bad"]

    # What was submitted: three steps in their order, the recipe's search space, sampling, policy, limits, metric and goal.
    (submitted,) = azureml.jobs.submitted.values()
    assert list(submitted["jobs"]) == list(STEPS)
    search, decide, deploy = submitted["jobs"].values()
    assert search["type"] == "sweep"
    assert search["search_space"] == {"learning_rate": {"type": "choice", "values": [0.0005, 1.0]}}
    assert search["sampling_algorithm"] == "grid"
    assert search["early_termination"] == {
        "policy_type": "Bandit",
        "slack_factor": 0.1,
        "evaluation_interval": 5,
        "delay_evaluation": 0,
    }
    assert search["objective"] == {"goal": "maximize", "primary_metric": "roc_auc"}
    limits = {"max_total_trials": 2, "max_concurrent_trials": 1, "timeout": 604800, "trial_timeout": 86400}
    assert search["limits"] == limits
    assert decide["inputs"]["after"]["value"] == f"${{{{parent.jobs.{STEPS.search}.outputs.done}}}}"
    assert deploy["inputs"]["after"]["value"] == f"${{{{parent.jobs.{STEPS.decide}.outputs.done}}}}"
    clusters = [each["computeId"].rpartition("/")[2] for each in submitted["jobs"].values()]
    assert clusters == ["gpu-cluster", "cpu-cluster", "cpu-cluster"]
    assert submitted["inputs"]["run"]["value"] == outcome.run
    assert submitted["tags"]["ftkit.run"] == outcome.run

    # The events are those of a run on this machine, in their order.
    stages = [event.stage for event in told if isinstance(event, StageFinished)]
    assert stages[:4] == ["data", "search", "select", "test"]
    curves = [
        [dict(event.numbers) for event in told if isinstance(event, TrialReported) and event.number == n]
        for n in (0, 1)
    ]
    assert curves == [list(map(dict, trial.history)) for trial in outcome.trials]

    # No secret is in the journal, the report, the events, or what the steps left.
    kept = [path.read_bytes() for path in outcome.folder.rglob("*") if path.is_file()]
    kept += [repr(told).encode(), *(blob.data for blob in azureml.storage.blobs.values())]
    for secret in azureml.secrets:
        assert not any(secret.encode() in each for each in kept)
