"""Telemetry of a run: one trace of spans, events with numbers, and no free text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import ftkit_appinsights
import pytest
from ftkit_appinsights import runs, settings

from ftkit import events
from ftkit.contracts import Verdict
from ftkit.testing import toys
from ftkit.testing.observers import ObserverSuite, sample_run


class TestRunTelemetry(ObserverSuite):
    @pytest.fixture
    def component(self, telemetry_ingestion: Any) -> Any:
        return ftkit_appinsights


class TestWithoutDestination(ObserverSuite):
    @pytest.fixture
    def component(self, telemetry_off: None) -> Any:
        return ftkit_appinsights


def send(*run: events.Event) -> None:
    for event in run:
        ftkit_appinsights.on_event(event=event)
    configured = settings.read()
    assert configured
    running = runs.telemetry(configured)
    assert running
    running.close()


def test_a_runs_stages_and_trials_are_spans_of_one_trace(telemetry_ingestion: Any) -> None:
    send(*(each for each in sample_run() if not isinstance(each, events.StageFailed)))
    spans = {each["name"]: each for each in telemetry_ingestion.data("RemoteDependencyData")}
    assert set(spans) == {"ftkit run", "stage data", "stage search", "stage test", "trial 0", "trial 1", "trial 2"}
    assert len({each["tags"]["ai.operation.id"] for each in spans.values()}) == 1
    root = spans.pop("ftkit run")
    assert {each["tags"]["ai.operation.parentId"] for each in spans.values()} == {root["id"]}
    assert spans["stage search"]["duration"] == "0.00:00:20.000"
    assert spans["trial 0"]["duration"] == "0.00:00:12.500"
    assert (spans["trial 0"]["success"], spans["trial 1"]["success"]) == (True, False)
    assert root["success"] is True
    assert root["properties"]["ftkit.promoted"] == "True"


def test_a_runs_events_have_its_name_its_trace_and_their_numbers(telemetry_ingestion: Any) -> None:
    send(*sample_run())
    sent = telemetry_ingestion.data("EventData")
    assert {each["properties"]["ftkit.run"] for each in sent} == {"sample-20250101-120000"}
    trials = telemetry_ingestion.events("ftkit.trial")
    assert [each["ftkit.trial"] for each in trials] == ["1", "0", "2"]
    best = trials[1]
    assert (best["ftkit.state"], best["ftkit.seconds"], best["ftkit.attempts"]) == ("finished", "12.5", "1")
    assert (float(best["ftkit.value.learning_rate"]), float(best["ftkit.metric.macro_f1"])) == (3e-5, 0.84)
    (verdict,) = telemetry_ingestion.events("ftkit.verdict")
    assert (verdict["ftkit.test"], verdict["ftkit.status"]) == ("metric-floor", "passed")
    assert telemetry_ingestion.events("ftkit.promotion")[0]["ftkit.promoted"] == "True"
    assert telemetry_ingestion.events("ftkit.registered")[0]["ftkit.version"] == "3"
    assert telemetry_ingestion.events("ftkit.deployment")[0]["ftkit.step"] == "became ready"
    assert json.loads(telemetry_ingestion.events("ftkit.traffic")[0]["ftkit.shares"]) == {"v3": 100}
    assert telemetry_ingestion.events("ftkit.run.finished")[0]["ftkit.exit_code"] == "0"
    starting = telemetry_ingestion.data("EventData", "ftkit.run.started")[0]
    assert starting["tags"]["ai.operation.id"] != "0" * 32


def test_a_stage_that_fails_ends_the_runs_span_as_failed(telemetry_ingestion: Any) -> None:
    send(*sample_run()[:4], events.StageFailed("search", 2.5, "no trial finished"))
    spans = {each["name"]: each for each in telemetry_ingestion.data("RemoteDependencyData")}
    assert (spans["ftkit run"]["success"], spans["stage search"]["success"]) == (False, False)
    (stage,) = telemetry_ingestion.events("ftkit.stage")
    assert (stage["ftkit.state"], stage["ftkit.seconds"]) == ("failed", "2.5")


FREE = [
    events.StageFailed("data", 1.0, "row 17 says: my card number is 4111"),
    events.VerdictReached(Verdict("examples", "failed", "the text 'my card number is 4111' was answered wrongly")),
    events.PromotionDecided(False, "Not promoted: my card number is 4111"),
    events.TrialRetried(1, "ValueError: my card number is 4111"),
    events.DeploymentChanged("reviews", "v3", "removed", "my card number is 4111"),
    events.Noticed("my card number is 4111", warning=True),
    events.ReportWritten("/home/somebody/my card number is 4111"),
]


def test_free_text_is_sent_only_if_the_variable_says_so(
    telemetry_ingestion: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(*sample_run()[:1], *FREE)
    assert telemetry_ingestion.events("ftkit.verdict")
    assert "4111" not in telemetry_ingestion.wire
    monkeypatch.setenv("FTKIT_TELEMETRY_TEXTS", "1")
    send(*sample_run()[:1], *FREE)
    assert "4111" in telemetry_ingestion.events("ftkit.verdict")[-1]["ftkit.sentence"]


def test_a_run_of_the_command_line_arrives_and_its_key_is_in_no_output_and_no_file(
    telemetry_ingestion: Any, telemetry_home: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "toy.toml"
    recipe.write_text(toys.RECIPE, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-m", "ftkit", "run", str(recipe)], capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.returncode == 0, ran.stderr
    (finished,) = telemetry_ingestion.events("ftkit.run.finished")
    assert finished["ftkit.exit_code"] == "0"
    assert len(telemetry_ingestion.events("ftkit.trial")) == 2
    stages = {each["name"] for each in telemetry_ingestion.data("RemoteDependencyData")}
    assert {"ftkit run", "stage data", "stage search", "stage select", "stage test", "trial 0", "trial 1"} <= stages
    key = os.environ[settings.AZURE].split("=")[1].partition(";")[0]
    assert key not in ran.stdout + ran.stderr
    written = [path for path in telemetry_home.rglob("*") if path.is_file()]
    assert written
    assert [str(path) for path in written if key.encode() in path.read_bytes()] == []


@pytest.mark.parametrize("mood", ["hanging", "gone"])
def test_a_run_ends_normally_when_ingestion_is_dead(
    telemetry_ingestion: Any, telemetry_home: Path, tmp_path: Path, mood: str
) -> None:
    recipe = tmp_path / "toy.toml"
    recipe.write_text(toys.RECIPE, encoding="utf-8")
    if mood == "gone":
        telemetry_ingestion.close()
    telemetry_ingestion.mood = mood
    ran = subprocess.run(
        [sys.executable, "-m", "ftkit", "run", str(recipe), "--json"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    for line in ran.stdout.splitlines():
        json.loads(line)
