"""An observer for ftkit: it writes the events of runs into a file, one on each line."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from ftkit import hookimpl
from ftkit.events import Event, TrialSampled

FILE = "FTKIT_SEEDLING"
"""The environment variable that names the file; without it, nothing is written."""


@hookimpl
def on_event(event: Event) -> None:
    """Write an event, unless it is one of the many that only draw curves. What this raises is logged, and stops no run."""
    path = os.environ.get(FILE)
    if not path or isinstance(event, TrialSampled):
        return
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = json.dumps({"at": now, "event": type(event).__name__, **asdict(event)}, default=str)
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(line + "\n")
