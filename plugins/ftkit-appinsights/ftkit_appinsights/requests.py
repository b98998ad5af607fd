"""A deployment's requests as spans, part of their callers' traces, and the drift of its answers as events."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

from ftkit.contracts.monitoring import Served, ServedRequest
from ftkit.errors import PluginError
from ftkit_appinsights.drift import Measured, Window
from ftkit_appinsights.pipeline import Pipeline, caller_context
from ftkit_appinsights.settings import Settings

log = logging.getLogger("ftkit.telemetry")

PATIENCE = 1.5
"""Seconds for what is still queued when a server ends: less than the core gives those who watch."""
SPAN = "POST /score"


class Requests:
    """Watches one deployment."""

    def __init__(self, served: Served, pipeline: Pipeline, window: Window | None, texts: bool) -> None:
        self._pipeline = pipeline
        self._window = window
        self._texts = texts
        self._about = {
            "ftkit.endpoint": served.endpoint,
            "ftkit.deployment": served.deployment,
            "ftkit.model": served.name,
            "ftkit.version": served.version,
            "ftkit.bundle": served.bundle,
            "ftkit.run": served.run,
            "ftkit.engine": served.engine,
        }

    @classmethod
    def of(cls, served: Served, settings: Settings) -> Requests | None:
        """Begin to watch a deployment; None when that cannot be, which is no reason not to serve."""
        resource = {"service.name": served.endpoint or "ftkit"}
        if version := served.version or served.bundle[:12]:
            resource["service.version"] = version
        try:
            pipeline = Pipeline(settings, resource)
        except PluginError as error:
            log.warning("requests are not told to telemetry: %s", error)
            return None
        log.info("requests are told to telemetry%s", ", their texts, too" if settings.texts else "")
        known = served.profile is not None and set(served.profile.classes) == set(served.classes)
        if served.bundle and not known:
            log.warning(
                "the bundle's record does not say how its answers to the test split are spread: no drift is measured"
            )
        window = Window(served.profile, settings.window) if served.profile and known else None
        return cls(served, pipeline, window, settings.texts)

    def tell(self, request: ServedRequest) -> None:
        """Send a request as a span of its real time, and drift when it is time to measure it."""
        context = caller_context(request.trace)
        span = self._pipeline.begin(SPAN, request.began, self._attributes(request), context, server=True)
        self._pipeline.end(span, request.began + max(1, round(request.seconds * 1e9)), failed=request.status >= 500)
        if self._window:
            for measured in self._window.add(request.labels, request.confidences):
                self._pipeline.event("ftkit.drift", self._about | _drift(measured))

    def close(self) -> None:
        """Send what is left, for a moment at most."""
        self._pipeline.close(PATIENCE)

    def _attributes(self, request: ServedRequest) -> dict[str, Any]:
        # Source of the names without ftkit: OpenTelemetry semantic conventions, HTTP server.
        found: dict[str, Any] = {
            "http.request.method": "POST",
            "http.route": "/score",
            "url.path": "/score",
            "url.scheme": "http",
            "http.response.status_code": request.status,
            **self._about,
            "ftkit.rows": len(request.labels) or len(request.texts),
            "ftkit.tokens": request.tokens,
            "ftkit.duration_ms": request.seconds * 1e3,  # Application Insights rounds a duration to milliseconds
        }
        if request.labels:
            found |= {
                "ftkit.label": request.labels[0] if len(request.labels) == 1 else None,
                "ftkit.labels": dict(Counter(request.labels)),
                "ftkit.confidence": sum(request.confidences) / len(request.confidences),
                "ftkit.confidence_least": min(request.confidences),
                "ftkit.waited_ms": request.waited * 1e3,
                "ftkit.computed_ms": request.computed * 1e3,
            }
        if self._texts:
            found["ftkit.texts"] = list(request.texts)
        return found


def _drift(measured: Measured) -> dict[str, Any]:
    return {
        "ftkit.drift.signal": measured.signal,
        "ftkit.drift.psi": measured.psi,
        "ftkit.drift.limit": measured.limit,
        "ftkit.drift.rows": measured.rows,
        "ftkit.drift.reference": measured.reference,
        "ftkit.drift.counts": measured.counts,
    }
