"""Telemetry's settings, from environment variables: its destination and its contents.

They are not options of a recipe, because every bundle contains its recipe.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass

log = logging.getLogger("ftkit.telemetry")

AZURE = "APPLICATIONINSIGHTS_CONNECTION_STRING"
"""Address and key of Application Insights. The exporter reads it itself; this plugin neither stores nor shows its value."""
TEXTS = "FTKIT_TELEMETRY_TEXTS"
"""1 to send texts as well: of requests, verdicts and errors."""
WINDOW = "FTKIT_DRIFT_WINDOW"
"""Number of latest rows over which drift is measured."""
ROWS = 1000
LEAST = 100

DEFAULTS = {
    "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",
    "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "true",
    "APPLICATIONINSIGHTS_OPENTELEMETRY_RESOURCE_METRIC_DISABLED": "true",
}
"""Switches off the exporter's own telemetry and remote settings, unless the user has set these variables."""


@dataclass(frozen=True)
class Settings:
    """Destination and contents of telemetry."""

    azure: bool
    """Whether Application Insights has a connection string."""
    otlp_traces: bool
    """Whether spans go to a collector."""
    otlp_logs: bool
    """Whether events go to a collector."""
    texts: bool
    """Whether texts are sent."""
    window: int
    """Rows over which drift is measured."""


def read() -> Settings | None:
    """The settings of the environment; None if it names no destination."""
    if _true("OTEL_SDK_DISABLED"):
        return None
    azure = bool(os.environ.get(AZURE, "").strip())
    traces, logs = _otlp("TRACES"), _otlp("LOGS")
    if not (azure or traces or logs):
        return None
    return Settings(azure, traces, logs, _true(TEXTS), _window())


def _otlp(signal: str) -> bool:
    """Whether this signal goes to a collector. Source: OpenTelemetry specification, Environment Variable Specification."""
    if os.environ.get(f"OTEL_{signal}_EXPORTER", "otlp").strip() != "otlp":
        return False
    names = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
    return any(os.environ.get(name, "").strip() for name in names)


def _true(name: str) -> bool:
    return os.environ.get(name, "").strip().lower() in ("1", "true", "yes", "on")


def _window() -> int:
    value = os.environ.get(WINDOW, "").strip()
    if not value:
        return ROWS
    if value.isdecimal() and int(value) >= LEAST:
        return int(value)
    log.warning("%s must be a whole number of at least %d; drift is measured over %d rows", WINDOW, LEAST, ROWS)
    return ROWS
