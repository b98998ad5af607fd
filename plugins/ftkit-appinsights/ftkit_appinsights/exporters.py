"""Exporters to Application Insights and to OTLP collectors, and one log line when telemetry does not arrive there.

Exporters call the network in threads of the SDK. A failure is logged once, and its end once: by itself an exporter
would log a traceback with its address for every batch.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from typing import Any

from ftkit.bundled_plugins import how_to_install
from ftkit.errors import PluginError
from ftkit_appinsights.settings import AZURE, DEFAULTS, Settings

log = logging.getLogger("ftkit.telemetry")

TIMEOUT = 10.0
"""Seconds to wait for a connection to Application Insights, and for its answer."""
RETRIES = 2
"""Further attempts to send a batch; meanwhile the bounded queue fills."""

NOISY = (
    "azure.core.pipeline.policies.http_logging_policy",
    "azure.monitor.opentelemetry.exporter",
    "opentelemetry.exporter",
    "opentelemetry.sdk._shared_internal",
    "opentelemetry.sdk.trace.export",
    "opentelemetry.sdk._logs",
    "opentelemetry.attributes",
)


class Destination:
    """A receiver of telemetry, and whether telemetry arrives there."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lost = 0
        self._sending = 0
        self._abandoned = False
        self._lock = threading.Lock()

    def start(self) -> None:
        """Count a batch that is being sent."""
        with self._lock:
            self._sending += 1

    def finish(self, items: int, *, arrived: bool) -> None:
        """Count a batch that has arrived or is lost, and log a change."""
        with self._lock:
            self._sending -= 1
            before, self._lost = self._lost, 0 if arrived else self._lost + items
            if self._abandoned:
                return
        if arrived and before:
            log.warning("telemetry arrives at %s again; %d items were lost", self._name, before)
        elif not arrived and not before:
            log.warning("telemetry does not arrive at %s; requests and runs go on without it", self._name)

    def abandon(self) -> None:
        """Wait no longer; log now if a batch is still being sent, and nothing later."""
        with self._lock:
            unreported = self._sending and not self._lost and not self._abandoned
            self._abandoned = True
        if unreported:
            log.warning("telemetry does not arrive at %s in time; the last of it is lost", self._name)


class CountingExporter:
    """An exporter that counts lost items and logs a failure once. Replaces a span exporter or a log exporter."""

    def __init__(self, exporter: Any, destination: Destination) -> None:
        self._exporter = exporter
        self.destination = destination

    def export(self, batch: Sequence[Any]) -> Any:
        """Send a batch and count whether it arrived."""
        self.destination.start()
        result = self._exporter.export(batch)
        self.destination.finish(len(batch), arrived=result.name == "SUCCESS")
        return result

    def shutdown(self) -> None:
        """Close the connection."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """True: nothing is queued here."""
        return True


def exporters(settings: Settings) -> tuple[list[CountingExporter], list[CountingExporter]]:
    """The exporters of spans and those of events. Raises: PluginError."""
    spans, logs = [], []
    if settings.azure:
        insights = Destination("Application Insights")
        spans.append(CountingExporter(_azure("AzureMonitorTraceExporter"), insights))
        logs.append(CountingExporter(_azure("AzureMonitorLogExporter"), insights))
    # Spans and events can have different collectors.
    if settings.otlp_traces:
        collector = Destination("the OTLP collector of spans")
        spans.append(CountingExporter(_otlp("trace_exporter", "OTLPSpanExporter", "TRACES"), collector))
    if settings.otlp_logs:
        collector = Destination("the OTLP collector of events")
        logs.append(CountingExporter(_otlp("_log_exporter", "OTLPLogExporter", "LOGS"), collector))
    return spans, logs


def silence() -> None:
    """Suppress the SDKs' own log lines: they contain addresses and repeat every failure."""
    for name in NOISY:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.CRITICAL + 1)


def _azure(kind: str) -> Any:
    for name, value in DEFAULTS.items():  # read when the package is imported
        os.environ.setdefault(name, value)
    try:
        from azure.monitor.opentelemetry import exporter
    except ImportError as error:
        raise _missing(error, "ftkit-appinsights") from error
    try:
        # Lost telemetry is not stored on disk: nothing would delete it there.
        return getattr(exporter, kind)(disable_offline_storage=True, retry_total=RETRIES, read_timeout=TIMEOUT)
    except ValueError:
        # Without its cause: the exporter's message can contain parts of the string.
        raise PluginError(
            f"the value of {AZURE} is not a connection string of Application Insights",
            where=AZURE,
            hint="Copy it from the resource's overview: InstrumentationKey=…;IngestionEndpoint=https://…",
        ) from None


def _otlp(module: str, kind: str, signal: str) -> Any:
    protocol = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if protocol not in (None, "", "http/protobuf"):
        raise PluginError(
            f"telemetry cannot be sent by the protocol {protocol!r}",
            where="OTEL_EXPORTER_OTLP_PROTOCOL",
            hint="Set it to http/protobuf, which every collector takes, by default on port 4318.",
        )
    import importlib

    try:
        exporter = importlib.import_module(f"opentelemetry.exporter.otlp.proto.http.{module}")
    except ImportError as error:
        raise _missing(error, "ftkit-appinsights[otlp]") from error
    return getattr(exporter, kind)()


def _missing(error: ImportError, package: str) -> PluginError:
    return PluginError(
        f"telemetry needs a package that cannot be imported: {error}",
        where="ftkit-appinsights",
        hint=how_to_install(package),
    )
