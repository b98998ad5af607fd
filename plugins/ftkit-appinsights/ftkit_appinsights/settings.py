"""What the environment asks of telemetry: where it goes, and what it may hold. No recipe has any of it, since a recipe goes
into every bundle."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass

log = logging.getLogger("ftkit.telemetry")

AZURE = "APPLICATIONINSIGHTS_CONNECTION_STRING"
"""Where Application Insights is, with its key. The exporter reads it itself; nothing here holds or shows its value."""
TEXTS = "FTKIT_TELEMETRY_TEXTS"
"""1 to send texts, too: of requests, of verdicts and of errors."""
WINDOW = "FTKIT_DRIFT_WINDOW"
"""How many of the latest rows drift is measured over."""
ROWS = 1000
LEAST = 100

DEFAULTS = {
    "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",
    "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "true",
    "APPLICATIONINSIGHTS_OPENTELEMETRY_RESOURCE_METRIC_DISABLED": "true",
}
"""What the exporter would send of itself, and fetch for itself, is off unless the user has set these variables."""


@dataclass(frozen=True)
class Settings:
    """Where telemetry goes and what it may hold."""

    azure: bool
    """Whether there is a connection string of Application Insights."""
    otlp_traces: bool
    """Whether a collector takes spans."""
    otlp_logs: bool
    """Whether a collector takes events."""
    texts: bool
    """Whether texts may leave the process."""
    window: int
    """Rows that drift is measured over."""


def read() -> Settings | None:
    """What the environment asks for; None when telemetry goes nowhere."""
    if _true("OTEL_SDK_DISABLED"):
        return None
    azure = bool(os.environ.get(AZURE, "").strip())
    traces, logs = _otlp("TRACES"), _otlp("LOGS")
    if not (azure or traces or logs):
        return None
    return Settings(azure, traces, logs, _true(TEXTS), _window())


def _otlp(signal: str) -> bool:
    """Whether a collector is to get this signal. Source: OpenTelemetry specification, Environment Variable Specification."""
    if os.environ.get(f"OTEL_{signal}_EXPORTER", "otlp").strip() != "otlp":
        return False
    names = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
    return any(os.environ.get(name, "").strip() for name in names)


def _true(name: str) -> bool:
    return os.environ.get(name, "").strip().lower() in ("1", "true", "yes", "on")


def _window() -> int:
    said = os.environ.get(WINDOW, "").strip()
    if not said:
        return ROWS
    if said.isdecimal() and int(said) >= LEAST:
        return int(said)
    log.warning("%s must be a whole number from %d on; drift is measured over %d rows", WINDOW, LEAST, ROWS)
    return ROWS
