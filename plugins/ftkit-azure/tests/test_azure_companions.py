"""Processes of one trial: none waits for another that is gone, and their exit codes agree."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from typing import IO

import pytest
from ftkit_azure import companions
from ftkit_azure.options import PipelineOptions

from ftkit.errors import StageError
from ftkit.searching import usage

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's own")
Start = Callable[[str, str, float], list[subprocess.Popen[str]]]
"""Starts two processes, given what each of them does and how patient they are."""

PROGRAM = """
import os, sys, time
from ftkit_azure import companions
companions.PATIENCE = float(os.environ["PATIENCE"])

def work():
    print("works", flush=True)
    sys.stdin.readline()
    {work}

if os.environ["RANK"] == "0":
    companions.First(lambda reason: print(reason, flush=True)).end(work)
follower = companions.Follower()
follower.leave_signals_to_the_first()
while not follower._is_connected:
    time.sleep(0.01)
follower.end(work)
"""


@pytest.fixture
def start() -> Iterator[Start]:
    processes: list[subprocess.Popen[str]] = []
    job = {"AZUREML_RUN_ID": str(uuid.uuid4()), "MASTER_PORT": "29500", "WORLD_SIZE": "2"}

    def begin(first: str, second: str, patience: float) -> list[subprocess.Popen[str]]:
        for rank, work in enumerate((first, second)):
            processes.append(
                subprocess.Popen(
                    [sys.executable, "-c", PROGRAM.format(work=work)],
                    env={**os.environ, **job, "RANK": str(rank), "PATIENCE": str(patience)},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                )
            )
        for process in processes:
            assert _line(process.stdout) == "works"
        return processes

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def _line(output: IO[str] | None) -> str:
    assert output is not None
    return output.readline().strip()


def go_on(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()


@pytest.mark.parametrize(
    ("first", "second", "codes"),
    [
        ("return 0", "return 0", [0, 0]),
        ("return 143", "return 0", [143, 143]),
        ("return 0", "raise ConnectionError('the first process has failed, and reported it')", [0, 0]),
        ("raise ValueError", "raise ValueError", [1, 1]),
    ],
)
def test_all_end_as_the_first_process_does(start: Start, first: str, second: str, codes: list[int]) -> None:
    leading, following = start(first, second, 60.0)
    go_on(following, leading)
    assert [leading.wait(30), following.wait(30)] == codes


def test_a_process_that_waits_for_one_that_was_killed_ends(start: Start) -> None:
    leading, following = start("return 0", "return 0", 0.1)
    following.send_signal(signal.SIGTERM)  # which the first one answers for both
    leading.kill()
    assert following.wait(30) == 143


def test_the_first_process_gives_up_when_another_has_failed(start: Start) -> None:
    leading, following = start("return 0", "raise MemoryError", 0.1)
    go_on(following)
    assert following.wait(30) == 1
    assert leading.wait(30) == 4
    assert _line(leading.stdout) == "process 2 of 2 has ended before the trial; its own log says why"


def test_fewer_gpus_than_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(usage, "gpus", lambda: ("0",))
    with pytest.raises(StageError, match="a trial of 2 processes needs as many GPUs, and the machine has 1 GPU"):
        companions.check_gpus()
    monkeypatch.setattr(usage, "gpus", tuple)
    companions.check_gpus()


def test_no_process_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="processes must be at least 1"):
        PipelineOptions(processes=0)
