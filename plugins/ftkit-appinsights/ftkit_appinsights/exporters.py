"""The two ways out, Application Insights and OTLP, and one line in the log when nothing arrives there.

Exporters call the network in threads of the SDK. What fails there is said once, and once more when it works again: an
exporter of its own accord would write a traceback for every batch, with the address it tried.
"""

from __future__ import annotations

import logging
import os
import threading
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


class Destination:
    """Where telemetry goes, and whether it arrives there."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lost = 0
        self._sending = 0
        self._left = False
        self._lock = threading.Lock()

    def begun(self) -> None:
        """Something is being sent."""
        with self._lock:
            self._sending += 1

    def ended(self, items: int, *, arrived: bool) -> None:
        """It arrived, or it did not."""
        with self._lock:
            self._sending -= 1
            before, self._lost = self._lost, 0 if arrived else self._lost + items
            if self._left:
                return
        if arrived and before:
            log.warning("telemetry arrives at %s again; %d items were lost", self._name, before)
        elif not arrived and not before:
            log.warning("telemetry does not arrive at %s; requests and runs go on without it", self._name)

    def leave(self) -> None:
        """Wait no longer: what is still being sent is told of now, and not when it ends in some later moment."""
        with self._lock:
            unsaid = self._sending and not self._lost and not self._left
            self._left = True
        if unsaid:
            log.warning("telemetry does not arrive at %s in time; the last of it is lost", self._name)


class Watched:
    """An exporter whose failures are counted and said once. It stands in for a span exporter and for a log exporter."""

    def __init__(self, exporter: Any, destination: Destination) -> None:
        self._exporter = exporter
        self.destination = destination

    def export(self, batch: Sequence[Any]) -> Any:
        """Send a batch, and remember whether it arrived."""
        self.destination.begun()
        result = self._exporter.export(batch)
        self.destination.ended(len(batch), arrived=getattr(result, "name", "") == "SUCCESS")
        return result

    def shutdown(self) -> None:
        """Close the connection."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is held back here."""
        return True


def opened(settings: Settings) -> tuple[list[Watched], list[Watched]]:
    """Where spans go, and where events go. Raises: PluginError."""
    spans, logs = [], []
    if settings.azure:
        both = Destination("Application Insights")
        spans.append(Watched(_azure("AzureMonitorTraceExporter"), both))
        logs.append(Watched(_azure("AzureMonitorLogExporter"), both))
    # Collectors of spans and of events can be two.
    if settings.otlp_traces:
        spans.append(
            Watched(_otlp("trace_exporter", "OTLPSpanExporter", "TRACES"), Destination("the OTLP collector of spans"))
        )
    if settings.otlp_logs:
        logs.append(
            Watched(_otlp("_log_exporter", "OTLPLogExporter", "LOGS"), Destination("the OTLP collector of events"))
        )
    return spans, logs


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
        found = importlib.import_module(f"opentelemetry.exporter.otlp.proto.http.{module}")
    except ImportError as error:
        raise _missing(error, "'ftkit-appinsights[otlp]'") from error
    return getattr(found, kind)()


def _missing(error: ImportError, package: str) -> PluginError:
    return PluginError(
        f"telemetry needs a package that cannot be imported: {error}",
        where="ftkit-appinsights",
        hint=f"pip install {package}",
    )
