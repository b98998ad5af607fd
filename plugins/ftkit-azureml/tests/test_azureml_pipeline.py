"""A recipe as a pipeline with a sweep against the loopback Azure: the real SDK, and steps that really run."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from ftkit_azureml import sweep
from ftkit_azureml.job import STEPS
from ftkit_local.deployer import LocalDeployer

from ftkit import cli, runner
from ftkit.bundle import bundle
from ftkit.contracts.settings import Rollout
from ftkit.errors import RecipeError, StageError
from ftkit.events import Event, StageFinished, TrialFinished, TrialReported
from ftkit.recipe import loader
from ftkit.runs import ledger
from ftkit.stages.rollout import roll_out
from ftkit.testing import toys
from ftkit.testing.backbones import tiny_bert
from tests.azure import preemption, together
from tests.azure.faults import server_error, too_many_requests

if TYPE_CHECKING:
    from ftkit.contracts import Outcome
    from tests.azure.azure import Azure

RECIPE = (
    toys.RECIPE.replace('on = "local"', 'on = "azureml"\npoll = 0.5')
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
    events: list[Event] = []
    plan = loader.load(path, {"search.sampler": "grid", **(overrides or {})}, **options)
    return runner.run(plan, events.append), events


def test_the_steps_search_decide_and_end_as_a_local_run(azureml: Azure, toy: Path) -> None:
    outcome, events = run(toy, {"search.policy": {"use": "bandit", "slack_factor": 0.1, "interval": 5}})
    assert (outcome.promoted, outcome.exit_code) == (True, 0)
    assert [trial.values for trial in outcome.trials] == [{"learning_rate": 0.0005}, {"learning_rate": 1.0}]
    assert outcome.best.number == 1
    opened = bundle.verify(outcome.bundle)
    assert opened.predict(["the lamp is sturdy and bright", "it broke, a cheap refund"]) == ["good", "bad"]

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
    stages = [event.stage for event in events if isinstance(event, StageFinished)]
    assert stages[:4] == ["data", "search", "select", "test"]
    curves = [
        [dict(event.numbers) for event in events if isinstance(event, TrialReported) and event.number == n]
        for n in (0, 1)
    ]
    assert curves == [list(map(dict, trial.history)) for trial in outcome.trials]

    # No secret is in the journal, the report, the events, or what the steps left.
    written = [path.read_bytes() for path in outcome.folder.rglob("*") if path.is_file()]
    written += [repr(events).encode(), *(blob.data for blob in azureml.storage.blobs.values())]
    for secret in azureml.secrets:
        assert not any(secret.encode() in each for each in written)


def test_an_encoder_goes_from_rows_to_live_traffic_by_the_steps_and_answers_as_the_local_endpoint_does(
    azureml: Azure, azure_scoring: Azure, toy: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from tests.azure.v2.endpoints import KEY

    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    checkpoint = tiny_bert(tmp_path_factory.mktemp("tiny") / "checkpoint")
    toy.write_text(
        RECIPE.replace(
            'use = "toy-words"', f'use = "bert-base-cased"\ncheckpoint = "{checkpoint}"\nepochs = 6\nbatch_size = 8'
        ).replace("[0.0005, 1.0]", "[0.000001, 0.003]")
    )
    overrides = {
        "registry": {"use": "azureml", "model": "toys"},
        "deploy": {"use": "managed-endpoint", "endpoint": "toy-endpoint"},
    }
    outcome, events = run(toy, overrides)
    assert outcome.promoted
    assert outcome.best.values == {"learning_rate": 0.003}
    assert outcome.version is not None
    assert outcome.version.aliases == ("champion",)
    assert outcome.endpoint is not None
    assert outcome.endpoint.traffic == {outcome.deployment: 100}
    stages = [event.stage for event in events if isinstance(event, StageFinished)]
    assert stages == ["data", "search", "select", "test", "register", "deploy"]

    texts = ["sturdy bright easy perfect quiet solid", "broke cheap refund noisy cracked useless"]
    request = {"data": [{"text": each} for each in texts], "scores": True}
    local = LocalDeployer(endpoint="toy-endpoint", threads=1)
    try:
        roll_out(local, bundle.verify(outcome.bundle), "blue", Rollout(bake=0.0, poll=0.05), lambda _: None)
        here = local.describe()
        assert here is not None
        with requests.Session() as direct:
            direct.trust_env = False
            one = direct.post(here.url, json=request, headers={"Authorization": f"Bearer {here.key}"}, timeout=60)
    finally:
        local.stop()
    other = requests.post(outcome.endpoint.url, json=request, headers={"Authorization": f"Bearer {KEY}"}, timeout=60)
    assert [each["label"] for each in one.json()] == ["good", "bad"]
    assert other.content == one.content

    deployed = azureml.endpoints.deployments["toy-endpoint", outcome.deployment]["properties"]
    code = azureml.assets.find(deployed["codeConfiguration"]["codeId"])
    assert code is not None
    names = azureml.assets.files(code["properties"]["codeUri"])[1]
    assert any("wheels/ftkit-" in each for each in names), "the step took along again what travelled with it"


def test_a_run_survives_throttling_errors_and_cut_connections(azureml: Azure, toy: Path) -> None:
    azureml.fail("PUT", "/jobs/", too_many_requests())
    azureml.fail("PUT", "/environments/", server_error())
    azureml.fail("PUT", r"blob\.core\.windows\.net/.*whl", cut="upload")
    azureml.fail("GET", r"/jobs/", server_error())
    azureml.fail("GET|POST", r"/history/", too_many_requests(), after=2)
    outcome, events = run(toy)
    assert outcome.promoted
    assert all(each.struck for each in azureml.faults), azureml.faults
    assert len(azureml.jobs.submitted) == 1
    assert [event.trial.state for event in events if isinstance(event, TrialFinished)] == ["finished", "finished"]


def test_a_job_that_failed_says_why_and_is_submitted_again_with_the_trials_it_has(azureml: Azure, toy: Path) -> None:
    azureml.v1.execution.failing[STEPS.decide] = "The image could not be built: no space left."
    with pytest.raises(StageError, match=rf"{STEPS.decide} ended as Failed: The image could not be built") as caught:
        run(toy)
    assert "submits the pipeline again" in caught.value.hint
    failed = ledger.runs()[0]
    assert len(failed.trials()) == 2, "the results of the trials are kept"
    azureml.v1.execution.failing.clear()
    outcome, _ = run(toy)
    assert outcome.promoted
    assert outcome.run == failed.run
    assert len(azureml.jobs.submitted) == 2
    trained = [each for each in azureml.jobs.commands.values() if "trial.py" in each]
    assert len(trained) == 2, "no trial was trained twice"


def test_trials_without_metrics_do_not_win(azureml: Azure, toy: Path) -> None:
    azureml.v1.execution.mute = {1}
    outcome, _ = run(toy)
    assert [trial.state for trial in outcome.trials] == ["finished", "failed"]
    assert outcome.trials[1].values == {"learning_rate": 1.0}
    assert "reported no metric" in outcome.trials[1].error
    assert outcome.best.number == 0


def test_nothing_is_decided_where_no_trial_left_a_metric(azureml: Azure, toy: Path) -> None:
    azureml.v1.execution.mute = {0, 1}
    with pytest.raises(StageError, match="none of the 2 trials finished"):
        run(toy)


def test_a_client_that_was_killed_attends_the_pipeline_again(azureml: Azure, toy: Path) -> None:
    gate = azureml.v1.execution.before[STEPS.decide] = threading.Event()
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
    assert len(azureml.jobs.submitted) == 1
    assert len(ledger.runs()) == 1
    assert ledger.runs()[0].finished


def test_a_client_that_was_killed_while_it_submitted_finds_its_pipeline(azureml: Azure, toy: Path) -> None:
    process: dict[str, int] = {}
    azureml.fail("PUT", "/jobs/", cut="answer", times=9, then=lambda: os.kill(process["pid"], signal.SIGKILL))
    command = [sys.executable, "-m", "ftkit.cli", "run", str(toy), "--set", "search.sampler=grid", "--json"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as client:
        process["pid"] = client.pid
    assert client.returncode == -signal.SIGKILL
    azureml.faults.clear()
    outcome, _ = run(toy)
    assert outcome.promoted
    assert len(azureml.jobs.submitted) == 1


def test_a_trial_whose_machine_is_taken_away_goes_on_from_its_checkpoint(azureml: Azure, toy: Path) -> None:
    outcome, events = preemption.run(azureml, toy.parent, "azureml", STEPS.decide)
    preemption.check(azureml, outcome, events, toy.parent)
    (submitted,) = azureml.jobs.submitted.values()
    search, decide, deploy = submitted["jobs"].values()
    mounted = {
        "uri": "azureml://datastores/workspaceblobstore/paths/ftkit/checkpoints/",
        "mode": "ReadWriteMount",
        "job_output_type": "uri_folder",
    }
    assert search["outputs"]["checkpoints"] == mounted
    assert decide["outputs"]["checkpoints"] == mounted, "what a trial has left that was ended early is removed there"
    assert "checkpoints" not in (deploy.get("outputs") or {})


def test_a_trial_of_two_processes_whose_machine_is_taken_away_ends_as_one_process_does(
    azureml: Azure, toy: Path
) -> None:
    outcome, events = together.run(azureml, toy.parent, "azureml")
    together.check(azureml, outcome, events, toy.parent)
    (submitted,) = azureml.jobs.submitted.values()
    component = azureml.assets.find(submitted["jobs"][STEPS.search]["trial"]["componentId"])
    assert component is not None
    distribution = component["properties"]["componentSpec"]["distribution"]
    assert distribution == {"type": "pytorch", "process_count_per_instance": 2}


def test_the_pipeline_is_published_as_a_component(
    azureml: Azure, toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("search.sampler=grid", "search.checkpoint=10m", "run.tier=low-priority")
    assert cli.main(["publish", str(toy), *(f"--set={each}" for each in options), "--json"]) == 0
    captured = capsys.readouterr()
    shown = json.loads(captured.out)
    notice = "The cluster gpu-cluster has dedicated machines, and run.tier is low-priority: it is used as it is."
    assert notice in " ".join(captured.err.split())
    assert (shown["name"], shown["version"]) == ("ftkit_toy", "1")
    component = azureml.assets.versions["components", "ftkit_toy", "1"]["properties"]["componentSpec"]
    assert component["type"] == "pipeline"
    assert list(component["jobs"]) == list(STEPS)
    assert component["jobs"][STEPS.search]["search_space"] == {
        "learning_rate": {"type": "choice", "values": [0.0005, 1.0]}
    }
    assert not azureml.jobs.submitted
    assert not ledger.runs()


def test_a_plan_shows_the_pipeline_and_asks_no_service(
    azureml: Azure, toy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["plan", str(toy), "--set=search.checkpoint=10m", "--set=run.tier=low-priority"]) == 0
    shown = capsys.readouterr().out
    order = [shown.index(name) for name in STEPS]
    assert order == sorted(order)
    assert "random over learning_rate choice(0.0005, 1); maximize roc_auc" in shown
    assert "gpu-cluster is taken to have low-priority machines" in shown
    assert "every 10m in ftkit/checkpoints of the workspace's default datastore" in " ".join(shown.split())
    assert not azureml.exchanges


def test_a_cluster_that_is_not_there(azureml: Azure, toy: Path) -> None:
    with pytest.raises(StageError, match="the workspace has no cluster 'a100s'") as caught:
        run(toy, {"run.gpu_cluster": "a100s"})
    assert "cpu-cluster" in caught.value.hint
    assert not azureml.jobs.submitted
    assert not azureml.assets.versions


def test_missing_clusters_are_created_when_asked(azureml: Azure, toy: Path) -> None:
    azureml.workspace.clusters.clear()
    overrides = {
        "run.create_clusters": True,
        "run.gpu_size": "Standard_NC6s_v3",
        "run.max_nodes": 2,
        "run.tier": "low-priority",
    }
    assert (
        cli.main(["publish", str(toy), *(f"--set={key}={json.dumps(value)}" for key, value in overrides.items())]) == 0
    )
    clusters = {name: each["properties"]["properties"] for name, each in azureml.workspace.clusters.items()}
    assert clusters["gpu-cluster"]["vmSize"] == "Standard_NC6s_v3"
    assert [clusters[name]["vmPriority"] for name in ("gpu-cluster", "cpu-cluster")] == ["LowPriority", "Dedicated"]
    assert clusters["cpu-cluster"]["scaleSettings"]["maxNodeCount"] == 2
    assert azureml.workspace.clusters["cpu-cluster"]["identity"]["type"] == "SystemAssigned"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"search.policy": "halving"}, "A sweep has no policy 'halving'"),
        ({"search.policy": "asha"}, "A sweep has no policy 'asha'"),
        ({"search.policy": {"use": "hyperband", "largest": 9}}, "A sweep has no policy 'hyperband'"),
        ({"search.max_minutes": 60}, "'azureml' ends no search by a budget"),
        ({"search.max_cost": 9, "search.price_per_trial_hour": 3}, "'azureml' ends no search by a budget"),
        ({"search.start_from": "toy-1"}, "'azureml' starts no search from an earlier run"),
        ({"search.sampler": "tpe", "search.policy": "median"}, "stops no trial early"),
        (
            {"search.sampler": "tpe", "search.space.learning_rate": {"low": 1e-5, "high": 1e-4, "log": True}},
            "no logarithmic scale",
        ),
        ({"search.trials": 1001}, "at most 1000 trials"),
        ({"search.space.fault": ["it's"]}, "fault"),
        ({"run.offline": True}, "needs connections"),
        ({"run.data": {"dataset.files": "reviews"}}, "has no option 'files'"),
        ({"run.gpu_cluster": "g"}, "2 to 24"),
        ({"run.workspace": "alone"}, "together"),
        ({"run.snapshot_mb": 301}, "at most 300"),
    ],
)
def test_what_a_sweep_cannot_express_is_refused_when_the_recipe_is_loaded(
    toy: Path, overrides: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        loader.load(toy, overrides)


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ([3.5e-5, 1], {"type": "choice", "values": [3.5e-5, 1]}),
        (
            {"low": 1e-5, "high": 1e-4, "log": True},
            {"type": "loguniform", "min_value": math.log(1e-5), "max_value": math.log(1e-4)},
        ),
        ({"low": 0.1, "high": 0.3}, {"type": "uniform", "min_value": 0.1, "max_value": 0.3}),
        (
            {"low": 2.0, "high": 5000.0, "step": 2.0},
            {"type": "quniform", "min_value": 2.0, "max_value": 5000.0, "q": 2.0},
        ),
    ],
)
def test_a_searched_number_is_translated_one_to_one(toy: Path, written: Any, sent: dict[str, Any]) -> None:
    (distribution,) = sweep.space(loader.load(toy, {"search.space.learning_rate": written})).values()
    assert {key: value for key, value in vars(distribution).items() if value is not None} == sent


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ({"use": "bandit", "slack_amount": 0.2, "delay": 2}, {"slack_amount": 0.2, "delay_evaluation": 2}),
        ({"use": "median", "interval": 2}, {"evaluation_interval": 2, "delay_evaluation": 0}),
        ({"use": "truncation", "percentage": 30}, {"truncation_percentage": 30, "evaluation_interval": 1}),
    ],
)
def test_a_policy_is_translated_one_to_one(toy: Path, written: Any, sent: dict[str, Any]) -> None:
    policy = sweep.policy(loader.load(toy, {"search.policy": written}))
    assert sent.items() <= vars(policy).items()
    assert sweep.policy(loader.load(toy, {"search.policy": "none"})) is None
