"""The checkpoints of a trial: whole or not there, of this trial and this ftkit, and never a reason for a training to end."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest

from ftkit.contracts import TrialInterrupted
from ftkit.stages import checkpoints
from ftkit.stages.checkpoints import TrialCheckpoints, key_of
from ftkit.stages.trial import LOG, Reporter, clear
from ftkit.testing.toys import ToyReviews

DATA = ToyReviews(rows=60).load(3, lambda event: None).without_test()
KEY = key_of("run", 0, {"epochs": 2}, 7)


class Trial:
    """A trial of which only the checkpoints are real."""

    def __init__(self, folder: Path, key: str = KEY, seconds: float = 0.0) -> None:
        self.notices: list[str] = []
        self.resumed: list[list[int]] = []
        self.folder = folder
        self.checkpoints = TrialCheckpoints(
            folder,
            key,
            seconds,
            self.notices.append,
            lambda history: self.resumed.append([int(e["epoch"]) for e in history]),
        )
        self.report = Reporter(lambda numbers: (True, True), DATA, folder)
        self.checkpoints.evaluations = self.report

    def write(self, text: str) -> None:
        self.checkpoints.write(lambda folder: (folder / "state.json").write_text(text) and None)

    @property
    def present(self) -> list[str]:
        return sorted(path.name for path in (self.folder / checkpoints.FOLDER).iterdir())


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    trial = Trial(tmp_path)
    assert trial.checkpoints.latest() is None
    return trial


def test_the_last_two_are_kept_and_the_newest_is_gone_on_from_with_its_evaluations(trial: Trial) -> None:
    even = np.full((len(DATA.valid), 2), 0.5)
    trial.write("first")
    trial.report(1, even)
    trial.write("second")
    trial.report(2, even * [0.5, 1.5])
    trial.write("third")
    assert trial.present == ["000002", "000003"]
    clear(trial.folder)
    again = Trial(trial.folder)
    latest = again.checkpoints.latest()
    assert latest is not None
    assert (latest / "state.json").read_text() == "third"
    assert again.resumed == [[1, 2]]
    assert again.report.history == trial.report.history
    np.testing.assert_array_equal(again.report.best_probabilities(), even * [0.5, 1.5])
    again.write("fourth")
    assert again.present == ["000003", "000004"]


def test_one_that_is_damaged_is_set_aside_and_the_one_before_it_is_used(trial: Trial) -> None:
    for text in ("first", "second"):
        trial.write(text)
    state = trial.folder / checkpoints.FOLDER / "000002" / "backbone" / "state.json"
    state.write_text("secont")
    again = Trial(trial.folder)
    latest = again.checkpoints.latest()
    assert latest is not None
    assert (latest / "state.json").read_text() == "first"
    assert again.notices == ["checkpoint 000002 is not used: its files are damaged"]
    assert again.present == ["000001", "set-aside-000002"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ftkit": "0.0.1"}, "it was written by ftkit 0.0.1, this is"),
        ({"trial": "another"}, "it is of a trial with other values"),
        ({"files": None}, "its manifest is damaged"),
        ({"evaluations": [{"epoch": 1, "accuracy": 0.9}]}, "its manifest is damaged"),
        ({"digest": "0" * 64}, "its manifest is damaged"),
        ({"ftkit": [[[]]]}, "it was written by ftkit [[[]]], this is"),
        (None, "its manifest cannot be read"),
    ],
)
def test_one_that_cannot_be_used_is_set_aside_and_the_trial_begins_anew(
    trial: Trial, change: object, reason: str
) -> None:
    trial.write("state")
    manifest = trial.folder / checkpoints.FOLDER / "000001" / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **change}) if isinstance(change, dict) else "{")
    again = Trial(trial.folder)
    assert again.checkpoints.latest() is None
    assert again.resumed == []
    assert [reason in notice for notice in again.notices] == [True]
    assert again.present == ["set-aside-000001"]


def test_the_key_is_of_run_number_values_and_seed() -> None:
    others = [
        ("other", 0, {"epochs": 2}, 7),
        ("run", 1, {"epochs": 2}, 7),
        ("run", 0, {"epochs": 3}, 7),
        ("run", 0, {"epochs": 2}, 8),
    ]
    assert len({KEY, *(key_of(*each) for each in others)}) == 5


def test_a_full_disk_is_told_once_and_leaves_nothing_behind(trial: Trial) -> None:
    def fill(folder: Path) -> None:
        (folder / "half").write_text("a part")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    trial.write("before")
    for _ in range(2):
        trial.checkpoints.write(fill)
    assert len(trial.notices) == 1
    assert "No space left on device" in trial.notices[0]
    assert trial.present == ["000001"]


def test_what_a_kill_left_half_written_is_removed(trial: Trial) -> None:
    (trial.folder / checkpoints.FOLDER / ".000001.abc.partial").mkdir(parents=True)
    assert Trial(trial.folder).checkpoints.latest() is None
    assert trial.present == []


def test_one_is_due_after_its_time_or_when_the_process_is_to_end(tmp_path: Path) -> None:
    trial = Trial(tmp_path, seconds=3600)
    assert not trial.checkpoints.begun
    trial.checkpoints.latest()
    assert trial.checkpoints.begun
    assert not trial.checkpoints.due()
    assert Trial(tmp_path).checkpoints.due()
    trial.checkpoints.interrupted = True
    assert trial.checkpoints.due()
    with pytest.raises(TrialInterrupted):
        trial.write("the last")
    assert trial.present == ["000001"]


def test_discarded_ones_are_set_aside_and_their_evaluations_forgotten(trial: Trial) -> None:
    trial.report(1, np.full((len(DATA.valid), 2), 0.5))
    trial.write("state")
    again = Trial(trial.folder)
    assert again.checkpoints.latest()
    again.checkpoints.discard("it is of other hardware")
    assert again.resumed == [[1], []]
    assert not again.report.evaluations
    assert again.present == ["set-aside-000001"]
    assert again.report(1, np.full((len(DATA.valid), 2), 0.5))


def test_a_new_attempt_keeps_log_and_checkpoints_and_the_end_of_the_trial_only_its_log(trial: Trial) -> None:
    trial.write("state")
    (trial.folder / LOG).touch()
    (trial.folder / "model").mkdir()
    clear(trial.folder)
    assert sorted(path.name for path in trial.folder.iterdir()) == [checkpoints.FOLDER, LOG]
    checkpoints.remove(trial.folder)
    assert [path.name for path in trial.folder.iterdir()] == [LOG]
