"""Sends a deployment's requests as spans of their callers' traces, and the drift of its predictions as events."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

from ftkit.contracts.monitoring import Served, ServedRequest
from ftkit.disclosure import without_secrets
from ftkit.errors import PluginError
from ftkit_appinsights.drift import Measurement, Window, labels_of
from ftkit_appinsights.pipeline import Pipeline, caller_context
from ftkit_appinsights.settings import Settings

log = logging.getLogger("ftkit.telemetry")

PATIENCE = 1.5
"""Seconds to send the queue when a server ends: less than the core gives watchers to close."""
SPAN = "POST /score"


class RequestTelemetry:
    """Sends the requests of one deployment."""

    def __init__(self, served: Served, pipeline: Pipeline, window: Window | None, texts: bool) -> None:
        self._pipeline = pipeline
        self._window = window
        self._texts = texts
        self._deployment = {
            "ftkit.endpoint": served.endpoint,
            "ftkit.deployment": served.deployment,
            "ftkit.model": served.name,
            "ftkit.version": served.version,
            "ftkit.bundle": served.bundle,
            "ftkit.run": served.run,
            "ftkit.engine": served.engine,
        }

    @classmethod
    def of(cls, served: Served, settings: Settings) -> RequestTelemetry | None:
        """Start to watch a deployment; None, with a log line, if telemetry cannot be sent: the deployment serves anyway."""
        resource = {"service.name": served.endpoint or "ftkit"}
        if version := served.version or served.bundle[:12]:
            resource["service.version"] = version
        try:
            pipeline = Pipeline(settings, resource)
        except PluginError as error:
            log.warning("no telemetry of requests is sent: %s", error)
            return None
        log.info("telemetry of requests is sent%s", ", with their texts" if settings.texts else "")
        comparable = served.profile is not None and set(served.profile.classes) == set(served.classes)
        if served.bundle and not comparable:
            log.warning(
                "the promotion record has no profile of the predictions on the test split: no drift is measured"
            )
        window = Window(served.profile, settings.window) if served.profile and comparable else None
        return cls(served, pipeline, window, settings.texts)

    def tell(self, request: ServedRequest) -> None:
        """Send a request as a span with its real start and duration, and the drift when a measurement is due."""
        context = caller_context(request.trace)
        span = self._pipeline.begin(SPAN, request.began, self._attributes(request), context, server=True)
        self._pipeline.end(span, request.began + max(1, round(request.seconds * 1e9)), failed=request.status >= 500)
        if self._window:
            for measurement in self._window.add(request.labels, request.confidences):
                self._pipeline.event("ftkit.drift", self._deployment | _drift(measurement))

    def close(self) -> None:
        """Send what is queued, for a limited time."""
        self._pipeline.close(PATIENCE)

    def _attributes(self, request: ServedRequest) -> dict[str, Any]:
        # Source of the names without ftkit: OpenTelemetry semantic conventions, HTTP server.
        attributes: dict[str, Any] = {
            "http.request.method": "POST",
            "http.route": "/score",
            "url.path": "/score",
            "url.scheme": "http",
            "http.response.status_code": request.status,
            **self._deployment,
            "ftkit.rows": len(request.labels) or len(request.texts),
            "ftkit.tokens": request.tokens,
            "ftkit.duration_ms": request.seconds * 1e3,  # Application Insights rounds a duration to milliseconds
        }
        if request.labels:
            attributes |= {
                "ftkit.label": " | ".join(labels_of(request.labels[0])) if len(request.labels) == 1 else None,
                "ftkit.labels": dict(Counter(label for row in request.labels for label in labels_of(row))),
                "ftkit.confidence": sum(request.confidences) / len(request.confidences),
                "ftkit.confidence_least": min(request.confidences),
                "ftkit.waited_ms": request.waited * 1e3,
                "ftkit.computed_ms": request.computed * 1e3,
            }
        if self._texts:
            attributes["ftkit.texts"] = without_secrets(list(request.texts))
        return attributes


def _drift(measurement: Measurement) -> dict[str, Any]:
    return {
        "ftkit.drift.signal": measurement.signal,
        "ftkit.drift.psi": measurement.psi,
        "ftkit.drift.limit": measurement.limit,
        "ftkit.drift.rows": measurement.rows,
        "ftkit.drift.reference": measurement.reference,
        "ftkit.drift.counts": measurement.counts,
    }
