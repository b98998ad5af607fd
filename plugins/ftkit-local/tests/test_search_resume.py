"""Searches that are killed, interrupted and resumed; and what becomes of their processes."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ftkit import runner
from ftkit.evaluation import selection
from ftkit.runs import ledger
from ftkit.testing import toys

DRIVER = """
import json, sys
from pathlib import Path
from ftkit import events
from ftkit.runs import ledger
from ftkit.testing import toys

folder, overrides = Path(sys.argv[1]), json.loads(sys.argv[2])
with toys.install(folder / "plugins"):
    plan = toys.plan(folder, overrides)
    book, resumed = ledger.begin(plan.name, plan.text)
    if book.fact("data") is None:
        book.store_data(plan.dataset.load(plan.seed, lambda event: None))

    def tell(event):
        fields = vars(event)
        number = fields["trial"].number if "trial" in fields else fields.get("number", "")
        print(type(event).__name__, number, fields.get("pid", ""), flush=True)

    with book.held():
        plan.platform.search(plan, book, tell)
    print("searched", [name for name in ("torch", "transformers") if name in sys.modules], flush=True)
"""


class Run:
    """A search in a process of its own, followed line by line."""

    def __init__(self, folder, overrides):
        environment = {**os.environ, "FTKIT_HOME": str(folder / "home")}
        environment.pop("COVERAGE_PROCESS_START", None)
        self.lines = []
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(folder), json.dumps(overrides)],
            stdout=subprocess.PIPE,
            stderr=(folder / "stderr.txt").open("ab"),
            text=True,
            env=environment,
            start_new_session=True,
        )

    def until(self, start_of_line):
        """Read on until a line begins with these words."""
        for line in self.process.stdout:
            self.lines.append(line.split())
            if line.startswith(start_of_line):
                return
        pytest.fail(f"there was no line {start_of_line!r}: {self.lines}")

    def end(self):
        """Read to the end, and return the exit code."""
        self.lines.extend(line.split() for line in self.process.stdout)
        return self.process.wait(60)

    @property
    def workers(self):
        return [int(line[2]) for line in self.lines if line[0] == "TrialStarted"]

    @property
    def started(self):
        return [int(line[1]) for line in self.lines if line[0] == "TrialStarted"]


@pytest.fixture
def start(tmp_path):
    """Starts a search over toys in a folder; whatever is left of it at the end is killed."""
    runs = []

    def started(name="a", **overrides):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        runs.append(Run(folder, {key.replace("__", "."): value for key, value in overrides.items()}))
        return runs[-1]

    yield started
    for run in runs:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.process.pid, signal.SIGKILL)
        run.process.wait()
        run.process.stdout.close()


def book_of(folder):
    journal = next((folder / "home" / "runs").glob("*/journal.jsonl"))
    return ledger.Ledger(journal.parent)


def await_end_of(pids):
    """Wait until no such process is left, zombies aside."""
    deadline = time.monotonic() + 15
    while any(map(alive, pids)):
        assert time.monotonic() < deadline, f"of {pids} some outlived their parent"
        time.sleep(0.05)


def alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def essence(trials):
    return [
        (trial.number, trial.values, trial.seed, trial.state, [dict(entry) for entry in trial.history])
        for trial in trials
    ]


def test_a_search_killed_again_and_again_ends_with_the_same_trials_and_winner(start, tmp_path):
    overrides = {
        "search__trials": 4,
        "search__space__learning_rate": [0.1, 1.0, 10.0],
        "search__space__decay": [0.0, 0.01],
        "backbone__epochs": 2,
    }
    whole = start("whole", **overrides)
    assert whole.end() == 0
    assert whole.lines[-1] == ["searched", "[]"], "the parent loads no torch"

    for start_of_line in ("TrialStarted 0", "TrialReported 1", "TrialFinished 2"):
        run = start("killed", **overrides)
        run.until(start_of_line)
        run.process.kill()
        run.end()
        await_end_of(run.workers)
    last = start("killed", **overrides)
    assert last.end() == 0
    assert last.started == [3]

    expected, resumed = (book_of(tmp_path / name) for name in ("whole", "killed"))
    assert essence(resumed.trials()) == essence(expected.trials())
    best = runner.best_trial(resumed.trials(), "roc_auc").number
    assert best == runner.best_trial(expected.trials(), "roc_auc").number
    for book in (expected, resumed):
        assert [number for number in range(4) if (book.trial_folder(number) / "model").exists()] == [best]
        assert not list(book.folder.glob("trials/*/.*"))
    weights = [book.trial_folder(best) / "model" / "weights.npy" for book in (expected, resumed)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_a_confirmation_killed_again_and_again_ends_with_the_same_repeats_and_winner(start, tmp_path):
    overrides = {
        "search__trials": 2,
        "search__sampler": "grid",
        "search__space__learning_rate": [0.3, 1.0],
        "search__confirm": {"top": 2, "seeds": 2},
        "backbone__epochs": 2,
    }
    whole = start("whole", **overrides)
    assert whole.end() == 0
    assert whole.started == [0, 1, 2, 3, 4, 5]

    begun = []
    for start_of_line in ("TrialFinished 1", "TrialReported 2", "TrialFinished 4"):
        run = start("killed", **overrides)
        run.until(start_of_line)
        run.process.kill()
        run.end()
        await_end_of(run.workers)
        begun += run.started
    last = start("killed", **overrides)
    assert last.end() == 0
    assert last.started == [5], "a repeat that is in the journal is not run again"
    assert sorted({*begun, *last.started}) == [0, 1, 2, 3, 4, 5]

    expected, resumed = (book_of(tmp_path / name) for name in ("whole", "killed"))
    assert essence(resumed.trials()) == essence(expected.trials())
    assert [trial.repeats for trial in resumed.trials()] == [trial.repeats for trial in expected.trials()]
    assert [fact["number"] for fact in resumed.facts("trial-started")] == [0, 1, 2, 3, 4, 5], "each is begun once"
    best = selection.best_trial(resumed.trials(), "roc_auc").number
    assert best == selection.best_trial(expected.trials(), "roc_auc").number
    assert selection.spreads(resumed.trials(), "roc_auc") == selection.spreads(expected.trials(), "roc_auc")
    left = [[n for n in range(6) if (book.trial_folder(n) / "model").is_dir()] for book in (expected, resumed)]
    assert left[0] == left[1]
    weights = [book.trial_folder(best) / "model" / "weights.npy" for book in (expected, resumed)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_ctrl_c_ends_repeats_too_and_the_same_command_goes_on(start, tmp_path):
    overrides = {"search__trials": 1, "search__confirm": {"seeds": 2}, "backbone__delay": 0.3}
    run = start(**overrides)
    run.until("TrialReported 1")
    os.killpg(run.process.pid, signal.SIGINT)
    assert run.end() != 0
    assert not [pid for pid in run.workers if psutil.pid_exists(pid)]
    assert [trial.number for trial in book_of(tmp_path / "a").trials()] == [0]
    again = start(**overrides)
    assert again.end() == 0
    assert again.started == [1, 2]
    assert [(trial.number, trial.repeats) for trial in book_of(tmp_path / "a").trials()] == [(0, None), (1, 0), (2, 0)]


def test_trials_under_way_at_the_kill_run_again_with_their_own_values(start, tmp_path):
    overrides = {
        "search__trials": 4,
        "search__concurrency": 2,
        "search__space__learning_rate": {"low": 0.1, "high": 10.0, "log": True},
        "backbone__delay": 0.2,
    }
    run = start(**overrides)
    run.until("TrialReported")
    run.process.kill()
    run.end()
    await_end_of(run.workers)
    begun = {fact["number"]: fact["values"] for fact in book_of(tmp_path / "a").facts("trial-started")}
    assert set(begun) == {0, 1}

    again = start(**overrides)
    assert again.end() == 0
    book = book_of(tmp_path / "a")
    assert again.started[:2] == [0, 1]
    assert {trial.number: trial.values for trial in book.trials()} | begun == {
        trial.number: trial.values for trial in book.trials()
    }
    assert [trial.number for trial in book.trials()] == [0, 1, 2, 3]
    assert {trial.attempts for trial in book.trials()} == {1}


def test_a_search_past_its_budget_that_is_killed_ends_with_one_trial_and_its_model(start, tmp_path):
    overrides = {"search__trials": 4, "search__max_minutes": 1e-4, "backbone__delay": 0.2}
    run = start(**overrides)
    run.until("TrialReported 0")
    run.process.kill()
    run.end()
    await_end_of(run.workers)
    again = start(**overrides)
    assert again.end() == 0
    assert again.started in ([0], [])  # it may have finished before the kill
    last = start(**overrides)
    assert last.end() == 0
    assert last.started == []
    book = book_of(tmp_path / "a")
    assert [(trial.state, len(trial.history)) for trial in book.trials()] == [("finished", 1)]
    assert (book.trial_folder(0) / "model" / "weights.npy").is_file()


def test_ctrl_c_ends_the_trials_before_the_search(start, tmp_path):
    run = start(search__trials=4, search__concurrency=2, backbone__delay=30)
    run.until("TrialStarted 1")
    os.killpg(run.process.pid, signal.SIGINT)  # as a terminal does: the whole foreground group
    assert run.end() != 0
    assert not [pid for pid in run.workers if psutil.pid_exists(pid)]
    assert "KeyboardInterrupt" in (tmp_path / "a" / "stderr.txt").read_text()
    book = book_of(tmp_path / "a")
    assert not book.trials()
    assert len(book.facts("trial-started")) == 2


def test_a_killed_worker_costs_that_trial_one_attempt(start, tmp_path):
    run = start(search__trials=2, search__concurrency=2, backbone__delay=0.3)
    run.until("TrialReported 1")
    os.kill(run.workers[1], signal.SIGKILL)
    run.until("TrialRetried 1")
    assert run.end() == 0
    trials = book_of(tmp_path / "a").trials()
    assert [(trial.state, trial.attempts) for trial in trials] == [("finished", 1), ("finished", 2)]
    assert len(trials[1].history) == 3


def test_what_a_killed_worker_started_is_ended_too(start, tmp_path, monkeypatch):
    marker = tmp_path / "child"
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, subprocess\n"
        "if sys.orig_argv[-2:-1] == ['ftkit.searching.worker']:\n"
        f"    child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(600)'])\n"
        f"    open({str(marker)!r}, 'w').write(str(child.pid))\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    run = start(search__trials=1, backbone__delay=30)
    run.until("TrialStarted 0")
    deadline = time.monotonic() + 30
    while not (marker.exists() and marker.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    child = int(marker.read_text())
    assert psutil.pid_exists(child)
    run.process.kill()
    run.end()
    await_end_of([*run.workers, child])


def test_a_second_process_is_kept_out_of_a_search_under_way(start, tmp_path):
    first = start(search__trials=1, backbone__delay=30)
    first.until("TrialStarted 0")
    second = start(search__trials=1, backbone__delay=30)
    assert second.end() != 0
    assert "another process" in (tmp_path / "a" / "stderr.txt").read_text()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks into /proc")
def test_a_worker_holds_no_other_workers_end_of_the_wire(start):
    run = start(search__trials=3, search__concurrency=3, backbone__delay=30)
    run.until("TrialStarted 2")
    for pid in run.workers:
        deadline = time.monotonic() + 30
        while True:
            links = [os.readlink(f"/proc/{pid}/fd/{each}") for each in os.listdir(f"/proc/{pid}/fd")]
            if sum(link.startswith("socket:") for link in links) == 1:
                break
            assert time.monotonic() < deadline, links
            time.sleep(0.05)


def test_the_toys_are_no_plugin_outside_their_install(tmp_path):
    from ftkit import plugins

    with toys.install(tmp_path):
        assert "toy-words" in plugins.load().names("backbones")
    assert "toy-words" not in plugins.load().names("backbones")
