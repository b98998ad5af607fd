"""`auto`: every machine takes the fastest of the engines that the promotion tests passed, and no other."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ftkit.bundle.bundle import Bundle, cleared
from ftkit.contracts import AUTO
from ftkit.errors import DeployError, PluginError
from ftkit.serving import engine_choice
from ftkit.serving.engine_choice import Timing, choose
from ftkit.serving.model_host import ModelHost
from ftkit.testing import toys
from ftkit.testing.bundles import GOOD, toy_bundle


@pytest.fixture(autouse=True)
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("FTKIT_CACHE", str(tmp_path / "cache"))
    with toys.install(tmp_path / "plugins"):
        yield


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return toy_bundle(tmp_path / "bundle", engines={"half": True})


def timed(monkeypatch: pytest.MonkeyPatch, *costs: float) -> list[Any]:
    """Let engines cost this much, in the order in which they are measured; returns the list of measured classifiers."""
    seen: list[Any] = []

    def time_classifier(classifier: Any, words: Any) -> Timing:
        seen.append(classifier)
        return Timing(*[costs[len(seen) - 1]] * 4)

    monkeypatch.setattr(engine_choice, "time_classifier", time_classifier)
    here(monkeypatch)
    return seen


def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure in this process, for tests that change what happens there."""
    monkeypatch.setattr(engine_choice, "measure_apart", engine_choice.measure)


@pytest.mark.parametrize(("costs", "engine"), [((1.0, 2.0), "half"), ((2.0, 1.0), "native")])
def test_the_fastest_engine_is_chosen(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, costs: tuple[float, ...], engine: str
) -> None:
    seen = timed(monkeypatch, *costs)
    choice = choose(bundle)
    assert choice.engine == engine
    assert len(seen) == 2
    np.testing.assert_array_equal(
        choice.classifier.probabilities([GOOD]), bundle.classifier_of(engine).probabilities([GOOD])
    )
    assert list(choice.timings) == ["native", "half"]


def test_real_engines_are_measured_with_texts_alone_and_among_others(bundle: Bundle) -> None:
    choice = choose(bundle)
    assert choice.engine in ("native", "half")
    for timing in choice.timings.values():
        assert 0 < timing.cost < 1000
        milliseconds = asdict(timing).values()
        assert min(milliseconds) <= timing.cost <= max(milliseconds)


def test_an_engine_whose_threads_keep_the_processor_busy_costs_more(bundle: Bundle) -> None:
    class Busy:
        """Takes as long as one that waits, and keeps a processor busy all the time."""

        def __init__(self, wait: Callable[[float], None]) -> None:
            self._wait = wait

        def probabilities(self, texts: Sequence[str]) -> None:
            self._wait(0.002)

    def spin(seconds: float) -> None:
        ends = time.perf_counter() + seconds
        while time.perf_counter() < ends:
            pass

    spins, sleeps = (engine_choice.time_classifier(Busy(wait), ["a"]) for wait in (spin, time.sleep))
    assert sleeps.work < spins.work / 2
    assert Timing(1, 1, 1, work=sleeps.work).cost < Timing(1, 1, 1, work=spins.work).cost


def test_engines_are_measured_in_a_process_of_their_own(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_choice, "measure", lambda _: pytest.fail("they were measured in this one"))
    assert sorted(engine_choice.measure_apart(bundle)) == ["half", "native"]


@pytest.mark.parametrize("python", [None, "/no/such/python", shutil.which("false")])
def test_without_a_process_of_their_own_engines_are_measured_in_this_one(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, python: str | None
) -> None:
    monkeypatch.setattr(sys, "executable", python)
    assert sorted(engine_choice.measure_apart(bundle)) == ["half", "native"]
    assert "measured in this process" in caplog.text


def test_an_engine_that_cannot_be_loaded_fails_the_process_that_wants_to_serve(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bundle.folder / "model" / "half.npy").write_bytes(b"")
    with pytest.raises(Exception, match="data left"):
        choose(bundle)


def test_the_measuring_process_ends_with_the_process_that_waits_for_it(bundle: Bundle) -> None:
    code = """
import sys, time
from ftkit.serving import engine_choice
engine_choice.measure = lambda _: print("measuring", flush=True) or time.sleep(3600)
engine_choice.main(*sys.argv[1:])
"""
    command = [sys.executable, "-c", code, str(bundle.folder), bundle.hash, os.devnull]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "measuring\n"
        process.stdin.close()
        assert process.wait(60) == 1


@pytest.mark.parametrize(
    "options",
    [{}, {"engines": {"half": False}}, {"engines": {"half": False}, "record": "overridden"}, {"record": "none"}],
)
def test_without_another_engine_that_passed_the_native_one_answers_and_nothing_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    seen = timed(monkeypatch)
    choice = choose(toy_bundle(tmp_path / "bundle", **options))
    assert (choice.engine, choice.timings, seen) == ("native", {}, [])


def test_an_engine_that_is_not_installed_here_is_left_out(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def absent(*_: object) -> None:
        raise PluginError("engines need packages that are not installed: onnxruntime")

    monkeypatch.setattr(toys.ToyWords, "load_engine", absent)
    here(monkeypatch)
    assert choose(bundle).engine == "native"
    assert "onnxruntime" in caplog.text


def test_timings_that_took_long_are_stored_for_this_bundle(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed(monkeypatch, 1.0, 2.0)
    choose(bundle)
    assert not (tmp_path / "cache").exists(), "it was quick"
    monkeypatch.setattr(engine_choice, "LONG_TIME", 0.0)
    timed(monkeypatch, 1.0, 2.0)
    first = choose(bundle)
    seen = timed(monkeypatch)
    again = choose(bundle)
    assert (again.engine, again.timings, seen) == ("half", first.timings, [])
    other = timed(monkeypatch, 2.0, 1.0)
    assert choose(toy_bundle(tmp_path / "other", ("good", "bad"), engines={"half": True})).engine == "native"
    assert len(other) == 2
    damaged = [{}, {"engine": "half", "timings": {"half": {"short": 1, "long": 2, "many": -1, "work": 1}}}]
    for content in damaged:
        for path in (tmp_path / "cache" / "engines").iterdir():
            path.write_text(json.dumps(content))
        assert len(timed(monkeypatch, 2.0, 1.0)) == 0
        assert choose(bundle).engine == "native", f"a file that cannot be read is ignored: {content}"


def test_a_server_answers_which_engine_was_chosen_and_what_was_measured(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fastapi")
    from starlette.testclient import TestClient

    from ftkit.serving.asgi import application

    timed(monkeypatch, 1.0, 2.0)
    host = ModelHost(bundle.folder, engine=AUTO)
    host.load()
    client = TestClient(application(host))
    assert client.get("/readyz").json()["engine"] == "half"
    model = client.get("/model").json()
    assert model["engine"] == "half"
    assert model["engines_measured_ms"]["half"] == {"short": 1.0, "long": 1.0, "many": 1.0, "work": 1.0}
    answer = client.post("/score", json={"data": [{"text": GOOD}], "scores": True}).json()
    assert answer[0]["score"] == bundle.classifier_of("half").probabilities([GOOD]).max()
    host.close()


def test_a_bundle_that_did_not_pass_is_refused_for_auto_too(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="may not be deployed"):
        cleared(toy_bundle(tmp_path / "bundle", record="failed", engines={"half": True}).folder, AUTO)
