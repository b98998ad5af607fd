"""The report of a run: one HTML page made of its journal alone, whether it was promoted, failed or interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit import files
from ftkit.contracts.events import Emit, Noticed, ReportWritten
from ftkit.errors import FtkitError, LedgerError
from ftkit.runs.ledger import Ledger

if TYPE_CHECKING:
    from ftkit.report.facts import Facts

NAME = "report.html"


def write(ledger: Ledger, path: Path | None = None, state: str | None = None) -> Path:
    """Write a run's report and return its path, by default in the run's folder.

    The same journal gives the same bytes. `state` overrides the state that the run's folder shows.
    Raises: LedgerError when the file cannot be written.
    """
    from ftkit.report.facts import read
    from ftkit.report.page import page

    path = ledger.folder / NAME if path is None else path
    text = page(read(ledger, state))
    try:
        files.write_text(path, text)
    except OSError as error:
        raise LedgerError(
            f"the report cannot be written: {error.strerror or error}",
            where=str(path),
            hint="Free disk space or fix the permissions, or name another file with `ftkit report RUN --out PATH`.",
        ) from error
    return path


def summary(facts: Facts) -> dict[str, Any]:
    """The main values of the report, for machines."""
    winner = facts.winner
    return {
        "run": facts.run,
        "state": facts.state,
        "metric": facts.metric,
        "trials": len(facts.trials),
        "selected": winner.number if winner is not None else None,
        "validation": dict(winner.metrics) if winner is not None else {},
        "test": dict(facts.metrics),
        "verdicts": {each.test: each.status for each in facts.verdicts},
        "sentence": facts.failure or facts.sentence,
        "champion": facts.champion or None,
        "override": dict(facts.override) or None,
        "bundle": facts.bundle or None,
        "record": facts.record.digest if facts.record is not None else None,
        "changed": list(facts.changed),
        "seconds": facts.seconds,
    }


def announce(ledger: Ledger, emit: Emit) -> None:
    """Write the report of a run that has just ended; a report that fails does not fail the run."""
    try:
        path = write(ledger, state=None if ledger.finished else "failed")
    except Exception as error:  # the result of the run stands without it
        reason = error.what if isinstance(error, FtkitError) else f"{type(error).__name__}: {error}"
        emit(
            Noticed(f"The report could not be written: {reason}. `ftkit report {ledger.run}` writes it.", warning=True)
        )
    else:
        emit(ReportWritten(str(path)))
