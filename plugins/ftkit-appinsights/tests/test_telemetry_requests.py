"""A deployment's requests at Application Insights: durations, trace context, attributes, and no text."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import replace
from typing import Any

import ftkit_appinsights
import pytest

from ftkit.contracts.monitoring import Profile, Watcher
from ftkit.testing.watchers import WatcherSuite, sample_requests, sample_served


class TestIngestion(WatcherSuite):
    @pytest.fixture
    def component(self, telemetry_ingestion: Any) -> Any:
        return ftkit_appinsights


class TestCollector(WatcherSuite):
    @pytest.fixture
    def component(self, telemetry_collector: Any) -> Any:
        return ftkit_appinsights


def watcher() -> Watcher:
    (only,) = ftkit_appinsights.watchers(served=sample_served())
    return only


def test_a_request_arrives_with_its_duration_and_its_callers_trace(telemetry_ingestion: Any) -> None:
    watching = watcher()
    watching.tell(sample_requests()[0])
    watching.close()
    (request,) = telemetry_ingestion.requests
    assert request["duration"] == "0.00:00:00.012"
    assert request["tags"]["ai.operation.id"] == "0af7651916cd43dd8448eb211c80319c"
    assert request["tags"]["ai.operation.parentId"] == "b7ad6b7169203331"
    assert request["tags"]["ai.cloud.role"] == "reviews"
    assert request["tags"]["ai.application.ver"] == "3"
    assert (request["name"], request["responseCode"], request["success"]) == ("POST /score", "200", True)


def test_a_request_arrives_with_its_attributes(telemetry_ingestion: Any) -> None:
    watching = watcher()
    for request in sample_requests()[:2]:
        watching.tell(request)
    watching.close()
    one, two = (each["properties"] for each in telemetry_ingestion.requests)
    deployment = {
        "ftkit.endpoint": "reviews",
        "ftkit.deployment": "v3-20250101-120000",
        "ftkit.model": "sample",
        "ftkit.version": "3",
        "ftkit.bundle": "ab" * 32,
        "ftkit.run": "sample-20250101-120000",
        "ftkit.engine": "native",
    }
    assert one.items() >= deployment.items()
    assert two.items() >= deployment.items()
    assert (one["ftkit.rows"], one["ftkit.tokens"], one["ftkit.label"]) == ("1", "7", "positive")
    assert float(one["ftkit.confidence"]) == 0.93
    assert float(one["ftkit.duration_ms"]) == pytest.approx(12.3)
    assert (two["ftkit.rows"], two["ftkit.tokens"]) == ("2", "15")
    assert "ftkit.label" not in two
    assert json.loads(two["ftkit.labels"]) == {"positive": 1, "negative": 1}
    assert float(two["ftkit.confidence"]) == pytest.approx(0.65)
    assert float(two["ftkit.confidence_least"]) == 0.6


def test_refused_and_failed_requests_arrive_with_their_status(telemetry_ingestion: Any) -> None:
    watching = watcher()
    for request in sample_requests():
        watching.tell(request)
    watching.close()
    arrived = [(each["responseCode"], each["success"]) for each in telemetry_ingestion.requests]
    expected = [("200", True)] * 3 + [("422", False), ("503", False), ("429", False), ("500", False), ("499", False)]
    assert arrived == expected


def test_a_request_arrives_if_its_caller_does_not_sample(telemetry_ingestion: Any) -> None:
    unsampled = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"}
    watching = watcher()
    watching.tell(replace(sample_requests()[0], trace=unsampled))
    watching.close()
    assert len(telemetry_ingestion.requests) == 1


def test_an_invalid_trace_header_starts_a_new_trace(telemetry_ingestion: Any) -> None:
    watching = watcher()
    watching.tell(replace(sample_requests()[0], trace={"traceparent": "00-zz-zz-01"}))
    watching.close()
    (request,) = telemetry_ingestion.requests
    assert int(request["tags"]["ai.operation.id"], 16)
    assert "ai.operation.parentId" not in request["tags"]


def test_a_duration_below_a_millisecond_is_exact(telemetry_ingestion: Any) -> None:
    watching = watcher()
    watching.tell(replace(sample_requests()[0], seconds=0.00042))
    watching.close()
    assert float(telemetry_ingestion.requests[0]["properties"]["ftkit.duration_ms"]) == pytest.approx(0.42)


def test_texts_are_sent_only_if_the_variable_says_so_and_without_secrets(
    telemetry_ingestion: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching = watcher()
    for request in sample_requests():
        watching.tell(request)
    watching.close()
    assert telemetry_ingestion.requests
    for request in sample_requests():
        assert not any(text in telemetry_ingestion.wire for text in request.texts)
    monkeypatch.setenv("FTKIT_TELEMETRY_TEXTS", "1")
    watching = watcher()
    watching.tell(replace(sample_requests()[0], texts=("It broke after a week.", "My password=hunter2 is safe.")))
    watching.close()
    texts = json.loads(telemetry_ingestion.requests[-1]["properties"]["ftkit.texts"])
    assert texts == ["It broke after a week.", "My password=*** is safe."]


def test_drift_arrives_for_each_signal(telemetry_ingestion: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTKIT_DRIFT_WINDOW", "100")
    watching = watcher()
    for _ in range(100):
        watching.tell(replace(sample_requests()[0], labels=("negative",), confidences=(0.55,)))
    watching.close()
    drift = telemetry_ingestion.events("ftkit.drift")
    assert len(drift) == 2 * 9
    latest = {each["ftkit.drift.signal"]: each for each in drift}
    assert json.loads(latest["class"]["ftkit.drift.counts"]) == {"negative": 100, "positive": 0}
    assert json.loads(latest["confidence"]["ftkit.drift.counts"]) == {
        "0 to 0.6000": 100,
        "0.6000 to 0.8000": 0,
        "0.8000 to 1": 0,
    }
    for each in latest.values():
        assert float(each["ftkit.drift.psi"]) > 0.25
        assert float(each["ftkit.drift.limit"]) > 0
        assert (each["ftkit.drift.rows"], each["ftkit.drift.reference"]) == ("100", "80")
        assert (each["ftkit.version"], each["ftkit.deployment"]) == ("3", "v3-20250101-120000")


@pytest.mark.parametrize("profile", [None, Profile({"yes": 5, "no": 5}, (0.7,), (5, 5))])
def test_a_bundle_without_a_reference_is_watched_without_drift(
    telemetry_ingestion: Any, caplog: pytest.LogCaptureFixture, profile: Profile | None
) -> None:
    bare = replace(sample_served(), profile=profile)
    (watching,) = ftkit_appinsights.watchers(served=bare)
    for _ in range(1000):
        watching.tell(replace(sample_requests()[0], served=bare))
    watching.close()
    assert telemetry_ingestion.requests
    assert telemetry_ingestion.events("ftkit.drift") == []
    assert "no drift is measured" in caplog.text


@pytest.mark.parametrize("mood", ["failing", "hanging", "gone"])
def test_a_dead_ingestion_delays_nothing_and_is_logged_once(
    telemetry_ingestion: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, mood: str
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "64")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "16")
    if mood == "gone":
        telemetry_ingestion.close()
    telemetry_ingestion.mood = mood
    watching = watcher()
    with caplog.at_level(logging.DEBUG):
        for _ in range(5000):  # many times what the queue holds
            watching.tell(sample_requests()[0])
        begun = time.monotonic()
        watching.close()
    assert time.monotonic() - begun < 5
    messages = [record.getMessage() for record in caplog.records if record.name == "ftkit.telemetry"]
    assert len(messages) == 1
    assert "telemetry does not arrive at Application Insights" in messages[0]
    assert "0f8fad5b" not in caplog.text
    noise = [record for record in caplog.records if record.name.startswith(("azure", "opentelemetry"))]
    assert noise == []


def test_a_failing_ingestion_and_its_recovery_are_each_logged_once(
    telemetry_ingestion: Any, caplog: pytest.LogCaptureFixture
) -> None:
    from ftkit_appinsights import pipeline, settings

    def send() -> None:
        sender.event("ftkit.test", {})
        sender.flush(60)

    configured = settings.read()
    assert configured
    sender = pipeline.Pipeline(configured, {})
    telemetry_ingestion.mood = "failing"
    send()
    send()
    telemetry_ingestion.mood = "well"
    send()
    sender.close(5)
    messages = [record.getMessage() for record in caplog.records if record.name == "ftkit.telemetry"]
    assert len(messages) == 2
    assert "does not arrive" in messages[0]
    assert "arrives at Application Insights again; 2 items were lost" in messages[1]
