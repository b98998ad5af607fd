"""Trials that go on inside after a kill of their worker or of the search, and after SIGTERM."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from ftkit import runner
from ftkit.events import Noticed
from ftkit.runs import ledger
from ftkit.testing import toys

RECIPE = toys.RECIPE.replace("trials = 2", 'trials = 1\ncheckpoint = "0.001s"').replace(
    '"toy-words"', '"toy-words"\nepochs = 5'
)
SLOW = ("--set", "backbone.delay=0.4")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    with toys.install(tmp_path / "plugins"):
        (tmp_path / "toy.toml").write_text(RECIPE)
        yield tmp_path


class Client:
    """`ftkit run` in a process of its own."""

    def __init__(self, folder, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ftkit", "run", str(folder / "toy.toml"), "--json", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def until_reported(self, epoch):
        """Wait for an evaluation; returns the process that trains."""
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == "trial-started":
                worker = event["pid"]
            if event["event"] == "trial-reported" and event["numbers"]["epoch"] == epoch:
                return worker
        pytest.fail(f"epoch {epoch} was not reported: {self.process.communicate()}")

    def end(self):
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err


def run_of(folder):
    return ledger.Ledger(next((folder / "home" / "runs").glob("*/journal.jsonl")).parent)


def essence(run):
    """What is the same however often a trial was interrupted: its evaluations and its model."""
    trial = run.trials()[0]
    model = run.folder / "bundle" / "model" / "weights.npy"
    return trial.state, list(trial.history), trial.metrics, model.read_bytes()


def check_went_on_inside(run, expected):
    """The trial reported every epoch once, went on from a checkpoint, and left none behind."""
    assert [fact["numbers"]["epoch"] for fact in run.facts("trial-reported")] == [1, 2, 3, 4, 5]
    log = (run.trial_folder(0) / "trial.log").read_text()
    assert re.search(r"goes on from checkpoint 0000\d\d", log)
    assert not (run.trial_folder(0) / "checkpoints").exists()
    assert essence(run) == expected


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """The essence of the run that nobody interrupts."""
    folder = tmp_path_factory.mktemp("straight")
    with pytest.MonkeyPatch.context() as patched, toys.install(folder / "plugins"):
        patched.setenv("FTKIT_HOME", str(folder / "home"))
        (folder / "toy.toml").write_text(RECIPE)
        return essence(ledger.Ledger(runner.run(plan_of(folder, {}), lambda event: None).folder))


def test_a_worker_that_is_killed_goes_on_inside_its_trial(folder, straight):
    fault = {"backbone.fault": "memory", "backbone.fault_epoch": 4, "backbone.fault_times": 1}
    outcome = runner.run(plan_of(folder, fault), lambda event: None)
    run = ledger.Ledger(outcome.folder)
    assert run.trials()[0].attempts == 2
    check_went_on_inside(run, straight)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_client_that_is_ended_goes_on_inside_the_trial(folder, straight, number):
    client = Client(folder, *SLOW)
    client.until_reported(2)
    os.kill(client.process.pid, number)
    code, _, error = client.end()
    assert code == (143 if number == signal.SIGTERM else -signal.SIGKILL)
    if number == signal.SIGTERM:
        sentence = " ".join(error.split())
        assert "Terminated. What finished is kept in" in sentence
        assert "the same command goes on from there, inside its trials, --fresh starts again." in sentence
    assert Client(folder, *SLOW).end()[0] == 0
    check_went_on_inside(run_of(folder), straight)


def test_a_worker_at_sigterm_writes_a_checkpoint_and_is_tried_again(folder, straight):
    client = Client(folder, *SLOW, "--set", "search.checkpoint=1h")
    os.kill(client.until_reported(2), signal.SIGTERM)
    assert client.end()[0] == 0
    run = run_of(folder)
    assert "killed by SIGTERM" in run.fact("trial-retried")["reason"]
    check_went_on_inside(run, straight)


def test_without_checkpoints_sigterm_ends_the_client_at_once(folder):
    (folder / "toy.toml").write_text(RECIPE.replace('checkpoint = "0.001s"', ""))
    client = Client(folder, "--set", "backbone.delay=30")
    for line in client.process.stdout:
        if json.loads(line)["event"] == "trial-started":
            break
    os.kill(client.process.pid, signal.SIGTERM)
    code, _, error = client.end()
    assert code == 143
    assert "the same command goes on from there, --fresh starts again." in " ".join(error.split())


def test_a_checkpoint_of_another_ftkit_is_told_and_the_trial_begins_anew(folder, straight):
    client = Client(folder, *SLOW)
    client.until_reported(2)
    os.kill(client.process.pid, signal.SIGTERM)
    client.end()
    run = run_of(folder)
    for manifest in run.trial_folder(0).glob("checkpoints/*/manifest.json"):
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "ftkit": "0.0.1"}))
    notices = []
    plan = plan_of(folder, {"backbone.delay": 0.4})
    runner.run(plan, lambda event: notices.append(event.text) if isinstance(event, Noticed) else None)
    run = run_of(folder)
    assert any("is not used: it was written by ftkit 0.0.1" in text for text in notices)
    assert [fact["number"] for fact in run.facts("trial-noticed")] == [0, 0]
    assert essence(run) == straight
    assert [fact["numbers"]["epoch"] for fact in run.facts("trial-reported")] == [1, 2, 3, 4, 5]


def plan_of(folder, overrides):
    from ftkit.recipe import loader

    return loader.load(folder / "toy.toml", overrides)
