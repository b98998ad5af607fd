"""One server for all tests of a gate: started when first needed, and ended with the gate, however the gate ends."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ftkit_strict.budget import Budget

import ftkit
from ftkit.contracts import Contender, Verdict
from ftkit.serving.server_process import ServerProcess, shared_server
from ftkit.testing import toys

TESTS = """
[[promote]]
use = "odd-input"
long = 1000

[[promote]]
use = "served-parity"

[[promote]]
use = "budget"
requests = 20
p95_ms = 30000.0

[[promote]]
use = "reload"
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "toy.toml"
    path.write_text(toys.RECIPE.replace("trials = 2", "trials = 1") + TESTS, encoding="utf-8")
    return path


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The process ids of the servers that were started."""
    pids: list[int] = []
    start: Callable[..., None] = ServerProcess.__init__

    def record_pid(self: ServerProcess, *args: Any, **options: Any) -> None:
        start(self, *args, **options)
        pids.append(self.pid)

    monkeypatch.setattr(ServerProcess, "__init__", record_pid)
    return pids


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_all_tests_of_a_gate_share_one_server_that_ends_with_it(recipe: Path, started: list[int]) -> None:
    with toys.install(recipe.parent / "plugins"):
        outcome = ftkit.run(recipe, emit=lambda _: None)
    statuses = {verdict.test: verdict.status for verdict in outcome.verdicts}
    assert statuses == dict.fromkeys(["odd-input", "served-parity", "budget", "reload"], "passed")
    assert outcome.promoted
    assert len(started) == 1
    assert not is_alive(started[0])


def test_a_gate_without_tests_of_a_server_starts_none(recipe: Path, started: list[int]) -> None:
    recipe.write_text(recipe.read_text().split("[[promote]]")[0] + '[[promote]]\nuse = "reload"\n', encoding="utf-8")
    with toys.install(recipe.parent / "plugins"):
        assert ftkit.run(recipe, emit=lambda _: None).promoted
    assert started == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_gate_that_breaks_off_leaves_no_server(
    recipe: Path, started: list[int], monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def check(self: Budget, candidate: Contender, champion: Contender | None) -> Verdict:
        with shared_server(candidate) as servers:
            assert is_alive(servers.get().pid)
            raise error

    monkeypatch.setattr(Budget, "check", check)
    with toys.install(recipe.parent / "plugins"):
        if error is KeyboardInterrupt:
            with pytest.raises(KeyboardInterrupt):
                ftkit.run(recipe, emit=lambda _: None)
        else:
            verdicts = ftkit.run(recipe, emit=lambda _: None).verdicts
            assert {each.test: each.status for each in verdicts}["budget"] == "error"
    assert len(started) == 1
    assert not is_alive(started[0])
