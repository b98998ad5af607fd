"""Keeps what happens in a rollout in the ledger of its run, from where the report draws it."""

from __future__ import annotations

from dataclasses import asdict

from ftkit.contracts import Emit, events
from ftkit.runs.ledger import Ledger

FACT = "rollout"

_KEPT = (
    events.CopiesCompared,
    events.DeploymentChanged,
    events.TrafficMoved,
    events.DeploymentJudged,
    events.TrafficMeasured,
)


def written_down(ledger: Ledger, emit: Emit) -> Emit:
    """Emits events, and appends those of a rollout to the ledger."""

    def tell(event: events.Event) -> None:
        if isinstance(event, _KEPT):
            ledger.append(FACT, event=type(event).__name__, **asdict(event))
        emit(event)

    return tell
