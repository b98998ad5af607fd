"""Bundles that another machine can load, and bundles that only seem complete."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ftkit_strict.reload import Reload
from ftkit_strict.sandbox import AccessGuard, software_folders

from ftkit.contracts import Contender

Make = Any


@pytest.fixture(scope="module")
def isolated() -> bool:
    """Whether this system lets a process enter namespaces of its own."""
    script = "from ftkit_strict.sandbox import enter_namespaces; print(enter_namespaces([]))"
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return process.stdout.strip() == "True"


def test_a_complete_bundle_gives_the_same_probabilities(workshop: Make, isolated: bool) -> None:
    verdict = Reload().check(workshop.contender("whole"), None)
    assert verdict.status == "passed", verdict.sentence
    assert verdict.numbers["max_difference"] == 0
    assert verdict.numbers["rows"] == min(32, len(workshop.data.test))
    assert verdict.numbers["isolated"] == isolated


def test_a_changed_byte_fails(workshop: Make) -> None:
    contender = workshop.contender("changed")
    weights = contender.bundle / "model" / "weights.npy"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    verdict = Reload().check(contender, None)
    assert verdict.status == "failed"
    assert "changed since it was written: model/weights.npy" in verdict.sentence


@pytest.mark.parametrize("name", ["model/weights.npy", "sample_request.json", "manifest.json"])
def test_a_missing_file_fails(workshop: Make, name: str) -> None:
    contender = workshop.contender("missing")
    (contender.bundle / name).unlink()
    verdict = Reload().check(contender, None)
    assert verdict.status == "failed"
    assert Path(name).name in verdict.sentence


def test_a_model_that_needs_the_network_fails_and_the_host_is_named(workshop: Make) -> None:
    contender = unloaded(workshop, "online", network="models.example.org")
    verdict = Reload().check(contender, None)
    assert verdict.status == "failed"
    assert "it does not load: " in verdict.sentence
    assert "it tried to reach models.example.org" in verdict.sentence


def test_a_model_that_hides_its_use_of_the_network_fails_too(workshop: Make) -> None:
    verdict = Reload().check(unloaded(workshop, "quiet", network="192.0.2.7", quietly=True), None)
    assert verdict.status == "failed"
    assert "it tried to reach 192.0.2.7" in verdict.sentence
    assert "does not load" not in verdict.sentence


def test_a_model_that_reads_a_file_of_this_machine_fails_unless_the_file_is_allowed(
    workshop: Make, tmp_path: Path
) -> None:
    vocabulary = tmp_path / "vocabulary.txt"
    vocabulary.write_text("words", encoding="utf-8")
    contender = workshop.contender("reader", reads=[str(vocabulary)])
    verdict = Reload().check(contender, None)
    assert verdict.status == "failed"
    assert f"it read {vocabulary}"[:60] in verdict.sentence
    assert Reload(allow=(vocabulary,)).check(contender, None).status == "passed"
    assert Reload(allow=(tmp_path,)).check(contender, None).status == "passed"


def test_a_model_that_reads_the_original_bundle_fails(workshop: Make) -> None:
    place = workshop.folder / "original" / "bundle" / "recipe.toml"
    contender = unloaded(workshop, "original", reads=[str(place)])
    assert place.is_file()
    verdict = Reload().check(contender, None)
    assert verdict.status == "failed"
    assert "recipe.toml" in verdict.sentence


def test_native_code_that_reads_the_original_bundle_fails(workshop: Make, isolated: bool) -> None:
    if not isolated:
        pytest.skip("this system lets no process hide folders from itself")
    place = workshop.folder / "native" / "bundle" / "recipe.toml"
    contender = unloaded(workshop, "native", native=str(place))
    assert ctypes.CDLL(None).access(os.fsencode(place), os.R_OK) == 0
    verdict = Reload().check(contender, None)
    assert verdict.status == "failed"
    assert "native code finds no" in verdict.sentence


def test_a_model_that_depends_on_the_home_folder_fails(
    workshop: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "scale.json").write_text(json.dumps(0.5), encoding="utf-8")
    verdict = Reload().check(workshop.contender("homely", home=True), None)
    assert verdict.status == "failed"
    assert "probabilities differ by up to" in verdict.sentence
    assert verdict.numbers["max_difference"] > 0.01


def test_a_process_that_dies_fails_with_the_signal(workshop: Make) -> None:
    contender = unloaded(workshop, "dying", on={" ": "die"})
    verdict = Reload().check(contender, None)
    assert verdict.status == "failed"
    assert "killed by SIGKILL" in verdict.sentence


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_something_else_kills_is_run_again(
    workshop: Make, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    real, runs = subprocess.run, []

    def run(*arguments: Any, **options: Any) -> Any:
        runs.append(arguments)
        return subprocess.CompletedProcess(arguments, -number) if len(runs) == 1 else real(*arguments, **options)

    monkeypatch.setattr("ftkit_strict.reload.subprocess.run", run)
    assert Reload().check(workshop.contender("whole"), None).status == "passed"
    assert len(runs) == 2


def test_a_process_that_takes_too_long_fails(workshop: Make) -> None:
    verdict = Reload(seconds=2.0).check(unloaded(workshop, "slow", delay=60), None)
    assert verdict.status == "failed"
    assert "within 2 s" in verdict.sentence


def test_the_check_changes_neither_bundle_nor_machine(workshop: Make, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    contender = workshop.contender("untouched")
    before = {path: path.read_bytes() for path in contender.bundle.rglob("*") if path.is_file()}
    Reload().check(contender, None)
    assert {path: path.read_bytes() for path in contender.bundle.rglob("*") if path.is_file()} == before
    assert list(tmp_path.iterdir()) == []


def test_a_real_encoder_passes(tmp_path: Path, contender_of: Callable[[Path], Contender]) -> None:
    verdict = Reload().check(contender_of(tmp_path), None)
    assert verdict.status == "passed", verdict.sentence


def test_installed_software_may_be_read_and_nothing_else(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("")
    foreign = tmp_path / "foreign"
    foreign.write_text("")
    guard = AccessGuard([*software_folders(), str(own)])
    for path in (json.__file__, pytest.__file__, "/etc/hosts", str(own), str(tmp_path / "is not there"), 7):
        guard._audit("open", (path, "r", os.O_RDONLY))
    guard._audit("open", (str(foreign), "w", os.O_WRONLY))
    assert guard.files == []
    with pytest.raises(FileNotFoundError):
        guard._audit("open", (str(foreign), "r", os.O_RDONLY))
    assert guard.files == [str(foreign)]


@pytest.mark.parametrize("options", [{"rows": 0}, {"tolerance": 2.0}, {"seconds": 0.0}])
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Reload(**options)


def unloaded(workshop: Make, name: str, **behaviour: object) -> Contender:
    """A contender with a bundle that must not be loaded in this process; its scores come from a harmless twin."""
    twin = workshop.contender(f"{name}-twin")
    bundle = workshop.bundle(name, **behaviour)
    return replace(twin, bundle=bundle.folder)
