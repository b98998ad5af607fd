"""Settings from the environment, and nothing loaded, logged or sent without a destination."""

from __future__ import annotations

import logging
import subprocess
import sys

import ftkit_appinsights
import pytest
from ftkit_appinsights import settings

from ftkit.testing.observers import sample_run
from ftkit.testing.watchers import sample_served

STRING = "InstrumentationKey=0f8fad5b-d9cd-469f-a165-70867728950e;IngestionEndpoint=http://127.0.0.1:1/"


def test_without_a_destination_nothing_is_watched(telemetry_off: None) -> None:
    assert settings.read() is None
    assert ftkit_appinsights.watchers(served=sample_served()) == []


def test_without_a_destination_no_sdk_is_loaded(telemetry_off: None) -> None:
    program = (
        "import sys, ftkit_appinsights\n"
        "from ftkit.testing.observers import sample_run\n"
        "from ftkit.testing.watchers import sample_served\n"
        "[ftkit_appinsights.on_event(event=each) for each in sample_run()]\n"
        "assert not ftkit_appinsights.watchers(served=sample_served())\n"
        "loaded = [each for each in sys.modules if each.split('.')[0] in ('azure', 'opentelemetry', 'torch')]\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({settings.AZURE: STRING}, (True, False, False)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://here"}, (False, True, True)),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://here"}, (False, True, False)),
        ({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://here"}, (False, False, True)),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://here", "OTEL_LOGS_EXPORTER": "none"}, (False, True, False)),
        ({settings.AZURE: STRING, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://here"}, (True, True, True)),
        ({settings.AZURE: STRING, "OTEL_SDK_DISABLED": "true"}, None),
        ({settings.AZURE: "  "}, None),
    ],
)
def test_destinations_come_from_the_usual_variables(
    telemetry_off: None, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: tuple[bool, ...] | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    configured = settings.read()
    destinations = configured and (configured.azure, configured.otlp_traces, configured.otlp_logs)
    assert destinations == expected


@pytest.mark.parametrize(("value", "expected"), [("", False), ("0", False), ("no", False), ("1", True), ("TRUE", True)])
def test_texts_are_sent_only_if_the_variable_says_so(
    telemetry_off: None, monkeypatch: pytest.MonkeyPatch, value: str, expected: bool
) -> None:
    monkeypatch.setenv(settings.AZURE, STRING)
    monkeypatch.setenv(settings.TEXTS, value)
    configured = settings.read()
    assert configured
    assert configured.texts is expected


@pytest.mark.parametrize(("value", "rows"), [("", 1000), ("250", 250), ("99", 1000), ("-5", 1000), ("many", 1000)])
def test_an_invalid_window_is_logged_and_ignored(
    telemetry_off: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, value: str, rows: int
) -> None:
    monkeypatch.setenv(settings.AZURE, STRING)
    monkeypatch.setenv(settings.WINDOW, value)
    with caplog.at_level(logging.WARNING, logger="ftkit.telemetry"):
        configured = settings.read()
    assert configured
    assert configured.window == rows
    assert bool(caplog.records) == (value not in ("", "250"))


@pytest.mark.parametrize("string", ["InstrumentationKey=secret-but-wrong", "hunter2", "InstrumentationKey=;Ingestion"])
def test_a_wrong_connection_string_is_logged_once_without_its_value(
    telemetry_off: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, string: str
) -> None:
    monkeypatch.setenv(settings.AZURE, string)
    with caplog.at_level(logging.DEBUG):
        assert ftkit_appinsights.watchers(served=sample_served()) == []
        for event in sample_run():
            ftkit_appinsights.on_event(event=event)
    records = [record for record in caplog.records if record.name == "ftkit.telemetry"]
    assert [record.levelname for record in records] == ["WARNING", "WARNING"]  # one of requests, one of the run
    assert all(settings.AZURE in record.getMessage() for record in records)
    for word in ("secret", "hunter2", "Ingestion"):
        assert not any(
            word in record.getMessage().replace("IngestionEndpoint=https://…", "") for record in caplog.records
        )


def test_an_unsupported_protocol_is_logged(
    telemetry_off: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    assert ftkit_appinsights.watchers(served=sample_served()) == []
    assert "http/protobuf" in caplog.text
