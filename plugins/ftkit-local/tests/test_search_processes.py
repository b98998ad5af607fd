"""Trials of two processes: the first one reports and saves, and all end together."""

import queue
import signal
import time

import psutil
import pytest

from ftkit.errors import StageError
from ftkit.recipe import loader
from ftkit.runs import ledger
from ftkit.searching import process
from ftkit.searching.options import ProcessOptions
from ftkit.searching.process import ProcessWorkers
from ftkit.testing import toys
from ftkit.testing.backbones import tiny_bert

RECIPE = """
name = "two"
seed = 7
[dataset]
use = "toy-reviews"
[backbone]
use = "bert-base-cased"
checkpoint = "{checkpoint}"
epochs = 2
batch_size = 8
learning_rate = 3e-3
max_length = 32
[search]
checkpoint = "1h"
[run]
on = "local"
processes = 2
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder where the toys are installed, with the pretrained weights and a run that has its data."""
    folder = tmp_path_factory.mktemp("processes")
    with toys.install(folder / "plugins"):
        plan = loader.loads(RECIPE.format(checkpoint=tiny_bert(folder / "tiny")))
        book = ledger.at(folder / "run", plan.name, plan.text)
        book.store_data(plan.dataset.load(plan.seed, lambda event: None))
        yield plan, book


class Trial:
    """An attempt of a trial of two processes, whose messages are answered by hand."""

    def __init__(self, home, number):
        plan, book = home
        self.folder = book.trial_folder(number)
        self.inbox = queue.SimpleQueue()
        job = {
            "recipe": plan.text, "run": str(book.folder), "number": number, "attempt": 1, "values": {}, "seed": 7,
            "processes": 2,
        }  # fmt: skip
        self.process = ProcessWorkers(plan.platform, 1, 60.0).start(job, self.folder / "trial.log", 0, self.inbox)

    def message(self, kind):
        """The next message, which must be of this kind."""
        message = self.inbox.get(timeout=120)[1]
        assert message["kind"] == kind, (message, self.log)
        return message

    def answer(self, go):
        self.process.send({"go": go, "best": True})

    @property
    def log(self):
        return (self.folder / "trial.log").read_text()

    @property
    def follower(self):
        (follower,) = [
            each
            for each in psutil.Process(self.process.pid).children()
            if "ftkit.searching.followers" in each.cmdline()
        ]
        return follower


def await_end_of(follower):
    deadline = time.monotonic() + 15
    while follower.is_running() and follower.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "it outlived the trial"
        time.sleep(0.05)


def test_a_stop_reaches_both_processes(home):
    trial = Trial(home, 0)
    trial.message("report")
    follower = trial.follower
    trial.answer(False)
    trial.message("stopped")
    trial.message("exited")
    await_end_of(follower)
    assert not (trial.folder / "model").exists()


def test_a_process_that_dies_ends_the_other_and_is_one_failure(home):
    trial = Trial(home, 1)
    trial.message("report")
    trial.follower.send_signal(signal.SIGKILL)
    trial.answer(True)
    failure = trial.message("failed")
    assert failure["error"] == "process 2 of 2: killed (SIGKILL), probably out of memory"
    assert not failure.get("hopeless")
    trial.message("exited")


def test_a_trial_that_is_asked_to_end_goes_on_with_both_processes(home):
    first = Trial(home, 2)
    first.message("report")
    follower = first.follower
    first.process.terminate()
    first.answer(True)
    first.message("exited")
    await_end_of(follower)
    again = Trial(home, 2)
    assert [each["epoch"] for each in again.message("resumed")["history"]] == [1]
    assert again.message("report")["numbers"]["epoch"] == 2
    again.answer(True)
    again.message("finished")
    again.message("exited")
    assert (again.folder / "model" / "model.safetensors").is_file()


def test_cores_are_divided_among_the_processes(monkeypatch):
    monkeypatch.setattr(process.usage, "cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    workers = ProcessWorkers(ProcessOptions(processes=2, devices=()), 2)
    assert workers._variables["OMP_NUM_THREADS"] == "2"


def test_fewer_gpus_than_processes_are_refused():
    with pytest.raises(StageError, match="a trial of 2 processes needs as many GPUs, and gets 1 GPU"):
        ProcessWorkers(ProcessOptions(processes=2, devices=("0",)), 1)
    ProcessWorkers(ProcessOptions(processes=2, devices=("0", "1")), 1)
