"""The platform on a cluster of two nodes: the conformance kit, the same results as `local`, and nodes, workers and drivers that die."""

import dataclasses
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from ftkit_ray import access
from ftkit_ray.platform import RayPlatform

from ftkit import events, runner
from ftkit.bundle import bundle
from ftkit.errors import RecipeError, SearchError, StageError
from ftkit.evaluation import metrics
from ftkit.runs import ledger
from ftkit.testing import toys
from ftkit.testing.platforms import PlatformSuite

SEARCH = {
    "search.trials": 4,
    "search.concurrency": 2,
    "search.sampler": "random",
    "search.space.learning_rate": [0.001, 0.01, 0.1, 0.3, 1.0],
    "backbone.epochs": 2,
}
"""One search, which every platform has to end with the same winner."""


@pytest.fixture
def on_ray(ray_cluster, tmp_path, monkeypatch):
    """Makes the platform for the cluster, with a folder of the test on every node; the toys are there too."""
    monkeypatch.setenv("RAY_AUTH_TOKEN", ray_cluster.token)

    def platform(**options):
        variables = {"PYTHONPATH": os.environ["PYTHONPATH"], toys.HOLD: str(tmp_path / "hold")}
        return RayPlatform(
            address=ray_cluster.address, storage=str(tmp_path / "node"), environment=variables, cpus=1, **options
        )

    return platform


@pytest.fixture
def installed(tmp_path, monkeypatch):
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))
    with toys.install(tmp_path / "plugins"):
        yield


@pytest.fixture(scope="module")
def on_local(tmp_path_factory):
    """How the search ends on this machine: the winner's number and seed, and the hash of its weights."""
    folder = tmp_path_factory.mktemp("local")
    with pytest.MonkeyPatch.context() as patched, toys.install(folder / "plugins"):
        patched.setenv("FTKIT_HOME", str(folder / "home"))
        return ending(runner.run(toys.plan(folder, SEARCH), lambda event: None))


def ending(outcome):
    manifest = bundle.verify(outcome.bundle).manifest
    return outcome.best.number, outcome.best.seed, manifest["files"]["model/weights.npy"]


def of(kind, emitted):
    return [event for event in emitted if isinstance(event, kind)]


def alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def environment_of(pid):
    """Linux shows an empty environment for a moment after a process was started: its start is told before it has got far."""
    deadline = time.monotonic() + 60
    while not (text := Path(f"/proc/{pid}/environ").read_text()):
        assert time.monotonic() < deadline, f"process {pid} has no environment"
        time.sleep(0.01)
    return dict(entry.split("=", 1) for entry in text.split("\0") if entry)


def held(folder):
    """A file that keeps every trial in its first epoch until the test has done something to one of them."""
    hold = folder / "hold"
    hold.touch()
    return hold


class TestRayPlatform(PlatformSuite):
    @pytest.fixture
    def component(self, on_ray):
        return on_ray()


def test_a_search_ends_as_on_local_and_leaves_nothing_on_the_nodes(
    on_ray, on_local, installed, tmp_path, ray_eventually
):
    plan = dataclasses.replace(toys.plan(tmp_path, SEARCH), platform=on_ray(sample_seconds=0.1))
    emitted, names, seen = [], set(), []
    handler = signal.getsignal(signal.SIGTERM)

    def tell(event):
        emitted.append(event)
        if isinstance(event, events.TrialStarted):
            seen.append(environment_of(event.pid))
            assert signal.getsignal(signal.SIGTERM) is handler, "Ray's own would keep ftkit from ending in order"
        if isinstance(event, events.TrialReported):
            # os.walk passes over what is removed meanwhile, as the files of a trial that has ended.
            names.update(name for _, *folders in os.walk(tmp_path / "node") for name in itertools.chain(*folders))

    outcome = runner.run(plan, tell)
    assert ending(outcome) == on_local
    assert [variables["CUDA_VISIBLE_DEVICES"] for variables in seen] == [""] * 4
    assert [variables["OMP_NUM_THREADS"] for variables in seen] == ["1"] * 4
    assert "the trials use none: run.gpus is 0" in of(events.Noticed, emitted)[-1].text
    assert "train.arrow" in names
    assert not [name for name in names if "test" in name], "the test rows are no business of a node"
    started = of(events.TrialStarted, emitted)
    assert {event.node for event in started} == {"first", "second"}
    assert [event.number for event in of(events.TrialSampled, emitted)]
    book = ledger.Ledger(outcome.bundle.parent)
    labels = book.data(("train", "valid")).valid.labels
    for trial in outcome.trials:
        folder = book.trial_folder(trial.number)
        assert "values" in (folder / "trial.log").read_text()
        assert trial.resources["memory_peak_mb"] > 20
        assert metrics.scores(np.load(folder / "valid.npy"), labels) == pytest.approx(trial.metrics)
    ray_eventually(lambda: not list((tmp_path / "node").iterdir()), "a node kept files")
    assert not any(alive(event.pid) for event in started)


def test_a_node_that_dies_costs_its_trials_unsaved_work_alone(
    on_ray, on_local, installed, tmp_path, ray_cluster, ray_eventually
):
    hold = held(tmp_path)
    plan = dataclasses.replace(toys.plan(tmp_path, SEARCH), platform=on_ray(retries=0))
    emitted = []

    def tell(event):
        emitted.append(event)
        there = {
            started.number: started.pid for started in of(events.TrialStarted, emitted) if started.node == "second"
        }
        if isinstance(event, events.TrialReported) and event.number in there and hold.exists():
            ray_cluster.order("kill second")
            # What ran on a node notices its end a little later, and could end well until then.
            ray_eventually(lambda: not alive(there[event.number]), "a process outlived its node")
            hold.unlink()

    try:
        outcome = runner.run(plan, tell)
    finally:
        ray_cluster.order("add second")
    # What a trial waits in each epoch is no part of its weights.
    assert ending(outcome) == on_local
    retried = of(events.TrialRetried, emitted)
    # A trial may be sent to the node before Ray misses it: that one got no place there.
    assert {event.reason for event in retried if "got no place" not in event.reason} == {"the node second was lost"}
    facts = ledger.Ledger(outcome.bundle.parent).facts("trial-retried")
    assert all(fact["lost"] for fact in facts), "no `retries` are spent on it"
    assert all(trial.state == "finished" for trial in outcome.trials)


def test_a_worker_that_is_killed_goes_on_from_its_checkpoint_on_any_node(on_ray, on_local, installed, tmp_path):
    hold = held(tmp_path)
    overrides = SEARCH | {"backbone.delay": 0.1, "search.checkpoint": "0.01s"}
    plan = dataclasses.replace(toys.plan(tmp_path, overrides), platform=on_ray())
    emitted = []

    def tell(event):
        emitted.append(event)
        if isinstance(event, events.TrialReported) and hold.exists():
            (pid,) = [started.pid for started in of(events.TrialStarted, emitted) if started.number == event.number]
            os.kill(pid, signal.SIGKILL)
            hold.unlink()

    outcome = runner.run(plan, tell)
    assert ending(outcome) == on_local
    (retried,) = of(events.TrialRetried, emitted)
    assert retried.reason == "killed (SIGKILL), probably out of memory"
    assert outcome.trials[retried.number].attempts == 2
    assert "goes on from checkpoint" in (outcome.bundle.parent / f"trials/{retried.number:03d}/trial.log").read_text()
    assert not list((tmp_path / "node" / "ftkit-checkpoints").iterdir())


def test_checkpoints_need_a_folder_that_all_nodes_share(on_ray, installed, tmp_path):
    overrides = {"search.checkpoint": "1m", "run.on": "ray", "run.address": "head:6379"}
    with pytest.raises(RecipeError, match=r"search.checkpoint: .* share no folder"):
        toys.plan(tmp_path, overrides)
    toys.plan(tmp_path, overrides | {"run.storage": "/shared"})


def test_trials_are_stopped_by_the_policy_or_for_the_time_they_take(on_ray, installed, tmp_path):
    overrides = {"search.sampler": "grid", "search.policy": {"use": "bandit", "slack_factor": 0.1}}
    overrides |= {"search.space.learning_rate": [1.0, 0.0001], "search.trials": 2}
    plan = toys.plan(tmp_path, overrides)
    outcome = runner.run(dataclasses.replace(plan, platform=on_ray()), lambda event: None)
    assert [trial.state for trial in outcome.trials] == ["finished", "stopped"]
    assert (outcome.bundle.parent / "trials" / "001" / "valid.npy").is_file()

    plan = toys.plan(tmp_path, {"search.trials": 1, "backbone.fault": "hang", "backbone.fault_epoch": 1})
    platform = on_ray(timeout_minutes=0.01, sample_seconds=0.1)
    with pytest.raises(SearchError, match=r"killed: it took longer than timeout_minutes = 0\.01"):
        runner.run(dataclasses.replace(plan, platform=platform), lambda event: None)


def test_a_trial_sees_the_gpus_that_ray_gives_it_and_the_variables_of_the_recipe(on_ray, installed, tmp_path):
    platform = on_ray(gpus=1)
    platform = dataclasses.replace(platform, environment={**platform.environment, "FTKIT_CACHE": "/somewhere"})
    seen = []

    def tell(event):
        if isinstance(event, events.TrialStarted):
            seen.append((event.node, environment_of(event.pid)))

    plan = toys.plan(tmp_path, {"search.trials": 1, "backbone.epochs": 1})
    runner.run(dataclasses.replace(plan, platform=platform), tell)
    ((node, variables),) = seen
    assert node == "first", "the other has none"
    assert variables["CUDA_VISIBLE_DEVICES"] in ("0", "1")
    assert variables["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert variables["FTKIT_CACHE"] == "/somewhere"


REFUSED = {
    "cores": ({"cpus": 64}, "no node has what a trial needs: 64 CPU"),
    "graphics": ({"gpus": 4}, "no node has what a trial needs: 1 CPU, 4 GPU"),
    "other": ({"resources": {"TPU": 2}}, "no node has what a trial needs: 1 CPU, 2 TPU"),
    "storage": ({"storage": "/proc/none"}, "cannot store the run's data: FileNotFoundError"),
}


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=REFUSED)
def test_what_no_node_can_do_is_refused_at_once(on_ray, installed, tmp_path, options, message):
    plan = toys.plan(tmp_path, {"search.trials": 1})
    with pytest.raises(StageError, match=message) as caught:
        runner.run(dataclasses.replace(plan, platform=dataclasses.replace(on_ray(), **options)), lambda event: None)
    assert caught.value.hint


def test_a_node_with_another_version_of_a_plugin_is_refused(on_ray, installed, tmp_path):
    other = tmp_path / "other" / "ftkit_toys-2.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: ftkit-toys\nVersion: 2\n")
    platform = dataclasses.replace(on_ray(), environment={"PYTHONPATH": str(other.parent)})
    plan = dataclasses.replace(toys.plan(tmp_path, {"search.trials": 1}), platform=platform)
    with pytest.raises(StageError, match=r"has other versions than this machine: ftkit-toys 2 for 1\n"):
        runner.run(plan, lambda event: None)


TOKENS = {
    "wrong": ("wrong", "refuses the token of RAY_AUTH_TOKEN"),
    "missing": (None, "asks for a token, and there is none here"),
}


@pytest.mark.parametrize(("token", "message"), TOKENS.values(), ids=TOKENS)
def test_a_wrong_or_missing_token_is_named(ray_cluster, monkeypatch, tmp_path, token, message):
    monkeypatch.setenv("HOME", str(tmp_path))
    if token:
        monkeypatch.setenv("RAY_AUTH_TOKEN", token)
    with pytest.raises(StageError, match=message) as caught:
        access.admitted(ray_cluster.address)
    assert "ray get-auth-token" in caught.value.hint


def test_loopback_in_an_address_is_replaced_by_one_that_comes_through(ray_cluster, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", ray_cluster.token)
    port = ray_cluster.address.rpartition(":")[2]
    address, mode = access.admitted(f"localhost:{port}")
    assert mode == "token"
    assert not address.startswith(("localhost:", "127.0.0.1:"))


DRIVER = """
import dataclasses, json, os, sys
from pathlib import Path
from ftkit import runner
from ftkit.bundle import bundle
from ftkit.testing import toys
from ftkit_ray.platform import RayPlatform

folder, overrides, options = Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
with toys.install(folder / "plugins"):
    options["environment"] = {"PYTHONPATH": os.environ["PYTHONPATH"]}
    plan = dataclasses.replace(toys.plan(folder, overrides), platform=RayPlatform(**options))

    def tell(event):
        fields = vars(event)
        number = fields["trial"].number if "trial" in fields else fields.get("number", "")
        print(type(event).__name__, number, fields.get("pid", ""), flush=True)

    best = runner.run(plan, tell)
    print("ending", json.dumps([best.best.number, best.best.seed,
        bundle.verify(best.bundle).manifest["files"]["model/weights.npy"]]), flush=True)
"""


def test_a_driver_that_is_killed_leaves_nothing_behind_and_goes_on(ray_cluster, on_local, tmp_path, ray_eventually):
    variables = {"RAY_AUTH_TOKEN": ray_cluster.token, "FTKIT_HOME": str(tmp_path / "home")}
    options = {"address": ray_cluster.address, "storage": str(tmp_path / "node"), "cpus": 1}
    overrides = json.dumps(SEARCH | {"backbone.delay": 0.5})
    command = [sys.executable, "-c", DRIVER, str(tmp_path), overrides, json.dumps(options)]
    pids = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **variables}) as driver:
        assert driver.stdout is not None
        for line in driver.stdout:
            if line.startswith("TrialStarted"):
                pids.append(int(line.split()[2]))
            if line.startswith("TrialReported") and len(pids) > 2:
                driver.send_signal(signal.SIGKILL)
    assert driver.returncode == -signal.SIGKILL
    ray_eventually(lambda: not any(map(alive, pids)), "a worker outlived its driver")
    ray_eventually(lambda: not list((tmp_path / "node").iterdir()), "the data outlived the driver")
    again = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, **variables}, timeout=200
    )
    lines = [line.split(maxsplit=1) for line in again.stdout.splitlines()]
    assert sum(line[0] == "TrialFinished" for line in lines) < 4, "finished trials are not repeated"
    (last,) = [line[1] for line in lines if line[0] == "ending"]
    assert tuple(json.loads(last)) == on_local


COMMAND = """
import sys
from pathlib import Path
from ftkit.cli import main
from ftkit.testing import toys

folder = Path(sys.argv[1])
with toys.install(folder / "plugins"):
    (folder / "toy.toml").write_text(toys.RECIPE)
    changes = ["--set", "search.concurrency=2", "--set", "backbone.delay=60.0"]
    sys.exit(main(["run", str(folder / "toy.toml"), "--on", "ray", *changes]))
"""


def test_nothing_is_left_on_this_machine_after_ctrl_c(one_ray_at_a_time, ray_eventually, tmp_path):
    """With a Ray of the run's own."""
    scratch = Path("/tmp") / f"ft{os.getpid()}"
    scratch.mkdir()
    variables = {"FTKIT_HOME": str(tmp_path / "home"), "TMPDIR": str(scratch), "HOME": str(tmp_path)}
    with (
        one_ray_at_a_time,
        subprocess.Popen(
            [sys.executable, "-c", COMMAND, str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **variables},
            start_new_session=True,
        ) as command,
    ):
        assert command.stdout is not None
        family, lines = [], []
        for line in command.stdout:
            lines.append(line)
            if line.startswith("search: trial 1 starts"):
                family = psutil.Process(command.pid).children(recursive=True)
                os.killpg(command.pid, signal.SIGINT)
        assert command.wait(60) == 130, lines
    assert len(family) > 5, lines
    ray_eventually(lambda: not any(alive(process.pid) for process in family), "a process outlived the run")
    ray_eventually(lambda: not list(scratch.iterdir()), f"files were left: {list(scratch.iterdir())}")
    scratch.rmdir()
    assert not (tmp_path / ".ray").exists(), "the token is no file of the user's"
