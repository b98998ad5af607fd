"""A recipe as a HyperDrive pipeline against the loopback Azure: the real SDK, and steps that really run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from ftkit_hyperdrive import sdk
from ftkit_hyperdrive.graph import STEPS

from ftkit import cli, runner
from ftkit.bundle import bundle
from ftkit.contracts import Outcome
from ftkit.errors import StageError
from ftkit.events import (
    DataLoaded,
    Event,
    Noticed,
    SearchStarted,
    StageFinished,
    TrialFinished,
    TrialReported,
    TrialStarted,
)
from ftkit.recipe import loader
from ftkit.runs import ledger
from ftkit.stages import known_endpoints
from ftkit.testing import toys
from tests import recipes
from tests.azure import preemption, together
from tests.azure.azure import Azure
from tests.azure.faults import server_error, too_many_requests

RECIPE = (
    toys.RECIPE.replace('on = "local"', 'on = "hyperdrive"\npoll = 0.5')
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
"""
)

HERE = {"registry": {"use": "mlflow", "model": "toys"}, "deploy": {"use": "local", "endpoint": "toys"}}
"""A registry and an endpoint on the machine of the command."""


@pytest.fixture
def toy(tmp_path: Path, azure_folder: Path) -> Iterator[Path]:
    """A recipe over the toys in a folder with the workspace's config.json."""
    with recipes.written(tmp_path, RECIPE) as path:
        yield path


def run(path: Path, overrides: dict[str, Any] | None = None, **options: Any) -> tuple[Outcome, list[Event]]:
    events: list[Event] = []
    plan = loader.load(path, {"search.sampler": "grid", **(overrides or {})}, **options)
    return runner.run(plan, events.append), events


def started(azure: Azure, script: str) -> list[list[str]]:
    """Command lines of the processes that ran this script of the snapshot."""
    return [each for each in azure.v1.execution.command_lines.values() if each[0] == script]


def parameters(azure: Azure, step: str) -> dict[str, str]:
    """What was submitted for a step."""
    return next(node.parameters for node in azure.v1.pipelines.submissions[-1].nodes if node.name == step)


def test_the_steps_decide_and_the_client_does_what_only_its_machine_can(azure: Azure, toy: Path) -> None:
    outcome, events = run(toy, {**HERE, "search.policy": {"use": "bandit", "slack_factor": 0.1, "interval": 5}})
    assert (outcome.promoted, outcome.exit_code) == (True, 0)
    assert [trial.values for trial in outcome.trials] == [{"learning_rate": 0.0005}, {"learning_rate": 1.0}]
    assert outcome.best.number == 1
    assert outcome.version is not None
    assert outcome.version.aliases == ("champion",)
    assert outcome.endpoint is not None
    assert outcome.endpoint.traffic == {outcome.deployment: 100}
    deployer = loader.load(toy, HERE).deploy
    assert deployer is not None
    served = deployer.invoke(
        {"data": [{"text": "the lamp is sturdy and bright"}, {"text": "it broke, a cheap refund"}]}
    )
    opened = bundle.verify(outcome.bundle)
    assert served == opened.predict(["the lamp is sturdy and bright", "it broke, a cheap refund"]) == ["good", "bad"]
    assert opened.recipe == ledger.find(outcome.run).recipe

    # What was submitted: three steps in their order, the recipe's search space, policy, metric and goal.
    submitted = azure.v1.pipelines.submissions[-1]
    by_name = {node.name: node for node in submitted.nodes}
    assert tuple(STEPS) == ("HyperDrive_Step", "Register_Best_Model", "Deploy_Latest_Model")
    assert set(by_name) == set(STEPS)
    assert by_name[STEPS.search].after == []
    assert by_name[STEPS.decide].after == [by_name[STEPS.search].id]
    assert by_name[STEPS.deploy].after == [by_name[STEPS.decide].id]
    config = json.loads(parameters(azure, STEPS.search)["HyperDriveRunConfig"])
    assert config["generator_config"] == {
        "name": "GRID",
        "parameter_space": {"--learning_rate": ["choice", [[0.0005, 1.0]]]},
    }
    assert config["policy_config"]["name"] == "Bandit"
    assert config["policy_config"]["properties"] == {
        "slack_factor": 0.1,
        "evaluation_interval": 5,
        "delay_evaluation": 0,
    }
    assert config["primary_metric_config"] == {"name": "roc_auc", "goal": "maximize"}
    assert (config["max_total_jobs"], config["max_concurrent_jobs"]) == (2, 1)
    assert config["platform_config"]["Definition"]["Overrides"]["target"] == "gpu-cluster"
    assert parameters(azure, STEPS.decide)["Target"] == "cpu-cluster"
    environment = config["platform_config"]["Definition"]["Overrides"]["environment"]
    packages = environment["python"]["condaDependencies"]["dependencies"][-1]["pip"]
    assert "anaconda" not in environment["python"]["condaDependencies"]["channels"]
    assert any(each.startswith("azureml-core==") for each in packages)
    assert not any(each.startswith(("ftkit==", "mlflow", "azureml-train-core", "torch==")) for each in packages)

    # The trials really ran, with the code of the snapshot and not of this checkout.
    assert started(azure, "trial.py") == [
        ["trial.py", "--learning_rate", "0.0005"],
        ["trial.py", "--learning_rate", "1.0"],
    ]
    assert started(azure, "decide.py") == [["decide.py", "--run", outcome.run]]
    files = azure.v1.runs.files(next(each.run for each in submitted.nodes if each.name == STEPS.decide))
    assert {"outputs/run/journal.jsonl", "logs/events.jsonl", "user_logs/std_log.txt"} <= set(files)
    assert not any("/model/" in each for each in files if "/trials/" in each)

    # The events are those of a run on this machine, in their order.
    stages = [event.stage for event in events if isinstance(event, StageFinished)]
    assert stages == ["data", "search", "select", "test", "register", "deploy"]
    kinds = [type(event) for event in events]
    assert kinds.index(DataLoaded) < kinds.index(SearchStarted) < kinds.index(TrialStarted) < kinds.index(TrialReported)
    curves = [
        [dict(event.numbers) for event in events if isinstance(event, TrialReported) and event.number == n]
        for n in (0, 1)
    ]
    assert curves == [[dict(numbers) for numbers in trial.history] for trial in outcome.trials]
    assert [event.trial.number for event in events if isinstance(event, TrialFinished)] == [0, 1]
    notices = [event.text for event in events if isinstance(event, Noticed)]
    assert notices.count(sdk.NOTICE) == 1
    assert any("MB with 3 wheels" in each for each in notices)

    # No secret is in the journal, the report, the events, or what the steps left.
    written = [path.read_bytes() for path in outcome.folder.rglob("*") if path.is_file()]
    written += [repr(events).encode(), *(azure.storage.blobs[name].data for name in azure.storage.blobs)]
    for secret in azure.secrets:
        assert not any(secret.encode() in each for each in written)


def test_a_run_survives_throttling_errors_and_cut_connections(azure: Azure, toy: Path) -> None:
    azure.fail("POST", "PipelineRuns/Unsubmitted", too_many_requests())
    azure.fail("POST", "/Modules$", server_error())
    azure.fail("PUT", r"blob\.core\.windows\.net/snapshots/.*whl", cut="upload")
    azure.fail("GET", r"/children", server_error(), times=4, after=3)
    azure.fail("GET", r"PipelineRuns/", too_many_requests(), after=2)
    outcome, events = run(toy)
    assert outcome.promoted
    assert all(each.struck for each in azure.faults), azure.faults
    assert len(azure.v1.pipelines.submissions) == 1
    assert [event.trial.state for event in events if isinstance(event, TrialFinished)] == ["finished", "finished"]


def test_a_pipeline_that_failed_says_why_and_is_submitted_again_with_the_trials_it_has(azure: Azure, toy: Path) -> None:
    azure.v1.execution.failing[STEPS.decide] = "The image could not be built: no space left."
    with pytest.raises(
        StageError, match=r"Register_Best_Model ended as Failed: The image could not be built"
    ) as caught:
        run(toy)
    assert "submits the pipeline again" in caught.value.hint
    failed = ledger.runs()[0]
    assert failed.failure
    assert len(failed.trials()) == 2, "the results of the trials are kept"
    assert (failed.folder / "report.html").is_file()
    azure.v1.execution.failing.clear()
    outcome, _ = run(toy)
    assert outcome.promoted
    assert outcome.run == failed.run
    assert len(azure.v1.pipelines.submissions) == 2
    assert len(started(azure, "trial.py")) == 2, "no trial was trained twice"


def test_the_error_of_a_step_that_failed_is_shown(azure: Azure, toy: Path) -> None:
    overrides = {"backbone.fault": "error", "search.trials": 1}
    with pytest.raises(
        StageError,
        match=r"none of the 1 trials finished; the last failure: fit of .* failed: RuntimeError: told to fail",
    ):
        run(toy, overrides)


def test_trials_without_metrics_do_not_win(azure: Azure, toy: Path) -> None:
    azure.v1.execution.mute = {1}
    outcome, _ = run(toy)
    assert [trial.state for trial in outcome.trials] == ["finished", "failed"]
    assert outcome.trials[1].values == {"learning_rate": 1.0}
    assert "reported no metric" in outcome.trials[1].error
    assert outcome.best.number == 0
    azure.v1.execution.mute = {0, 1}
    with pytest.raises(StageError, match="none of the 2 trials finished"):
        run(toy, fresh=True)


def test_a_trial_that_the_policy_ended_has_its_curve(azure: Azure, toy: Path) -> None:
    overrides = {"search.space.learning_rate": [1.0, 0.0001], "search.policy": {"use": "bandit", "slack_factor": 0.0}}
    outcome, _ = run(toy, overrides)
    first, stopped = outcome.trials
    assert (first.state, stopped.state) == ("finished", "stopped")
    assert 1 <= len(stopped.history) < 3
    assert set(first.metrics) == set(stopped.metrics)
    assert outcome.best == first


def test_a_client_that_was_killed_attends_the_pipeline_again(azure: Azure, toy: Path) -> None:
    gate = azure.v1.execution.before[STEPS.decide] = threading.Event()
    client = subprocess.Popen(
        [sys.executable, "-m", "ftkit.cli", "run", str(toy), "--set", "search.sampler=grid", "--json"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ},
    )
    assert client.stdout is not None
    for line in client.stdout:
        if json.loads(line)["event"] == "trial-finished":
            break
    client.send_signal(signal.SIGKILL)
    client.wait()
    gate.set()
    assert cli.main(["run", "--resume", "--plain"]) == 0
    assert len(azure.v1.pipelines.submissions) == 1
    assert len(ledger.runs()) == 1
    assert ledger.runs()[0].finished
    assert cli.main(["run", "--resume"]) == 2, "there is nothing to go on with"


def test_a_client_that_was_killed_while_it_submitted_finds_its_pipeline(azure: Azure, toy: Path) -> None:
    process: dict[str, int] = {}
    azure.fail(
        "POST", "PipelineRuns/Submit", cut="answer", times=9, then=lambda: os.kill(process["pid"], signal.SIGKILL)
    )
    command = [sys.executable, "-m", "ftkit.cli", "run", str(toy), "--set", "search.sampler=grid", "--json"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as client:
        process["pid"] = client.pid
    assert client.returncode == -signal.SIGKILL
    azure.faults.clear()
    outcome, events = run(toy)
    assert outcome.promoted
    assert len(azure.v1.pipelines.submissions) == 1
    assert sdk.NOTICE not in [event.text for event in events if isinstance(event, Noticed)]


def test_a_trial_whose_machine_is_taken_away_goes_on_from_its_checkpoint(azure: Azure, toy: Path) -> None:
    outcome, events = preemption.run(azure, toy.parent, "hyperdrive", STEPS.decide)
    preemption.check(azure, outcome, events, toy.parent)
    search, decide, deploy = azure.v1.pipelines.submissions[-1].nodes
    assert (search.inputs, deploy.inputs) == ({"checkpoints": "ftkit/checkpoints"}, {})
    assert decide.inputs == search.inputs, "what a trial has left that was ended early is removed there"


def test_a_trial_of_two_processes_whose_machine_is_taken_away_ends_as_one_process_does(azure: Azure, toy: Path) -> None:
    outcome, events = together.run(azure, toy.parent, "hyperdrive")
    together.check(azure, outcome, events, toy.parent)
    definition = json.loads(parameters(azure, STEPS.search)["HyperDriveRunConfig"])["platform_config"]["Definition"]
    sent = definition["Overrides"]
    assert (sent["framework"], sent["nodeCount"], sent["pytorch"]["processCount"]) == ("PyTorch", 1, 2)


def test_the_pipeline_is_published(azure: Azure, toy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("search.sampler=grid", "search.checkpoint=10m", "run.tier=low-priority")
    assert cli.main(["publish", str(toy), *(f"--set={each}" for each in options), "--json"]) == 0
    captured = capsys.readouterr()
    shown = json.loads(captured.out)
    published = azure.v1.pipelines.published[-1]
    assert (shown["pipeline"], shown["name"]) == (published["Id"], "toy")
    assert shown["endpoint"] == published["Url"]
    assert "2026-06-30" in captured.err
    notice = "The cluster gpu-cluster has dedicated machines, and run.tier is low-priority: it is used as it is."
    assert notice in " ".join(captured.err.split())
    assert not azure.v1.pipelines.submissions
    assert not ledger.runs()


def test_publishing_recommends_the_platform_whose_sdk_is_supported(
    toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toy.write_text(toys.RECIPE)
    assert cli.main(["publish", str(toy)]) == 2
    assert "--on azureml" in capsys.readouterr().err


def test_a_plan_shows_the_pipeline_and_asks_no_service(
    azure: Azure, toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["plan", str(toy)]) == 0
    shown = capsys.readouterr().out
    order = [shown.index(name) for name in STEPS]
    assert order == sorted(order)
    assert "RANDOM over --learning_rate choice(0.0005, 1); MAXIMIZE roc_auc" in shown
    assert f"ftkit-hyperdrive {version('ftkit-hyperdrive')}" in shown
    assert not azure.exchanges


def test_missing_clusters_are_created_when_asked(azure: Azure, toy: Path) -> None:
    azure.workspace.clusters.clear()
    overrides = {
        "run.create_clusters": True,
        "run.gpu_size": "Standard_NC6s_v3",
        "run.max_nodes": 2,
        "run.tier": "low-priority",
    }
    assert (
        cli.main(["publish", str(toy), *(f"--set={key}={json.dumps(value)}" for key, value in overrides.items())]) == 0
    )
    clusters = {name: each["properties"]["properties"] for name, each in azure.workspace.clusters.items()}
    assert clusters["gpu-cluster"]["vmSize"] == "Standard_NC6s_v3"
    assert [clusters[name]["vmPriority"] for name in ("gpu-cluster", "cpu-cluster")] == ["lowpriority", "dedicated"]
    assert clusters["cpu-cluster"]["scaleSettings"]["maxNodeCount"] == 2
    assert clusters["cpu-cluster"]["scaleSettings"]["minNodeCount"] == 0
    assert azure.workspace.clusters["cpu-cluster"]["identity"]["type"] == "SystemAssigned"


ENCODER = """\
name = "tiny"
seed = 7

[dataset]
use = "table"
path = "reviews.jsonl"

[backbone]
use = "bert-base-cased"
checkpoint = "./checkpoint"
epochs = 2
batch_size = 16
max_length = 32

[search]
metric = "roc_auc"
trials = 2
sampler = "grid"
space.learning_rate = [1e-7, 3e-3]
confirm = { top = 1, seeds = 1 }

[[promote]]
use = "metric-floor"
floor = 0.2

[[promote]]
use = "served-parity"

[registry]
use = "mlflow"
model = "tiny"

[deploy]
use = "local"
endpoint = "tiny"

[rollout]
bake = 0.0

[run.hyperdrive]
poll = 0.3
processes = 2
"""


def test_an_encoder_is_fine_tuned_in_the_steps_and_answers_here(
    azure: Azure, azure_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from ftkit.testing.backbones import tiny_bert

    tiny_bert(azure_folder / "checkpoint")
    texts = [{"text": f"{word} lamp number {n}", "label": label} for n in range(40) for word, label in _WORDS]
    (azure_folder / "reviews.jsonl").write_text("".join(json.dumps(each) + "\n" for each in texts))
    (azure_folder / "tiny.toml").write_text(ENCODER)
    try:
        code = cli.main(["run", "tiny.toml", "--on", "hyperdrive", "--json"])
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert code == 0, lines[-1]
        outcome = lines[-1]
        assert [trial["state"] for trial in outcome["trials"]] == ["finished"] * 3
        assert outcome["trials"][2]["repeats"] is not None
        assert parameters(azure, STEPS.decide)["Target"] == "gpu-cluster", (
            "the repeats are trained where the trials are"
        )
        opened = bundle.verify(Path(outcome["bundle"]))
        deployer = known_endpoints.known()["tiny"]
        request = {"data": [{"text": "good lamp number 3"}, {"text": "bad lamp"}, {"text": ""}]}
        answers = opened.predict([each["text"] for each in request["data"]])
        assert deployer.invoke(request) == answers
        tree = azure.v1.snapshots.trees[next(iter(azure.v1.snapshots.trees))]
        sent = [each["FullName"] for each in tree["FileRevisionList"]["FileNodes"]]
        assert "files/dataset.path/reviews.jsonl" in sent
        assert any(each.startswith("files/backbone.checkpoint/checkpoint/") for each in sent)
        wheels = sorted(each.split("-")[0].removeprefix("wheels/") for each in sent if each.startswith("wheels/"))
        assert wheels == [
            "ftkit",
            "ftkit_azure",
            "ftkit_bert",
            "ftkit_hyperdrive",
            "ftkit_linear",
            "ftkit_strict",
            "ftkit_tables",
        ]
    finally:
        for deployer in known_endpoints.known().values():
            deployer.stop()


_WORDS = (("good", "good"), ("bad", "bad"), ("fine", "good"), ("awful", "bad"))
