"""Telemetry for ftkit: runs and live requests to Application Insights, or to any OpenTelemetry collector.

settings.py   what the environment asks for
pipeline.py   spans and events on their way out, in the background
exporters.py  the two ways out, and what is said when nothing arrives
runs.py       a run as spans and events
requests.py   a deployment's requests as spans, and their drift as events
drift.py      how far live answers have moved from those to the test split
"""

from __future__ import annotations

from ftkit import hookimpl
from ftkit.contracts.monitoring import Served, Watcher
from ftkit.events import Event
from ftkit_appinsights import settings


@hookimpl
def on_event(event: Event) -> None:
    """Send what a run tells, when the environment says where to."""
    if asked := settings.read():
        from ftkit_appinsights import runs

        if teller := runs.teller(asked):
            teller.tell(event)


@hookimpl
def watchers(served: Served) -> list[Watcher]:
    """Watch a deployment, when the environment says where to send what is seen."""
    if asked := settings.read():
        from ftkit_appinsights.requests import Requests

        found = Requests.of(served, asked)
        return [found] if found else []
    return []
