"""How a run of the service stands: a pipeline, one of its steps, a search or a trial."""

from __future__ import annotations

WAITING = ("Queued", "Preparing", "Provisioning", "Starting")
RUNNING = ("Running", "Finalizing", "CancelRequested")
SUCCEEDED = ("Completed", "Finished")
UNSUCCESSFUL = ("Failed", "Canceled", "NotResponding")
ENDED = (*SUCCEEDED, *UNSUCCESSFUL)
STARTED = (*RUNNING, *ENDED)
"""A run in one of these states has begun its work, so it may have left files and metrics."""
