"""`benchmarks faults` sees what a kill has spoilt, and a few kills of a small run spoil nothing."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks import faults
from benchmarks.fault_clients import Ended, Line
from benchmarks.fault_facts import Facts, differences
from benchmarks.fault_moments import drawn as drawn_kills
from benchmarks.fault_scenes import WHOLE

ROOT = Path(__file__).resolve().parents[1]
WHOLE_RUN = Facts(
    winner={"selected": 1, "trials": [{"number": 0}, {"number": 1}]},
    weights={"weights.npz": "ab"},
    registered={"versions": [(1, False), (2, True)], "aliases": [("champion", 2)]},
    endpoint=([(100, "ready", True)], ["bad", "good"]),
    processes={"front": 1, "server": 1},
    files={"home/runs/RUN/journal.jsonl": 1},
)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("winner", {**WHOLE_RUN.winner, "selected": 0}, "selected: 1 became 0"),
        ("weights", {"weights.npz": "ac"}, "weights.npz: ab became ac"),
        ("registered", {**WHOLE_RUN.registered, "versions": [(1, False), (2, True), (3, True)]}, "(3, True)"),
        ("endpoint", "it does not answer: the endpoint is not running", "it does not answer"),
        ("processes", {"front": 1, "server": 1, "worker": 1}, "worker: None became 1"),
        ("files", {**WHOLE_RUN.files, "tmp/ftkit-x": 1}, "tmp/ftkit-x: None became 1"),
    ],
)
def test_whatever_differs_from_the_undisturbed_run_is_a_violation(field: str, value: Any, words: str) -> None:
    assert differences(WHOLE_RUN, WHOLE_RUN) == []
    (sentence,) = differences(WHOLE_RUN, dataclasses.replace(WHOLE_RUN, **{field: value}))
    assert sentence.startswith(f"{field}: ")
    assert words in sentence


def ended(code: int | None, killed: str = "client SIGKILL", lines: Sequence[str] = ("run: done",)) -> Ended:
    return Ended(code, 5.0, [Line(text, 1.0, frozenset()) for text in lines], killed)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (ended(0), ""),
        (ended(-signal.SIGKILL), ""),
        (ended(143), ""),
        (ended(4), ""),
        (ended(None), "took longer than"),
        (ended(1), "exit code 1"),
        (ended(4, killed=""), "nothing was killed"),
        (ended(4, lines=("Traceback (most recent call last):",)), "wrote a traceback"),
        (ended(4, lines=("error: an unexpected error, in ftkit or in a plugin: KeyError",)), "wrote a traceback"),
    ],
)
def test_a_command_that_hangs_breaks_off_or_writes_a_traceback_is_a_violation(command: Ended, words: str) -> None:
    sentences = list(faults.wrong(command))
    assert [words in each for each in sentences] == [True] * bool(words)


def test_moments_are_those_of_processes_that_were_there_and_the_same_for_the_same_seed() -> None:
    roles: list[set[str]] = [set(), {"worker"}, {"worker"}, {"server"}, {"server", "front"}, set()]
    lines = [Line("step" * number, number, frozenset(each)) for number, each in enumerate(roles)]
    course = Ended(0, 6.0, [*lines, Line("report: here", 6.0, frozenset({"server"}))])
    drawn = [kill for case in range(50) for kill in drawn_kills(WHOLE, f"7/{case}", course)]
    assert drawn == [kill for case in range(50) for kill in drawn_kills(WHOLE, f"7/{case}", course)]
    assert {kill.role for kill in drawn} == set(WHOLE.roles)
    assert all(kill.role == "client" or kill.role in roles[len(kill.line) // 4] for kill in drawn)
    assert {kill.number for kill in drawn} == {signal.SIGKILL, signal.SIGTERM}


def test_a_small_run_that_is_killed_ends_as_one_that_is_not(tmp_path: Path) -> None:
    arguments = ["--scene=small", "--kills=2", "--seconds=600", "--seed=4", f"--json={tmp_path / 'results.json'}"]
    command = [sys.executable, "-m", "benchmarks", "faults", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    measured = json.loads((tmp_path / "results.json").read_text())
    assert measured["all"]["kills"] >= 1
    assert measured["all"]["violations"] == 0, done.stderr
    assert [bar["met"] for bar in measured["bars"]] == [True]
    assert "seed 4" in done.stdout
