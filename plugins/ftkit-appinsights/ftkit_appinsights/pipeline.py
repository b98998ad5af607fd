"""Spans and events on their way out: queued here, sent in the background, and never waited for beyond a bound.

The queues are those of OpenTelemetry's batch processors: of fixed size (OTEL_BSP_MAX_QUEUE_SIZE, OTEL_BLRP_MAX_QUEUE_SIZE),
and whoever puts something in never waits. The providers are the pipeline's own, so that nothing else in the process that
uses OpenTelemetry, such as a cloud's scoring server, is touched or sent.
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
from ftkit.errors import PluginError
from ftkit_appinsights import exporters
from ftkit_appinsights.settings import Settings

LONGEST = 8192
"""Characters of a value: Application Insights keeps no more of a custom property."""
EVENT = "microsoft.custom_event.name"
"""Attribute that makes a log record a custom event of Application Insights. Source: Azure Monitor OpenTelemetry documentation."""


class Pipeline:
    """One source of telemetry: everything it sends carries the same resource."""

    def __init__(self, settings: Settings, resource: Mapping[str, str]) -> None:
        """Raises: PluginError when something needed is not installed, or the destination cannot be understood."""
        exporters.hush()
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
                hint="pip install ftkit-appinsights",
            ) from error
        # What the user says of the resource, in OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, comes first.
        about = Resource.create({**resource, **OTELResourceDetector().detect().attributes})
        # A caller who does not sample would else be missing from error rates and quantiles.
        sampler = None if os.environ.get("OTEL_TRACES_SAMPLER") else ALWAYS_ON
        self._spans = TracerProvider(resource=about, sampler=sampler, shutdown_on_exit=False)
        spans, logs = exporters.opened(settings)
        self._destinations = {each.destination for each in (*spans, *logs)}
        for each in spans:
            self._spans.add_span_processor(BatchSpanProcessor(each))  # type: ignore[arg-type]
        self._logs = LoggerProvider(resource=about, shutdown_on_exit=False)
        for each in logs:
            self._logs.add_log_record_processor(BatchLogRecordProcessor(each))  # type: ignore[arg-type]
        self._tracer = self._spans.get_tracer("ftkit", __version__)
        self._logger: Any = self._logs.get_logger("ftkit", __version__)
        self._by_record = "timestamp" not in inspect.signature(self._logger.emit).parameters

    def begin(
        self, name: str, began: int, attributes: Mapping[str, Any], within: Any = None, *, server: bool = False
    ) -> Any:
        """Start a span at a time in nanoseconds since 1970, within a context; `end` it in turn."""
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
        """Send an event, as part of a context's trace."""
        said = {**plain(attributes), EVENT: name}
        now = time.time_ns()
        if self._by_record:
            self._logger.emit(self._record(now, name, said, within))
        else:
            self._logger.emit(timestamp=now, body=name, attributes=said, context=within or _nowhere(), event_name=name)

    def _record(self, now: int, name: str, attributes: dict[str, Any], within: Any) -> Any:
        """An event as OpenTelemetry wanted it before loggers took its parts: 1.33 does."""
        from opentelemetry._logs import SeverityNumber
        from opentelemetry.sdk._logs import LogRecord  # type: ignore[attr-defined]
        from opentelemetry.trace import get_current_span

        span = get_current_span(within or _nowhere()).get_span_context()
        return LogRecord(
            timestamp=now,
            observed_timestamp=now,
            trace_id=span.trace_id,
            span_id=span.span_id,
            trace_flags=span.trace_flags,
            severity_number=SeverityNumber.UNSPECIFIED,  # its OTLP encoder breaks off without one
            body=name,
            resource=self._logs.resource,
            attributes=attributes,
        )

    def flush(self, seconds: float) -> None:
        """Send what is queued, for as long as this at most."""
        _within(seconds, self._spans.force_flush, self._logs.force_flush)

    def close(self, seconds: float) -> None:
        """Send what is queued and end, for as long as this at most: what then still goes on is left behind."""
        _within(seconds, self._spans.shutdown, self._logs.shutdown)
        for destination in self._destinations:
            destination.leave()


def context_of(span: Any) -> Any:
    """The context in which something is part of a span."""
    from opentelemetry.context import Context
    from opentelemetry.trace import set_span_in_context

    return set_span_in_context(span, Context())


def caller_context(headers: Mapping[str, str]) -> Any:
    """The context that a caller's headers tell; an empty one when they tell none."""
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract(dict(headers), Context())


def _nowhere() -> Any:
    """A context that is part of nothing: not of whatever else this process traces."""
    from opentelemetry.context import Context

    return Context()


def plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as OpenTelemetry takes them: no nothing, structures as JSON, nothing endless."""
    found: dict[str, Any] = {}
    for name, value in attributes.items():
        if value is None or value == "":
            continue
        if not isinstance(value, bool | int | float | str):
            value = json.dumps(value, ensure_ascii=False, default=str)
        found[name] = value[:LONGEST] if isinstance(value, str) else value
    return found


def _within(seconds: float, *calls: Callable[[], Any]) -> None:
    """Make calls at the same time, each in a thread that does not keep the process, and wait for a limited time."""
    ends = time.monotonic() + seconds
    threads = [threading.Thread(target=call, daemon=True) for call in calls]
    for each in threads:
        each.start()
    for each in threads:
        each.join(max(0.0, ends - time.monotonic()))
