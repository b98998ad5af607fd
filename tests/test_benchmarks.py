"""The benchmarks' commands: that they run and write what is documented; what they measure is nobody's to pin."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import results
from benchmarks.__main__ import NAMES

ROOT = Path(__file__).resolve().parents[1]


def benchmark(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_tells_its_options(name: str) -> None:
    said = benchmark(name, "--help")
    assert f"python -m benchmarks {name}" in said
    if name not in ("gate", "telemetry"):
        assert all(option in said for option in ("--data", "--rows", "--json"))


def test_overhead_writes_one_object_for_each_contender_with_machine_and_versions_beside_them(tmp_path: Path) -> None:
    shown = benchmark("overhead", "--repeats=1", "--rounds=1", "--trials=1", f"--json={tmp_path / 'found.json'}")
    found = json.loads((tmp_path / "found.json").read_text())
    for name in ("python", "ftkit_help", "ftkit_check", "ftkit_plan"):
        assert found[name]["p50_ms"] > 0
        assert found[name]["spread"]["p50_ms"] == [found[name]["p50_ms"]] * 2
        assert f"| {name} |" in shown
    assert {"data_ms", "search_ms", "select_ms", "test_ms"} <= found["run"].keys()
    assert {bar["contender"] for bar in found["bars"]} == {"ftkit_help", "ftkit_check"}
    assert found["machine"]["cores"] and found["versions"]["ftkit"]


def test_ratios_are_taken_within_each_round() -> None:
    fast, slow = ({"runs": [{"speed": one}, {"speed": other}]} for one, other in ((8.0, 30.0), (2.0, 10.0)))
    assert results.ratio(fast, slow, "speed") == 3.5


def test_quality_is_told_as_the_mean_over_seeds_and_speed_as_the_median() -> None:
    found = results.summary([{"macro_f1": value, "p50_ms": value} for value in (1.0, 2.0, 6.0)])
    assert (found["macro_f1"], found["p50_ms"], found["spread"]["p50_ms"]) == (3.0, 2.0, [1.0, 6.0])


def test_a_bar_is_missed_by_what_is_no_number() -> None:
    assert results.Bar("speed", "ftkit", 15.0, least=15).met
    assert not results.Bar("speed", "ftkit", 14.9, least=15).met
    assert not results.Bar("speed", "ftkit", float("nan"), most=15).met
