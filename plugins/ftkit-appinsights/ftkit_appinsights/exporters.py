"""The two ways out, Application Insights and OTLP, and one line in the log when nothing arrives there.

Exporters call the network in threads of the SDK. What fails there is said once, and once more when it works again: an
exporter of its own accord would write a traceback for every batch, with the address it tried.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any

from ftkit.errors import PluginError
from ftkit_appinsights.settings import AZURE, DEFAULTS, Settings

log = logging.getLogger("ftkit.telemetry")

TIMEOUT = 10.0
"""Seconds for a connection, and for an answer, of Application Insights."""
RETRIES = 2
"""Attempts after the first at one batch; the queue behind it is bounded."""

NOISY = (
    "azure.core.pipeline.policies.http_logging_policy",
    "azure.monitor.opentelemetry.exporter",
    "opentelemetry.exporter",
    "opentelemetry.sdk._shared_internal",
    "opentelemetry.sdk.trace.export",
    "opentelemetry.sdk._logs",
    "opentelemetry.attributes",
)


class Watched:
    """An exporter whose failures are counted and said once. It stands in for a span exporter and for a log exporter."""

    def __init__(self, exporter: Any, to: str) -> None:
        self._exporter = exporter
        self._to = to
        self._lost = 0

    def export(self, batch: Sequence[Any]) -> Any:
        """Send a batch, and remember whether it arrived."""
        result = self._exporter.export(batch)
        if getattr(result, "name", "") == "SUCCESS":
            if self._lost:
                log.warning("telemetry arrives at %s again; %d items were lost", self._to, self._lost)
            self._lost = 0
        else:
            if not self._lost:
                log.warning("telemetry does not arrive at %s; requests and runs go on without it", self._to)
            self._lost += len(batch)
        return result

    def shutdown(self) -> None:
        """Close the connection."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is held back here."""
        return True


def span_exporters(settings: Settings) -> list[Watched]:
    """Where spans go. Raises: PluginError."""
    found = []
    if settings.azure:
        found.append(Watched(_azure("AzureMonitorTraceExporter"), "Application Insights"))
    if settings.otlp_traces:
        found.append(Watched(_otlp("trace_exporter", "OTLPSpanExporter", "TRACES"), "the OTLP collector"))
    return found


def log_exporters(settings: Settings) -> list[Watched]:
    """Where events go. Raises: PluginError."""
    found = []
    if settings.azure:
        found.append(Watched(_azure("AzureMonitorLogExporter"), "Application Insights"))
    if settings.otlp_logs:
        found.append(Watched(_otlp("_log_exporter", "OTLPLogExporter", "LOGS"), "the OTLP collector"))
    return found


def hush() -> None:
    """Keep the SDKs' own log lines back: they would tell addresses, and of every single failure."""
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
        # What could not be sent is not kept on disk: nobody looks after it there.
        return getattr(exporter, kind)(disable_offline_storage=True, retry_total=RETRIES, read_timeout=TIMEOUT)
    except ValueError:
        # Not as its cause: the exporter's words may hold parts of the string.
        raise PluginError(
            f"the connection string in {AZURE} is not one of Application Insights",
            where=AZURE,
            mend="Copy it from the resource's overview: InstrumentationKey=…;IngestionEndpoint=https://…",
        ) from None


def _otlp(module: str, kind: str, signal: str) -> Any:
    protocol = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if protocol not in (None, "", "http/protobuf"):
        raise PluginError(
            f"telemetry cannot be sent by the protocol {protocol!r}",
            where="OTEL_EXPORTER_OTLP_PROTOCOL",
            mend="Set it to http/protobuf, which every collector takes, by default on port 4318.",
        )
    import importlib

    try:
        found = importlib.import_module(f"opentelemetry.exporter.otlp.proto.http.{module}")
    except ImportError as error:
        raise _missing(error, "'ftkit-appinsights[otlp]'") from error
    return getattr(found, kind)()


def _missing(error: ImportError, package: str) -> PluginError:
    return PluginError(
        f"telemetry needs a package that cannot be imported: {error}",
        where="ftkit-appinsights",
        mend=f"pip install {package}",
    )
