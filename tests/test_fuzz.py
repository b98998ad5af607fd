"""Damaged input, a little of each kind: `python -m benchmarks fuzz` reads more of it, for hours where it is let."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from benchmarks.fuzzing import families, mutations, worker
from benchmarks.fuzzing.families import Case, Silent
from ftkit.errors import DataError

ROOT = Path(__file__).resolve().parents[1]
QUICK = [name for name in families.NAMES if name not in ("http", "runs")]  # these start an endpoint, and train


def test_a_few_cases_of_each_kind_have_no_finding(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "fuzz", "--families", *QUICK, "--cases", "60", "--seconds", "1.2"]
    results = tmp_path / "results.json"
    done = subprocess.run(
        [*command, "--seed", "16", "--workers", "1", "--json", str(results)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    lines = json.loads(results.read_text())["lines"]
    assert [line["done"] for line in lines] == QUICK
    assert all(line["accepted"] + line["refused"] for line in lines)


def raising(error: BaseException) -> Case:
    def read() -> families.Outcome:
        raise error

    return Case("a case", read)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (DataError("no rows", "rows.csv"), None),
        (DataError("a text " * 5000, "x" * 30_000), "endless message"),
        (DataError("Traceback (most recent call last)"), "traceback in a message"),
        (Silent("a row is gone"), "accepted silently"),
        (KeyError("a"), "KeyError"),
        (RecursionError(), "RecursionError"),
        (SystemExit(1), "SystemExit"),
    ],
)
def test_what_is_no_error_of_ftkit_is_a_finding(error: BaseException, kind: str | None) -> None:
    finding = worker.read(raising(error), {"accepted": 0, "refused": 0})
    assert (finding or {}).get("kind") == kind


def test_a_case_that_does_not_end_is_a_finding_and_the_next_ones_are_read(tmp_path: Path) -> None:
    """The worker's limit ends the process, with its stack in the output."""
    program = "from benchmarks.fuzzing import worker\nworker.watch()\nwith worker.limited(0.2):\n    while True: pass\n"
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert 'File "<string>", line 4' in ended.stderr


def test_the_same_generator_makes_the_same_damage() -> None:
    value = {"a": [1, {"b": "text"}], "c": None}
    made = [[mutations.written(mutations.another_value(Random(seed), value)) for seed in range(300)] for _ in range(2)]
    assert made[0] == made[1]
    assert len({*made[0]}) > 100
    assert value == {"a": [1, {"b": "text"}], "c": None}
    assert any(text.count(b'"a"') > 1 for text in made[0]), "a key that is there twice"
