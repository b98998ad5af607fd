"""Bundles that another machine can load, and bundles that only seem to be whole."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ftkit_strict.reload import Reload
from ftkit_strict.sandbox import Watch, software

from ftkit.contracts import Contender

Make = Any


@pytest.fixture(scope="module")
def isolated() -> bool:
    """Whether this system lets a process leave its network behind."""
    script = "from ftkit_strict.sandbox import leave; print(leave([]))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.strip() == "True"


def test_a_whole_bundle_loads_elsewhere_as_here(workshop: Make, isolated: bool) -> None:
    verdict = Reload().check(workshop.contender("whole"), None)
    assert verdict.status == "passed", verdict.sentence
    assert verdict.numbers["max_difference"] == 0
    assert verdict.numbers["rows"] == min(32, len(workshop.data.test))
    assert verdict.numbers["isolated"] == isolated


def test_a_byte_that_changed_is_found(workshop: Make) -> None:
    contender = workshop.contender("changed")
    weights = contender.bundle / "model" / "weights.npy"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    verdict = Reload().check(contender, None)
    assert verdict.status == "failed"
    assert "changed since it was written: model/weights.npy" in verdict.sentence


@pytest.mark.parametrize("name", ["model/weights.npy", "sample_request.json", "manifest.json"])
def test_a_missing_file_is_found(workshop: Make, name: str) -> None:
    contender = workshop.contender("missing")
    (contender.bundle / name).unlink()
    verdict = Reload().check(contender, None)
    assert verdict.status == "failed"
    assert Path(name).name in verdict.sentence


def test_a_model_that_needs_the_network_is_found_and_the_host_named(workshop: Make) -> None:
    contender = unloaded(workshop, "online", network="models.example.org")
    verdict = Reload().check(contender, None)
    assert verdict.status == "failed"
    assert "it does not load there" in verdict.sentence
    assert "it tried to reach models.example.org" in verdict.sentence


def test_a_model_that_asks_the_network_on_the_sly_is_found_too(workshop: Make) -> None:
    verdict = Reload().check(unloaded(workshop, "sly", network="192.0.2.7", quietly=True), None)
    assert verdict.status == "failed"
    assert "it tried to reach 192.0.2.7" in verdict.sentence
    assert "does not load" not in verdict.sentence


def test_a_model_that_reads_a_file_of_this_machine_is_found_unless_that_is_allowed(
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


def test_a_model_that_goes_back_to_the_old_place_is_found(workshop: Make) -> None:
    place = workshop.folder / "homesick" / "bundle" / "recipe.toml"
    contender = unloaded(workshop, "homesick", reads=[str(place)])
    assert place.is_file()
    verdict = Reload().check(contender, None)
    assert verdict.status == "failed"
    assert "recipe.toml" in verdict.sentence


def test_native_code_that_goes_back_to_the_old_place_is_found(workshop: Make, isolated: bool) -> None:
    if not isolated:
        pytest.skip("this system lets no process hide folders from itself")
    place = workshop.folder / "native" / "bundle" / "recipe.toml"
    contender = unloaded(workshop, "native", native=str(place))
    assert ctypes.CDLL(None).access(os.fsencode(place), os.R_OK) == 0
    verdict = Reload().check(contender, None)
    assert verdict.status == "failed"
    assert "native code finds no" in verdict.sentence


def test_a_model_that_the_home_folder_changes_is_found(
    workshop: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "scale.json").write_text(json.dumps(0.5), encoding="utf-8")
    verdict = Reload().check(workshop.contender("homely", home=True), None)
    assert verdict.status == "failed"
    assert "probabilities differ by up to" in verdict.sentence
    assert verdict.numbers["max_difference"] > 0.01


def test_a_process_that_dies_over_it_is_said(workshop: Make) -> None:
    contender = unloaded(workshop, "dying", on={" ": "die"})
    verdict = Reload().check(contender, None)
    assert verdict.status == "failed"
    assert "killed by SIGKILL" in verdict.sentence


def test_one_that_takes_too_long_is_not_waited_for(workshop: Make) -> None:
    verdict = Reload(seconds=2.0).check(unloaded(workshop, "slow", delay=60), None)
    assert verdict.status == "failed"
    assert "within 2 s" in verdict.sentence


def test_nothing_of_the_bundle_or_the_machine_is_changed(workshop: Make, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    contender = workshop.contender("untouched")
    before = {path: path.read_bytes() for path in contender.bundle.rglob("*") if path.is_file()}
    Reload().check(contender, None)
    assert {path: path.read_bytes() for path in contender.bundle.rglob("*") if path.is_file()} == before
    assert list(tmp_path.iterdir()) == []


def test_a_real_encoder_loads_elsewhere(tmp_path: Path, contender_of: Callable[[Path], Contender]) -> None:
    verdict = Reload().check(contender_of(tmp_path), None)
    assert verdict.status == "passed", verdict.sentence


def test_installed_software_may_be_read_and_nothing_else(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("")
    foreign = tmp_path / "foreign"
    foreign.write_text("")
    watch = Watch([*software(), str(own)])
    for path in (json.__file__, pytest.__file__, "/etc/hosts", str(own), str(tmp_path / "is not there"), 7):
        watch._hear("open", (path, "r", os.O_RDONLY))
    watch._hear("open", (str(foreign), "w", os.O_WRONLY))
    assert watch.read == []
    with pytest.raises(FileNotFoundError):
        watch._hear("open", (str(foreign), "r", os.O_RDONLY))
    assert watch.read == [str(foreign)]


@pytest.mark.parametrize("options", [{"rows": 0}, {"tolerance": 2.0}, {"seconds": 0.0}])
def test_impossible_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        Reload(**options)


def unloaded(workshop: Make, name: str, **behaviour: object) -> Contender:
    """A contender with a bundle that must not be loaded in this process, scored by its harmless twin."""
    twin = workshop.contender(f"{name}-twin")
    bundle = workshop.bundle(name, **behaviour)
    return replace(twin, bundle=bundle.folder)
