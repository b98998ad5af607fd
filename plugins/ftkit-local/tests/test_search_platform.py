"""The local platform against the conformance kit, its options, and runs with trials that go wrong."""

import errno
import json
import os
import time

import numpy as np
import pytest
from ftkit_local.platform import LocalPlatform

from ftkit import events
from ftkit.errors import BundleError, CheckpointError, SearchError, StageError
from ftkit.evaluation import metrics, selection
from ftkit.runs import ledger
from ftkit.searching.process import Surroundings
from ftkit.searching.usage import Meter, deal, gpus
from ftkit.searching.worker import disk_full
from ftkit.testing import toys
from ftkit.testing.platforms import PlatformSuite
from ftkit.testing.search_spaces import SearchSpaceSuite


class TestLocalPlatform(PlatformSuite):
    @pytest.fixture
    def component(self):
        return LocalPlatform()


class TestToySpace(SearchSpaceSuite):
    @pytest.fixture
    def component(self):
        return toys.ToySpace()

    @pytest.fixture
    def backbone(self):
        return toys.ToyWords()


@pytest.fixture
def begin(tmp_path, monkeypatch):
    """Makes a toy plan with overrides, a ledger with its data, and a list for the events of a search."""
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))

    def begun(**overrides):
        plan = toys.plan(tmp_path, {key.replace("__", "."): value for key, value in overrides.items()})
        book, _ = ledger.begin(plan.name, plan.text)
        if book.fact("data") is None:
            book.store_data(plan.dataset.load(plan.seed, lambda event: None))
        return plan, book, []

    with toys.install(tmp_path / "plugins"):
        yield begun


def of(kind, emitted):
    return [event for event in emitted if isinstance(event, kind)]


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_search_emits_events_and_keeps_only_the_best_model(begin):
    plan, book, emitted = begin(
        search__trials=9,
        search__concurrency=2,
        search__sampler="grid",
        search__space__learning_rate=[0.001, 1.0],
        search__space__decay=[0.0, 0.01],
        backbone__epochs=2,
        run__sample_seconds=0.1,
    )
    trials = plan.platform.search(plan, book, emitted.append)
    assert [trial.number for trial in trials] == [0, 1, 2, 3]
    assert of(events.SearchStarted, emitted) == [events.SearchStarted(4, 0, "roc_auc", 2)]
    assert "ends after them" in of(events.Noticed, emitted)[0].text
    assert sorted(event.number for event in of(events.TrialStarted, emitted)) == [0, 1, 2, 3]
    assert sorted((event.number, event.numbers["epoch"]) for event in of(events.TrialReported, emitted)) == [
        (number, epoch) for number in range(4) for epoch in (1, 2)
    ]
    assert {event.number for event in of(events.TrialSampled, emitted)} == {0, 1, 2, 3}

    best = max(trials, key=lambda trial: trial.metrics["roc_auc"])
    assert [number for number in range(4) if (book.trial_folder(number) / "model").exists()] == [best.number]
    data = book.data()
    for trial in trials:
        folder = book.trial_folder(trial.number)
        assert trial.folder == f"trials/{trial.number:03d}"
        assert "values" in (folder / "trial.log").read_text()
        probabilities = np.load(folder / "valid.npy")
        assert metrics.scores(probabilities, data.valid.labels) == pytest.approx(trial.metrics)
        best_entry = max(trial.history, key=lambda entry: entry["roc_auc"])
        assert trial.epoch == best_entry["epoch"]
        assert trial.resources["memory_peak_mb"] > 20
        assert 0 < trial.resources["cpu_percent"] < 100 * (os.cpu_count() or 1) + 50
    saved = toys.ToyWords().load(book.trial_folder(best.number) / "model")
    assert np.allclose(saved.probabilities(data.valid.texts), np.load(book.trial_folder(best.number) / "valid.npy"))


def models_of(book):
    return [number for number in range(20) if (book.trial_folder(number) / "model").is_dir()]


def test_the_best_trials_are_repeated_as_trials_are_run_and_their_models_kept_until_one_wins(begin):
    plan, book, emitted = begin(
        search__trials=5,
        search__concurrency=2,
        search__sampler="grid",
        search__space__learning_rate=[0.001, 0.01, 0.1, 0.3, 1.0],
        search__confirm={"top": 2, "seeds": 2},
        search__policy={"use": "median"},
        backbone__epochs=2,
        run__sample_seconds=0.1,
    )
    trials = plan.platform.search(plan, book, emitted.append)
    assert [trial.number for trial in trials] == list(range(9))
    (begun,) = of(events.ConfirmationStarted, emitted)
    assert (begun.seeds, begun.total, begun.done) == (2, 4, 0)
    assert [trial.repeats for trial in trials] == [None] * 5 + [each for each in begun.repeated for _ in range(2)]
    started = {event.number: event for event in of(events.TrialStarted, emitted)}
    finished = [event.trial.number for event in of(events.TrialFinished, emitted)]
    assert max(finished.index(number) for number in range(5)) < min(finished.index(number) for number in range(5, 9))
    assert emitted.index(begun) < min(emitted.index(started[number]) for number in range(5, 9))
    for trial in trials[5:]:
        assert (trial.state, trial.values) == ("finished", trials[trial.repeats].values)
        assert started[trial.number].seed == trial.seed
        assert started[trial.number].repeats == trial.repeats
        assert trial.folder == f"trials/{trial.number:03d}"
        assert trial.resources["memory_peak_mb"] > 20
        probabilities = np.load(book.trial_folder(trial.number) / "valid.npy")
        assert metrics.scores(probabilities, book.data().valid.labels) == pytest.approx(trial.metrics)
    # One model of each repeated configuration is left: the best of its search trial and its repeats.
    families = [[trial for trial in trials if each in (trial.number, trial.repeats)] for each in begun.repeated]
    best = [max(family, key=lambda trial: (trial.metrics["roc_auc"], -trial.number)).number for family in families]
    assert models_of(book) == sorted(best)
    assert selection.best_trial(trials, "roc_auc").number in best


def test_a_repeat_that_fails_is_tried_again_and_left_out_of_the_mean(begin):
    plan, book, emitted = begin(
        search__trials=1,
        search__confirm={"seeds": 3},
        backbone__fault="memory",
        backbone__fault_after=1,
        backbone__fault_times=3,
        backbone__epochs=2,
    )
    trials = plan.platform.search(plan, book, emitted.append)
    assert [(trial.state, trial.attempts) for trial in trials] == [
        ("finished", 1), ("failed", 2), ("finished", 2), ("finished", 1),
    ]  # fmt: skip
    assert {trial.repeats for trial in trials[1:]} == {0}
    (spread,) = selection.spreads(trials, "roc_auc")
    assert (spread.finished, spread.failed) == (2, 1)
    assert spread.mean == pytest.approx(np.mean([trial.metrics["roc_auc"] for trial in trials[2:]]))


def test_without_a_finished_trial_nothing_is_repeated(begin):
    plan, book, emitted = begin(search__trials=1, search__confirm=True, backbone__fault="error", run__retries=0)
    with pytest.raises(SearchError, match="told to fail"):
        plan.platform.search(plan, book, emitted.append)
    assert not of(events.ConfirmationStarted, emitted)


def test_a_loss_that_is_no_number_costs_its_trial_alone(begin):
    plan, book, emitted = begin(
        search__trials=2, search__sampler="grid", search__space__fault=["none", "stage"], backbone__fault_epoch=1
    )
    finished, failed = plan.platform.search(plan, book, emitted.append)
    assert finished.state == "finished"
    assert (failed.state, failed.attempts) == ("failed", 1), "the same values and seed would fail again"
    assert failed.error == "the loss is no number. Lower the learning rate."


def test_finished_trials_are_not_run_again(begin):
    plan, book, emitted = begin(search__trials=1, backbone__epochs=1)
    first = plan.platform.search(plan, book, emitted.append)
    emitted.clear()
    assert plan.platform.search(plan, ledger.Ledger(book.folder), emitted.append) == first
    assert of(events.SearchStarted, emitted)[0].done == 1
    assert not of(events.TrialStarted, emitted)


def test_trials_that_go_wrong_are_tried_again_where_it_may_help_and_recorded_with_the_reason(begin):
    faults = ["none", "error", "memory", "crash", "exit", "silent", "diverge"]
    plan, book, emitted = begin(
        search__trials=7,
        search__concurrency=3,
        search__sampler="grid",
        search__space__fault=faults,
        backbone__fault_epoch=1,
        backbone__epochs=1,
    )
    trials = plan.platform.search(plan, book, emitted.append)
    by_fault = {trial.values["fault"]: trial for trial in trials}
    assert [trial.state for trial in trials] == ["finished"] + ["failed"] * 6
    assert {fault: trial.error for fault, trial in by_fault.items()} == {
        "none": "",
        "error": "fit of the backbone 'toy-words' of ftkit-toys 1 failed: RuntimeError: told to fail",
        "memory": "killed (SIGKILL), probably out of memory",
        "crash": "killed by SIGSEGV",
        "exit": by_fault["exit"].error,
        "silent": "the backbone 'toy-words' of ftkit-toys 1 ended its training without reporting an evaluation",
        "diverge": "the training diverged: in epoch 1 the probabilities are not finite",
    }
    assert by_fault["exit"].error.startswith("its process ended with exit code 3")
    # A second attempt with the same values would fail in the same way.
    assert {fault: trial.attempts for fault, trial in by_fault.items()} == {
        "none": 1, "error": 2, "memory": 2, "crash": 2, "exit": 2, "silent": 1, "diverge": 1,
    }  # fmt: skip
    assert {event.number for event in of(events.TrialRetried, emitted)} == {1, 2, 3, 4}
    started = {(event.number, event.attempt): event for event in of(events.TrialStarted, emitted)}
    assert started[2, 1].values == started[2, 2].values
    assert started[2, 1].seed == started[2, 2].seed
    log = (book.trial_folder(1) / "trial.log").read_text()
    assert log.count("\nRuntimeError: told to fail") == 2
    assert not [name for name in os.listdir(book.trial_folder(1)) if name != "trial.log"]


def test_a_killed_trial_that_finishes_at_its_second_attempt_counts_like_any_other(begin):
    plan, book, emitted = begin(
        search__trials=2,
        search__concurrency=2,
        search__sampler="grid",
        search__space__fault=["none", "memory"],
        backbone__fault_times=1,
    )
    whole, retried = plan.platform.search(plan, book, emitted.append)
    assert (retried.state, retried.attempts, retried.seed) == ("finished", 2, 7)
    assert retried.history == whole.history


def test_retries_of_an_interrupted_run_count(begin):
    plan, book, emitted = begin(search__trials=1, backbone__fault="error", backbone__fault_epoch=1)
    book.append("trial-started", number=0, values={}, seed=7)
    book.append("trial-retried", number=0, reason="RuntimeError: told to fail")
    with pytest.raises(SearchError, match="told to fail"):
        plan.platform.search(plan, book, emitted.append)
    assert [event.attempt for event in of(events.TrialStarted, emitted)] == [2]


def test_trials_that_all_fail_alike_end_the_search_before_the_last(begin):
    plan, book, emitted = begin(search__trials=10, backbone__fault="error", backbone__fault_epoch=1, run__retries=0)
    with pytest.raises(
        SearchError, match=r"the first 3 trials failed in the same way: fit of .* failed: RuntimeError: told to fail"
    ) as caught:
        plan.platform.search(plan, book, emitted.append)
    assert str(book.trial_folder(0) / "trial.log") in caught.value.hint
    assert len(book.trials()) == 3


def test_an_error_that_every_trial_would_meet_ends_the_search_at_once(begin):
    plan, book, emitted = begin(
        search__trials=5, search__concurrency=2, backbone__fault="checkpoint", backbone__fault_epoch=1
    )
    with pytest.raises(CheckpointError) as caught:
        plan.platform.search(plan, book, emitted.append)
    assert (caught.value.what, caught.value.where) == ("the hub cannot be reached", "toy-words")
    assert caught.value.hint == "Set checkpoint to a folder."
    assert not book.trials()
    assert all(gone(event.pid) for event in of(events.TrialStarted, emitted))


def test_a_full_disk_ends_the_search_and_keeps_what_is_finished(begin):
    plan, book, emitted = begin(
        search__trials=3, search__sampler="grid", search__space__fault=["none", "disk", "error"], backbone__epochs=2
    )
    with pytest.raises(StageError, match="the disk is full"):
        plan.platform.search(plan, book, emitted.append)
    assert [trial.number for trial in book.trials()] == [0]
    assert (book.trial_folder(0) / "model").is_dir()


def test_a_trial_past_its_time_is_ended_and_not_tried_again(begin):
    plan, book, emitted = begin(
        search__trials=1,
        backbone__fault="hang",
        backbone__fault_epoch=1,
        run__timeout_minutes=0.02,
        run__sample_seconds=0.2,
    )
    with pytest.raises(SearchError, match=r"killed: it took longer than timeout_minutes = 0\.02"):
        plan.platform.search(plan, book, emitted.append)
    assert book.trials()[0].attempts == 1


def test_a_full_disk_is_recognised_by_number_or_message():
    assert disk_full(OSError(errno.ENOSPC, "words"))
    assert disk_full(OSError(errno.EDQUOT, "words"))
    assert disk_full(RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"))
    wrapped = BundleError("the model cannot be written")
    wrapped.__cause__ = OSError(errno.ENOSPC, "words")
    assert disk_full(wrapped)
    assert not disk_full(OSError(errno.EACCES, "words"))


def test_a_trial_over_the_memory_limit_is_ended(begin):
    plan, book, emitted = begin(
        search__trials=1, backbone__fault="hang", run__memory_limit_mb=30, run__sample_seconds=0.1
    )
    with pytest.raises(SearchError, match=r"it used \d+ MB, more than memory_limit_mb = 30"):
        plan.platform.search(plan, book, emitted.append)


def test_the_policy_stops_a_trial_and_its_values_so_far_are_kept(begin):
    plan, book, emitted = begin(
        search__trials=2,
        search__sampler="grid",
        search__space__learning_rate=[1.0, 0.0001],
        search__policy={"use": "bandit", "slack_factor": 0.1},
    )
    good, bad = plan.platform.search(plan, book, emitted.append)
    assert (good.state, len(good.history)) == ("finished", 3)
    assert (bad.state, len(bad.history)) == ("stopped", 1)
    assert bad.metrics["roc_auc"] == max(entry["roc_auc"] for entry in bad.history)
    assert not (book.trial_folder(1) / "model").exists()
    probabilities = np.load(book.trial_folder(1) / "valid.npy")
    assert metrics.scores(probabilities, book.data().valid.labels) == pytest.approx(bad.metrics)


def test_models_are_all_kept_when_asked_for(begin):
    plan, book, emitted = begin(search__trials=2, search__concurrency=2, run__keep_models=True, backbone__epochs=1)
    plan.platform.search(plan, book, emitted.append)
    assert all((book.trial_folder(number) / "model").is_dir() for number in (0, 1))


def test_a_model_that_an_interruption_left_behind_is_removed(begin):
    plan, book, emitted = begin(search__trials=2, backbone__epochs=1, run__keep_models=True)
    trials = plan.platform.search(plan, book, emitted.append)
    LocalPlatform().search(plan, book, emitted.append)
    best = max(trials, key=lambda trial: trial.metrics["roc_auc"])
    assert [number for number in (0, 1) if (book.trial_folder(number) / "model").is_dir()] == [best.number]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("threads", 0),
        ("retries", -1),
        ("memory_limit_mb", 0),
        ("timeout_minutes", 0.0),
        ("sample_seconds", 0.0),
    ],
)
def test_an_option_out_of_range_is_refused(option, value):
    with pytest.raises(ValueError, match=option):
        LocalPlatform(**{option: value})


@pytest.mark.parametrize(
    ("devices", "trials", "expected"),
    [
        ((), 2, [(), ()]),
        (("0",), 3, [("0",), ("0",), ("0",)]),
        (("0", "1"), 3, [("0",), ("1",), ("0",)]),
        (("0", "1", "2", "3"), 2, [("0", "2"), ("1", "3")]),
        (("0", "1", "2"), 1, [("0", "1", "2")]),
    ],
)
def test_gpus_are_dealt_out_evenly(devices, trials, expected):
    assert deal(devices, trials) == expected


@pytest.mark.parametrize(
    ("visible", "expected"), [(None, None), ("", ()), ("2, 0", ("2", "0")), ("GPU-1,GPU-2", ("GPU-1", "GPU-2"))]
)
def test_the_gpus_are_those_that_the_environment_allows(monkeypatch, visible, expected):
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        assert all(each.startswith(("GPU-", "MIG-")) for each in gpus())
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert gpus() == expected


@pytest.mark.parametrize(("devices", "expected"), [(None, "7"), ((), ""), (("1", "3"), "1,3")])
def test_only_a_choice_of_gpus_changes_what_a_trial_sees(monkeypatch, devices, expected):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    assert Surroundings({}, devices).environment["CUDA_VISIBLE_DEVICES"] == expected


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks at processes through /proc")
def test_a_trial_is_given_its_gpus_and_threads(begin, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    plan, book, emitted = begin(search__trials=2, search__concurrency=2, run__devices=["0", "1"], run__threads=3)
    seen = {}

    def look(event):
        if isinstance(event, events.TrialReported) and event.number not in seen:
            pid = next(started.pid for started in of(events.TrialStarted, emitted) if started.number == event.number)
            with open(f"/proc/{pid}/environ") as file:
                seen[event.number] = dict(pair.split("=", 1) for pair in file.read().split("\0") if "=" in pair)
            with open(f"/proc/{pid}/oom_score_adj") as file:
                seen[event.number]["oom"] = file.read().strip()
        emitted.append(event)

    plan.platform.search(plan, book, look)
    assert {each["oom"] for each in seen.values()} == {"500"}, "the parent would be killed as readily as the trial"
    assert [seen[number]["CUDA_VISIBLE_DEVICES"] for number in (0, 1)] == ["0", "1"]
    assert {each["OMP_NUM_THREADS"] for each in seen.values()} == {"3"}


def test_the_meter_sees_cpu_and_memory_of_a_process_and_its_children():
    import subprocess
    import sys

    child = "import time; block = bytearray(150_000_000); end = time.time() + 60\nwhile time.time() < end: pass"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    process = subprocess.Popen([sys.executable, "-c", parent], start_new_session=True)
    try:
        meter, deadline = Meter(process.pid), time.monotonic() + 20
        while time.monotonic() < deadline:
            sample = meter.sample()
            if sample and sample.memory_mb > 150 and sample.cpu_percent > 20:
                break
            time.sleep(0.2)
        else:
            pytest.fail(f"the child was never seen: {meter.samples[-3:]}")
        assert meter.resources()["memory_peak_mb"] > 150
    finally:
        os.killpg(process.pid, 9)
        process.wait()
    assert meter.sample() is None


def test_the_journal_holds_every_fact_before_the_work_begins(begin):
    plan, book, _ = begin(search__trials=1, backbone__epochs=1)
    seen = []

    def look(event):
        if isinstance(event, events.TrialStarted):
            seen.extend(json.loads(line)["fact"] for line in (book.folder / "journal.jsonl").read_text().splitlines())

    plan.platform.search(plan, book, look)
    assert seen[-1] == "trial-started"
    assert book.fact("trial")["trial"]["state"] == "finished"


def test_a_real_encoder_tokenises_once_for_all_trials(begin):
    pytest.importorskip("ftkit_quickstart")
    plan, book, emitted = begin(
        backbone__use="minilm",
        backbone__epochs=1,
        backbone__max_length=16,
        dataset__rows=60,
        search__trials=2,
        search__space__learning_rate=[1e-4, 3e-4],
        run__retries=0,
    )
    token_files = {}

    def look(event):
        emitted.append(event)
        if isinstance(event, events.TrialFinished):
            tokens = [path for path in (book.folder / "cache").rglob("*") if path.is_file() and "tokens" in str(path)]
            token_files[event.trial.number] = {str(path): path.stat().st_ino for path in tokens}

    trials = plan.platform.search(plan, book, look)
    assert [trial.state for trial in trials] == ["finished", "finished"], [trial.error for trial in trials]
    assert token_files[0]
    assert token_files[0] == token_files[1], "the second trial tokenised again"
    assert trials[0].resources["memory_peak_mb"] > 200
    best = max(trials, key=lambda trial: trial.metrics["roc_auc"])
    classifier = plan.backbone.load(book.trial_folder(best.number) / "model")
    data = book.data()
    scores = metrics.scores(np.asarray(classifier.probabilities(data.valid.texts)), np.asarray(data.valid.labels))
    assert scores["log_loss"] == pytest.approx(best.metrics["log_loss"], rel=0.05)
