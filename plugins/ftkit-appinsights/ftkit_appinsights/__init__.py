"""Telemetry for ftkit: runs and live requests to Application Insights, or to any OpenTelemetry collector.

settings.py   telemetry's settings, from environment variables
pipeline.py   sends spans and events in the background
exporters.py  exporters to Application Insights and to OTLP collectors, and the log line when nothing arrives
runs.py       sends a run as spans and events
requests.py   sends a deployment's requests as spans, and the drift of its predictions as events
drift.py      measures how far live predictions have moved from those on the test split
"""

from __future__ import annotations

from ftkit import hookimpl
from ftkit.contracts.monitoring import Served, Watcher
from ftkit.events import Event
from ftkit_appinsights import settings


@hookimpl
def on_event(event: Event) -> None:
    """Send a run's event, if the environment names a destination."""
    if configured := settings.read():
        from ftkit_appinsights import runs

        if telemetry := runs.telemetry(configured):
            telemetry.send(event)


@hookimpl
def watchers(served: Served) -> list[Watcher]:
    """Watch a deployment, if the environment names a destination."""
    if configured := settings.read():
        from ftkit_appinsights.requests import RequestTelemetry

        watcher = RequestTelemetry.of(served, configured)
        return [watcher] if watcher else []
    return []
