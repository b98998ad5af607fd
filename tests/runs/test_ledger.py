"""A run's folder and journal: what was written is read again, also after a kill."""

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from ftkit.contracts import Data, DataReport, Split, Trial
from ftkit.errors import LedgerError, UsageError
from ftkit.runs import ledger
from ftkit.runs.ledger import Ledger

DATA = Data(
    classes=("bad", "good"),
    train=Split(("one\nline", "zwei  \u2028 Zeilen", "x"), (0, 1, 1), {"stars": (1, 5, 4)}),
    valid=Split(("v",), (0,), {"stars": (2,)}),
    test=Split(("secret",), (1,), {"stars": (5,)}),
    report=DataReport(
        source="by hand",
        rows_read=6,
        dropped={"empty": 1},
        counts={"train": {"bad": 1, "good": 2}, "valid": {"bad": 1}, "test": {"good": 1}},
        lengths={"p50": 1},
        fingerprint="f" * 64,
        damaged_lines=(3,),
        notes=("A note.",),
    ),
)
TRIAL = Trial(
    number=3,
    values={"learning_rate": 3e-5, "betas": [0.9, 0.98]},
    seed=7,
    state="finished",
    history=[{"epoch": 1, "accuracy": 0.1 + 0.2}],
    metrics={"accuracy": 0.1 + 0.2},
    epoch=1,
    resources={"cpu_percent": 93.1},
    folder="trials/003",
)


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "home"))


@pytest.fixture
def run_ledger():
    return ledger.begin("demo", 'name = "demo"')[0]


def test_trials_are_the_same_when_read_from_the_file(run_ledger):
    run_ledger.record_trial(TRIAL)
    run_ledger.record_trial(replace(TRIAL, number=1, history=({"epoch": 1},)))
    reopened = Ledger(run_ledger.folder)
    assert [trial.number for trial in reopened.trials()] == [1, 3]
    assert reopened.trials() == run_ledger.trials()
    assert reopened.trials()[1] == TRIAL


def test_the_latest_entry_of_a_trial_counts(run_ledger):
    run_ledger.record_trial(replace(TRIAL, state="failed"))
    run_ledger.record_trial(TRIAL)
    assert Ledger(run_ledger.folder).trials() == [TRIAL]


def test_a_line_left_incomplete_by_a_kill_is_ignored(run_ledger):
    run_ledger.append("selected", number=1)
    path = run_ledger.folder / "journal.jsonl"
    with path.open("ab") as file:
        file.write(b'{"fact": "tested", "promo')
    torn = Ledger(run_ledger.folder)
    assert torn.fact("selected")["number"] == 1
    assert torn.fact("tested") is None
    torn.append("tested", promoted=True)
    whole = Ledger(run_ledger.folder)
    assert [whole.fact(name) is not None for name in ("started", "selected", "tested")] == [True] * 3


def test_a_journal_cut_at_any_byte_holds_the_facts_before_the_cut(run_ledger):
    for number in range(3):
        run_ledger.record_trial(replace(TRIAL, number=number))
    path = run_ledger.folder / "journal.jsonl"
    content = path.read_bytes()
    ends = [index for index, byte in enumerate(content) if byte == ord("\n")]
    for cut in range(len(content) + 1):
        path.write_bytes(content[:cut])
        # A line that only lacks its newline is whole.
        whole = sum(end <= cut for end in ends)
        assert len(Ledger(run_ledger.folder).trials()) == max(0, whole - 1)


def test_data_are_read_as_stored_and_training_gets_no_test_row(run_ledger):
    assert run_ledger.fact("data") is None
    run_ledger.store_data(DATA)
    assert run_ledger.fact("data")["fingerprint"] == DATA.report.fingerprint
    data = Ledger(run_ledger.folder).data()
    assert (data.train, data.valid, data.test, data.classes) == (DATA.train, DATA.valid, DATA.test, DATA.classes)
    assert data.report.counts == DATA.report.counts
    assert data.cache is not None
    assert data.cache.is_dir()
    training = run_ledger.data(("train", "valid"))
    assert (training.train, training.valid) == (DATA.train, DATA.valid)
    assert len(training.test) == 0


def test_the_data_report_keeps_its_order(run_ledger):
    run_ledger.store_data(DATA)
    assert list(Ledger(run_ledger.folder).data().report.counts) == ["train", "valid", "test"]


def test_the_same_recipe_continues_its_unfinished_run(run_ledger):
    again, resumed = ledger.begin("demo", 'name = "demo"')
    assert (again.folder, resumed) == (run_ledger.folder, True)


def test_another_recipe_a_finished_run_and_fresh_start_a_new_run(run_ledger):
    other, resumed = ledger.begin("demo", 'name = "demo"\nseed = 1')
    assert (other.folder != run_ledger.folder, resumed) == (True, False)
    fresh, resumed = ledger.begin("demo", 'name = "demo"', fresh=True)
    assert (fresh.folder != run_ledger.folder, resumed) == (True, False)
    fresh.append("finished", promoted=True, exit_code=0)
    assert ledger.begin("demo", 'name = "demo"')[0].folder == fresh.folder, "its report may be missing"
    fresh.append("closed")
    after, resumed = ledger.begin("demo", 'name = "demo"')
    assert (after.folder not in (run_ledger.folder, fresh.folder), resumed) == (True, False)


def test_a_recipe_changed_after_training_continues_the_unfinished_run(run_ledger):
    changed = 'name = "demo"\n\n[deploy]\nuse = "local"\nport = 0\n\n[[promote]]\nuse = "metric-floor"\n'
    again, resumed = ledger.begin("demo", changed)
    assert (again.folder, resumed) == (run_ledger.folder, True)
    assert (run_ledger.folder / "recipe.toml").read_text() == 'name = "demo"', (
        "another process may hold the run: adopting is a step of its own"
    )
    again.adopt(changed)
    again.adopt(changed)
    assert (run_ledger.folder / "recipe.toml").read_text() == changed
    assert len(again.facts("adopted")) == 1


def test_the_probabilities_of_the_last_gate_are_stored(run_ledger):
    probabilities = {"candidate": np.array([[0.25, 0.75]]), "champion": np.array([[1.0, 0.0]])}
    run_ledger.store_predictions(probabilities)
    run_ledger.store_predictions({"candidate": probabilities["champion"]})
    predictions = Ledger(run_ledger.folder).predictions()
    assert list(predictions) == ["candidate"]
    assert predictions["candidate"].tolist() == [[1.0, 0.0]]


def test_runs_are_listed_newest_first_and_found_by_name_and_by_folder(run_ledger):
    second, _ = ledger.begin("demo", "seed = 2")
    assert [each.run for each in ledger.runs()] == [second.run, run_ledger.run]
    assert ledger.find(run_ledger.run).folder == run_ledger.folder
    assert ledger.find(str(run_ledger.folder)).run == run_ledger.run
    with pytest.raises(UsageError, match="there is no run 'nope'") as caught:
        ledger.find("nope")
    assert second.run in caught.value.hint


def test_without_runs_the_list_is_empty_and_the_error_says_how_to_make_one():
    assert ledger.runs() == []
    with pytest.raises(UsageError) as caught:
        ledger.find("nope")
    assert "No run has been made yet" in caught.value.hint


def test_a_run_that_another_process_holds_is_refused_until_that_process_ends(run_ledger):
    script = (
        "import sys; from pathlib import Path; from ftkit.runs.ledger import Ledger\n"
        "with Ledger(Path(sys.argv[1])).held():\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(run_ledger.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LedgerError, match=f"another process \\({holder.pid}\\)"), run_ledger.held():
            pytest.fail("held twice")
        holder.kill()
    with run_ledger.held():
        assert (run_ledger.folder / ".pid").read_text() == str(os.getpid())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_is_an_error_with_its_reason_and_place(run_ledger):
    path = run_ledger.folder / "journal.jsonl"
    path.unlink()
    path.symlink_to("/dev/full")
    with pytest.raises(LedgerError) as caught:
        run_ledger.append("selected", number=1)
    assert os.strerror(errno.ENOSPC) in caught.value.what
    assert caught.value.where == str(path)
    assert run_ledger.fact("selected") is None


def test_a_home_that_is_no_folder_is_an_error_with_its_place(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "file"))
    with pytest.raises(LedgerError) as caught:
        ledger.begin("demo", "")
    assert str(tmp_path / "file") in caught.value.where
    assert "FTKIT_HOME" in caught.value.hint


def test_every_line_of_the_journal_is_json_with_a_time(run_ledger):
    run_ledger.append("selected", number=1)
    for line in (run_ledger.folder / "journal.jsonl").read_text().splitlines():
        assert {"fact", "at"} <= set(json.loads(line))


def test_a_changed_byte_of_the_journal_is_noticed(run_ledger):
    """Each fact is as it was written, or it is no fact: the name of its checksum alone may be another one."""
    run_ledger.record_trial(TRIAL)
    path = run_ledger.folder / "journal.jsonl"
    sound, entries = path.read_bytes(), run_ledger.entries
    for place in range(len(sound)):
        for byte in (sound[place] ^ 1, sound[place] ^ 2, 0):
            path.write_bytes(sound[:place] + bytes([byte]) + sound[place + 1 :])
            damaged = Ledger(run_ledger.folder)
            assert all(any(true.items() <= entry.items() for true in entries) for entry in damaged.entries)
            assert damaged.unreadable or len(damaged.entries) == len(entries)


def test_lines_without_a_checksum_are_those_of_an_older_ftkit_alone(run_ledger):
    path = run_ledger.folder / "journal.jsonl"
    old = json.dumps({"fact": "selected", "number": 4}) + "\n"
    summed = path.read_text()
    path.write_text(old + summed)
    assert Ledger(run_ledger.folder).fact("selected")["number"] == 4
    path.write_text(summed + old)
    assert Ledger(run_ledger.folder).fact("selected") is None
    assert Ledger(run_ledger.folder).unreadable == 1


@pytest.mark.parametrize("name", ["report.json", "train.arrow", "valid.arrow", "test.arrow.sealed", "digests.json"])
def test_a_changed_byte_of_the_rows_is_noticed(run_ledger, name):
    run_ledger.store_data(DATA)
    path = run_ledger.folder / "data" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(LedgerError, match="cannot be read"):
        Ledger(run_ledger.folder).data()


def test_changed_predictions_are_noticed(run_ledger):
    run_ledger.store_predictions({"candidate": np.full((2, 2), 0.5)})
    assert list(run_ledger.predictions()) == ["candidate"]
    np.save(run_ledger.folder / "tested" / "candidate.npy", np.full((2, 2), 0.25))
    with pytest.raises(ValueError, match="was changed since it was written"):
        run_ledger.predictions()


@pytest.mark.parametrize(
    "line",
    [
        {"fact": "started", "at": {"a": 1}, "key": "x"},
        {"fact": "started", "at": "now", "key": 3},
        {"fact": "trial", "trial": {"number": "0", "values": {}, "seed": 1, "state": "finished"}},
        {"fact": "trial", "trial": [1]},
        {"fact": "selected", "number": [1]},
        {"fact": "sources", "files": "rows.csv"},
        {"fact": "selected", "number": 1, "sum": "0" * 16, "more": 1},
    ],
)
def test_a_fact_without_a_checksum_has_the_types_of_its_kind(tmp_path, line):
    (tmp_path / "journal.jsonl").write_text(json.dumps(line) + "\n")
    damaged = Ledger(tmp_path)
    assert (len(damaged.entries), damaged.unreadable) == (0, 1)
