"""Sends spans and events in the background: putting one into the queue never waits, and ending waits for a limited time.

The queues are those of OpenTelemetry's batch processors, of fixed size (OTEL_BSP_MAX_QUEUE_SIZE, OTEL_BLRP_MAX_QUEUE_SIZE).
The pipeline has providers of its own, so other users of OpenTelemetry in the process, such as a cloud's scoring server, are
neither changed nor sent.
"""

from __future__ import annotations

import inspect
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ftkit import __version__
from ftkit.bundled_plugins import how_to_install
from ftkit.errors import PluginError
from ftkit.redaction import redacted
from ftkit_appinsights import exporters
from ftkit_appinsights.settings import Settings

LONGEST = 8192
"""Characters of a value: Application Insights stores no more of a custom property."""
EVENT = "microsoft.custom_event.name"
"""Attribute that makes a log record a custom event of Application Insights. Source: Azure Monitor OpenTelemetry documentation."""


class Pipeline:
    """One source of telemetry: all that it sends has the same resource."""

    def __init__(self, settings: Settings, resource: Mapping[str, str]) -> None:
        """Raises: PluginError when a package is not installed, or a setting of the destination is wrong."""
        exporters.silence()
        try:
            from opentelemetry.sdk._logs import LoggerProvider
            from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
            from opentelemetry.sdk.resources import OTELResourceDetector, Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.sdk.trace.sampling import ALWAYS_ON
        except ImportError as error:
            raise PluginError(
                f"telemetry needs a package that cannot be imported: {error}",
                where="ftkit-appinsights",
                hint=how_to_install("ftkit-appinsights"),
            ) from error
        # The user's OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES take precedence.
        attributes = Resource.create({**resource, **OTELResourceDetector().detect().attributes})
        # Otherwise requests of callers that do not sample would be missing from error rates and quantiles.
        sampler = None if os.environ.get("OTEL_TRACES_SAMPLER") else ALWAYS_ON
        self._spans = TracerProvider(resource=attributes, sampler=sampler, shutdown_on_exit=False)
        spans, logs = exporters.exporters(settings)
        self._destinations = {each.destination for each in (*spans, *logs)}
        for each in spans:
            self._spans.add_span_processor(BatchSpanProcessor(each))  # type: ignore[arg-type]
        self._logs = LoggerProvider(resource=attributes, shutdown_on_exit=False)
        for each in logs:
            self._logs.add_log_record_processor(BatchLogRecordProcessor(each))  # type: ignore[arg-type]
        self._tracer = self._spans.get_tracer("ftkit", __version__)
        self._logger: Any = self._logs.get_logger("ftkit", __version__)
        self._by_record = "timestamp" not in inspect.signature(self._logger.emit).parameters

    def begin(
        self, name: str, began: int, attributes: Mapping[str, Any], within: Any = None, *, server: bool = False
    ) -> Any:
        """Start a span at a time in nanoseconds since 1970, within a context; `end` ends it."""
        from opentelemetry.context import Context
        from opentelemetry.trace import SpanKind

        kind = SpanKind.SERVER if server else SpanKind.INTERNAL
        return self._tracer.start_span(name, within or Context(), kind, plain(attributes), start_time=began)

    def end(self, span: Any, ended: int, attributes: Mapping[str, Any] | None = None, *, failed: bool = False) -> None:
        """End a span at a time in nanoseconds since 1970."""
        from opentelemetry.trace import Status, StatusCode

        span.set_attributes(plain(attributes or {}))
        if failed:
            span.set_status(Status(StatusCode.ERROR))
        span.end(ended)

    def event(self, name: str, attributes: Mapping[str, Any], within: Any = None) -> None:
        """Send an event as part of a context's trace."""
        values = {**plain(attributes), EVENT: name}
        now = time.time_ns()
        if self._by_record:
            self._logger.emit(self._record(now, name, values, within))
        else:
            self._logger.emit(
                timestamp=now, body=name, attributes=values, context=within or _no_context(), event_name=name
            )

    def _record(self, now: int, name: str, attributes: dict[str, Any], within: Any) -> Any:
        """An event as a log record, which loggers of older OpenTelemetry versions, such as 1.33, take."""
        from opentelemetry._logs import SeverityNumber
        from opentelemetry.sdk._logs import LogRecord  # type: ignore[attr-defined]
        from opentelemetry.trace import get_current_span

        span = get_current_span(within or _no_context()).get_span_context()
        return LogRecord(
            timestamp=now,
            observed_timestamp=now,
            trace_id=span.trace_id,
            span_id=span.span_id,
            trace_flags=span.trace_flags,
            severity_number=SeverityNumber.UNSPECIFIED,  # required by its OTLP encoder
            body=name,
            resource=self._logs.resource,
            attributes=attributes,
        )

    def flush(self, seconds: float) -> None:
        """Send what is queued, for at most this time."""
        _within(seconds, self._spans.force_flush, self._logs.force_flush)

    def close(self, seconds: float) -> None:
        """Send what is queued and end; after this time the rest is abandoned."""
        _within(seconds, self._spans.shutdown, self._logs.shutdown)
        for destination in self._destinations:
            destination.abandon()


def context_of(span: Any) -> Any:
    """The context of a span, for its children."""
    from opentelemetry.context import Context
    from opentelemetry.trace import set_span_in_context

    return set_span_in_context(span, Context())


def caller_context(headers: Mapping[str, str]) -> Any:
    """The trace context in a caller's headers; an empty one if they have none."""
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract(dict(headers), Context())


def _no_context() -> Any:
    """An empty context, so that the trace of another user of OpenTelemetry in this process is not taken."""
    from opentelemetry.context import Context

    return Context()


def plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as OpenTelemetry takes them: without empty values, structures as JSON, long texts cut."""
    values: dict[str, Any] = {}
    for name, value in attributes.items():
        if value is None or value == "":
            continue
        if not isinstance(value, bool | int | float | str):
            value = json.dumps(value, ensure_ascii=False, default=str)
        if isinstance(value, str) and len(value) > LONGEST:
            value = redacted(value)[:LONGEST]  # what is cut could not be recognised later
        values[name] = value
    return values


def _within(seconds: float, *calls: Callable[[], Any]) -> None:
    """Make calls in parallel, each in a daemon thread, and wait for a limited time."""
    ends = time.monotonic() + seconds
    threads = [threading.Thread(target=call, daemon=True) for call in calls]
    for each in threads:
        each.start()
    for each in threads:
        each.join(max(0.0, ends - time.monotonic()))
