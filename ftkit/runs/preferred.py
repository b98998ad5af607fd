"""The selection of a run whose recipe prefers cheap models, in its journal."""

from __future__ import annotations

from dataclasses import asdict

from ftkit.contracts.preference import Alternative, Preference
from ftkit.runs.ledger import Ledger

FACT = "preferred"
"""The fact that has it: costs are measured once, so that an interrupted run goes on to the same model."""


def write(ledger: Ledger, selection: Preference) -> None:
    """Write the selection down, with its sentence for those who read the journal. Raises: LedgerError."""
    ledger.append(FACT, **asdict(selection), sentence=selection.sentence)


def read(ledger: Ledger) -> Preference | None:
    """The selection of a run; None where its recipe prefers nothing, or the run has not come so far."""
    fact = ledger.fact(FACT)
    if fact is None:
        return None
    values = {key: value for key, value in fact.items() if key not in ("fact", "at", "sentence")}
    return Preference(**values | {"alternatives": tuple(Alternative(**each) for each in fact["alternatives"])})
