"""The decision of the promotion gate in a run's journal: the promotion record, and a person's override of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from ftkit.bundle import promotion_record as records
from ftkit.bundle.promotion_record import Override, PromotionRecord
from ftkit.errors import LedgerError
from ftkit.evaluation.prediction_profile import profile
from ftkit.runs.ledger import Ledger


def write(ledger: Ledger, record: PromotionRecord) -> None:
    """Write the gate's decision into the journal, as the fact `tested`. Raises: LedgerError."""
    table = record.table
    del table["override"]  # an override is a fact of its own
    ledger.append("tested", **table)


def write_override(ledger: Ledger, bundle: str, reason: str) -> None:
    """Write into the journal that a person lets the bundle with this hash through, and why. Raises: LedgerError."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    ledger.append("overridden", bundle=bundle, reason=reason, by=records.whoever(), at=at)


def read(ledger: Ledger) -> PromotionRecord | None:
    """The latest decision of the gate, with a person's override if there is one; None before it has decided.

    Raises: LedgerError where it cannot be read.
    """
    fact = ledger.fact("tested")
    if fact is None:
        return None
    values = {key: value for key, value in fact.items() if key != "fact"}
    try:
        table = values if "data" in values else _completed(ledger, values)
        record = records.from_table({**table, "override": None})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LedgerError(
            "the decision in the journal cannot be read",
            where=str(ledger.folder / "journal.jsonl"),
            hint="Restore the journal from a copy, or begin a new run: give its `ftkit run` command with --fresh.",
        ) from error
    override = ledger.fact("overridden")
    if override is None or override["bundle"] != record.bundle or record.promoted:
        return record
    return replace(record, override=Override(override["reason"], override["by"], override["at"]))


def _completed(ledger: Ledger, fact: Mapping[str, Any]) -> dict[str, Any]:
    """The record's table for a journal of ftkit 0.1.0, which left out the values that are elsewhere in the run's folder."""
    recipe = ledger.recipe_values
    data = ledger.data(())
    probabilities = ledger.predictions().get("candidate")
    decided = dict(fact)
    version, champion = decided.pop("champion_version", None), decided.pop("champion", None)
    model = recipe.get("registry", {}).get("model", "")
    environment = ledger.fact("environment") or {}
    return {
        **decided,
        "run": ledger.run,
        "name": recipe.get("name", ""),
        "recipe": records.sha256(ledger.recipe),
        "data": data.report.fingerprint,
        "rows": data.report.sizes["test"],
        "champion": {"model": model, "version": version or "", "bundle": champion} if champion else None,
        "ftkit": environment.get("versions", {}).get("ftkit", ""),
        "profile": asdict(profile(probabilities, data.classes))
        if probabilities is not None and len(probabilities)
        else None,
    }
