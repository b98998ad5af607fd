"""The journal of a run: what is written is found again, whatever happens in between."""

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
def book():
    return ledger.begin("demo", 'name = "demo"')[0]


def test_what_is_written_is_read_again_and_looks_the_same_at_once(book):
    book.record_trial(TRIAL)
    book.record_trial(replace(TRIAL, number=1, history=({"epoch": 1},)))
    again = Ledger(book.folder)
    assert [trial.number for trial in again.trials()] == [1, 3]
    assert again.trials() == book.trials()
    assert again.trials()[1] == TRIAL


def test_the_latest_entry_of_a_trial_counts(book):
    book.record_trial(replace(TRIAL, state="failed"))
    book.record_trial(TRIAL)
    assert Ledger(book.folder).trials() == [TRIAL]


def test_a_line_torn_by_a_kill_loses_nothing_but_itself(book):
    book.append("selected", number=1)
    path = book.folder / "journal.jsonl"
    with path.open("ab") as file:
        file.write(b'{"fact": "tested", "promo')
    torn = Ledger(book.folder)
    assert torn.fact("selected")["number"] == 1
    assert torn.fact("tested") is None
    torn.append("tested", promoted=True)
    whole = Ledger(book.folder)
    assert [whole.fact(name) is not None for name in ("started", "selected", "tested")] == [True] * 3


def test_a_journal_cut_at_any_byte_reads_as_what_was_whole_by_then(book):
    for number in range(3):
        book.record_trial(replace(TRIAL, number=number))
    path = book.folder / "journal.jsonl"
    content = path.read_bytes()
    ends = [index for index, byte in enumerate(content) if byte == ord("\n")]
    for cut in range(len(content) + 1):
        path.write_bytes(content[:cut])
        # A line that only lacks its newline is whole.
        whole = sum(end <= cut for end in ends)
        assert len(Ledger(book.folder).trials()) == max(0, whole - 1)


def test_the_data_comes_back_as_it_was_and_training_gets_no_test_row(book):
    assert book.fact("data") is None
    book.store_data(DATA)
    assert book.fact("data")["fingerprint"] == DATA.report.fingerprint
    back = Ledger(book.folder).data()
    assert (back.train, back.valid, back.test, back.classes) == (DATA.train, DATA.valid, DATA.test, DATA.classes)
    assert back.report.counts == DATA.report.counts
    assert back.cache is not None
    assert back.cache.is_dir()
    training = book.data(("train", "valid"))
    assert (training.train, training.valid) == (DATA.train, DATA.valid)
    assert len(training.test) == 0


def test_the_report_is_read_back_in_the_order_it_is_shown_in(book):
    book.store_data(DATA)
    assert list(Ledger(book.folder).data().report.counts) == ["train", "valid", "test"]


def test_the_same_recipe_goes_on_with_its_unfinished_run(book):
    again, resumed = ledger.begin("demo", 'name = "demo"')
    assert (again.folder, resumed) == (book.folder, True)


def test_another_recipe_a_finished_run_and_fresh_begin_a_new_one(book):
    other, resumed = ledger.begin("demo", 'name = "demo"\nseed = 1')
    assert (other.folder != book.folder, resumed) == (True, False)
    fresh, resumed = ledger.begin("demo", 'name = "demo"', fresh=True)
    assert (fresh.folder != book.folder, resumed) == (True, False)
    fresh.append("finished", promoted=True, exit_code=0)
    after, resumed = ledger.begin("demo", 'name = "demo"')
    assert (after.folder not in (book.folder, fresh.folder), resumed) == (True, False)


def test_a_recipe_mended_after_training_goes_on_with_the_unfinished_run(book):
    mended = 'name = "demo"\n\n[deploy]\nuse = "local"\nport = 0\n\n[[promote]]\nuse = "metric-floor"\n'
    again, resumed = ledger.begin("demo", mended)
    assert (again.folder, resumed) == (book.folder, True)
    assert (book.folder / "recipe.toml").read_text() == 'name = "demo"', (
        "it may be in other hands: adopting is a step of its own"
    )
    again.adopt(mended)
    again.adopt(mended)
    assert (book.folder / "recipe.toml").read_text() == mended
    assert len(again.facts("adopted")) == 1


def test_what_contenders_said_of_the_test_rows_is_kept_as_it_was(book):
    probabilities = {"candidate": np.array([[0.25, 0.75]]), "champion": np.array([[1.0, 0.0]])}
    book.store_predictions(probabilities)
    book.store_predictions({"candidate": probabilities["champion"]})
    back = Ledger(book.folder).predictions()
    assert list(back) == ["candidate"], "the last gate counts"
    assert back["candidate"].tolist() == [[1.0, 0.0]]


def test_runs_are_listed_newest_first_and_found_by_name_and_by_folder(book):
    second, _ = ledger.begin("demo", "seed = 2")
    assert [each.run for each in ledger.runs()] == [second.run, book.run]
    assert ledger.find(book.run).folder == book.folder
    assert ledger.find(str(book.folder)).run == book.run
    with pytest.raises(UsageError, match="there is no run 'nope'") as caught:
        ledger.find("nope")
    assert second.run in caught.value.hint


def test_a_folder_without_runs_is_no_error():
    assert ledger.runs() == []
    with pytest.raises(UsageError) as caught:
        ledger.find("nope")
    assert "No run has been made yet" in caught.value.hint


def test_a_run_that_another_process_carries_out_is_refused_until_that_one_ends(book):
    script = (
        "import sys; from pathlib import Path; from ftkit.runs.ledger import Ledger\n"
        "with Ledger(Path(sys.argv[1])).held():\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(book.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(LedgerError, match=f"another process \\({other.pid}\\)"), book.held():
            pytest.fail("held twice")
        other.kill()
    with book.held():
        assert (book.folder / ".pid").read_text() == str(os.getpid())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_is_an_error_that_says_so(book):
    path = book.folder / "journal.jsonl"
    path.unlink()
    path.symlink_to("/dev/full")
    with pytest.raises(LedgerError) as caught:
        book.append("selected", number=1)
    assert os.strerror(errno.ENOSPC) in caught.value.what
    assert caught.value.where == str(path)
    assert book.fact("selected") is None


def test_a_home_that_is_no_folder_is_an_error_that_says_where(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FTKIT_HOME", str(tmp_path / "file"))
    with pytest.raises(LedgerError) as caught:
        ledger.begin("demo", "")
    assert str(tmp_path / "file") in caught.value.where
    assert "FTKIT_HOME" in caught.value.hint


def test_every_line_of_the_journal_is_json_with_a_time(book):
    book.append("selected", number=1)
    for line in (book.folder / "journal.jsonl").read_text().splitlines():
        assert {"fact", "at"} <= set(json.loads(line))
