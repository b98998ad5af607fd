"""A process that is killed at any of its file operations leaves a run that goes on, and nothing half written once it does."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from ftkit import files
from ftkit.runs import ledger as ledgers
from ftkit.runs.ledger import Ledger
from ftkit.stages import known_endpoints
from ftkit.testing.toys import ToyReviews

DATA = ToyReviews(rows=30).load(3, lambda event: None)
OPERATIONS = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "shutil.rmtree")
"""Audit events of what changes files. Source: Python, "Audit events table"."""


def killed_at(operation: int, work: Callable[[], Any]) -> bool:
    """Do work in a process that is killed before its so many-th file operation; returns whether it was killed."""
    child = os.fork()
    if child == 0:
        count = 0

        def hook(event: str, _: Any) -> None:
            nonlocal count
            if event in OPERATIONS:
                count += 1
                if count == operation:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL)
    return code == -signal.SIGKILL


@dataclass(frozen=True)
class Work:
    """What is killed, and what the next process does and must come to."""

    do: Callable[[Ledger], Any]
    begin: Callable[[Ledger], Any] = lambda ledger: None
    """What was done before."""


def stored(ledger: Ledger) -> None:
    if not ledger.holds_data or ledger.fact("data") is None:
        ledger.store_data(DATA)


def opened(ledger: Ledger) -> None:
    assert ledger.data().test == DATA.test


def predicted(ledger: Ledger) -> None:
    for value in (0.25, 0.75):
        ledger.store_predictions({"candidate": np.full((3, 2), value), "champion": np.full((3, 2), value)})
    assert ledger.predictions()["champion"][0, 0] == 0.75


def adopted(ledger: Ledger) -> None:
    ledger.adopt('name = "toy"\nseed = 2\n')
    assert ledger.recipe == 'name = "toy"\nseed = 2\n'


def remembered(ledger: Ledger) -> None:
    deployer: Any = Remembered()
    known_endpoints.remember(deployer)
    assert set(known_endpoints._read()) == {"memory"}


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """As much of a deployer as is remembered."""

    name: ClassVar[str] = "memory"
    endpoint: str = "memory"


WORK = {
    "rows are stored": Work(stored),
    "test rows are opened": Work(opened, stored),
    "predictions are stored": Work(predicted),
    "a recipe is adopted": Work(adopted),
    "an endpoint is remembered": Work(remembered),
}


@pytest.mark.parametrize("name", WORK)
def test_what_was_killed_at_any_file_operation_is_done_by_the_next_process_and_nothing_else_is_left(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = WORK[name]

    def run(operation: int) -> tuple[bool, set[str]]:
        """Kill at this operation, then do it again; returns whether it was killed, and the files that are there at the end."""
        home = tmp_path / str(operation)
        monkeypatch.setenv("FTKIT_HOME", str(home))
        with ledgers.at(home / "runs" / "toy", "toy", 'name = "toy"\n').held():
            work.begin(Ledger(home / "runs" / "toy"))
        folder = home / "runs" / "toy"

        def again() -> None:
            ledger = Ledger(folder)
            with ledger.held():
                work.do(ledger)

        killed = killed_at(operation, again)
        again()
        opened(Ledger(folder)) if name == "rows are stored" else None
        return killed, {path.relative_to(home).as_posix() for path in home.rglob("*")}

    killed, expected = run(0)
    assert not killed
    operation = 1
    while True:
        killed, left = run(operation)
        assert left == expected, f"killed before its operation {operation}"
        if not killed:
            break
        operation += 1
    assert operation > 3


def test_what_is_swept_is_what_was_half_written_and_nothing_else(tmp_path: Path) -> None:
    for name in (".a.json.12345678.partial", "deep/.bundle.12345678.partial/model/weights.npy", ".b.12345678.old/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("half")
    for name in ("a.json", "deep/bundle/partial", "deep/.lock", "my.partial", "my.old"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("whole")
    files.sweep(tmp_path)
    there = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert there == {"a.json", "deep/bundle/partial", "deep/.lock", "my.partial", "my.old"}
