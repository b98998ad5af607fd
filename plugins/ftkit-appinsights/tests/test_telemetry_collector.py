"""Telemetry at an OTLP collector, decoded by OpenTelemetry's own format."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import ftkit_appinsights
import pytest
from ftkit_appinsights import runs, settings

from ftkit.testing.observers import sample_run
from ftkit.testing.watchers import sample_requests, sample_served

pytest.importorskip("opentelemetry.exporter.otlp.proto.http")


def attributes_by_name(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


def test_a_request_is_a_server_span_of_its_callers_trace(telemetry_collector: Any) -> None:
    (watching,) = ftkit_appinsights.watchers(served=sample_served())
    request = sample_requests()[0]
    watching.tell(request)
    watching.close()
    ((resource, span),) = telemetry_collector.spans
    assert resource["service.name"] == "reviews"
    assert resource["service.version"] == "3"
    assert span.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert span.parent_span_id.hex() == "b7ad6b7169203331"
    assert span.kind == span.SPAN_KIND_SERVER
    assert span.trace_state == "shop=1"
    assert span.start_time_unix_nano == request.began
    assert span.end_time_unix_nano - span.start_time_unix_nano == pytest.approx(request.seconds * 1e9, abs=1)
    values = attributes_by_name(span.attributes)
    assert values["http.response.status_code"] == 200
    assert (values["ftkit.tokens"], values["ftkit.confidence"], values["ftkit.version"]) == (7, 0.93, "3")
    assert not any("It broke" in str(value) for value in values.values())


def test_only_the_servers_own_failures_are_errors(telemetry_collector: Any) -> None:
    (watching,) = ftkit_appinsights.watchers(served=sample_served())
    for request in sample_requests():
        watching.tell(request)
    watching.close()
    codes = {
        attributes_by_name(span.attributes)["http.response.status_code"]: span.status.code
        for _, span in telemetry_collector.spans
    }
    assert codes == {200: 0, 422: 0, 429: 0, 499: 0, 503: 2, 500: 2}


def test_events_are_log_records_with_names(telemetry_collector: Any) -> None:
    for event in sample_run():
        ftkit_appinsights.on_event(event=event)
    configured = settings.read()
    assert configured
    running = runs.telemetry(configured)
    assert running
    running.close()
    names = [each.body.string_value for each in telemetry_collector.records]
    assert {
        "ftkit.run.started",
        "ftkit.trial",
        "ftkit.verdict",
        "ftkit.promotion",
        "ftkit.traffic",
    } <= set(names)
    if tuple(map(int, version("opentelemetry-sdk").split(".")[:2])) >= (1, 36):  # older ones have no event names
        assert {each.event_name for each in telemetry_collector.records} == set(names)
    trial = next(each for each in telemetry_collector.records if each.body.string_value == "ftkit.trial")
    assert attributes_by_name(trial.attributes)["ftkit.seconds"] == 3.0
    assert any(span.trace_id == trial.trace_id for _, span in telemetry_collector.spans)


def test_the_users_own_resource_attributes_take_precedence(
    telemetry_collector: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=staging")
    (watching,) = ftkit_appinsights.watchers(served=sample_served())
    watching.tell(sample_requests()[0])
    watching.close()
    ((resource, _),) = telemetry_collector.spans
    assert (resource["service.name"], resource["deployment.environment.name"]) == ("shop", "staging")


def test_both_destinations_get_the_same_requests(telemetry_ingestion: Any, telemetry_collector: Any) -> None:
    (watching,) = ftkit_appinsights.watchers(served=sample_served())
    for request in sample_requests():
        watching.tell(request)
    watching.close()
    assert len(telemetry_ingestion.requests) == len(telemetry_collector.spans) == len(sample_requests())
