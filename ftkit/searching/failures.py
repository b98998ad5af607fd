"""Why trials failed, for the journal and for errors, and when failures end the search."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftkit.contracts import Trial
from ftkit.errors import (
    BundleError,
    CheckpointError,
    DataError,
    DeployError,
    FtkitError,
    LedgerError,
    PluginError,
    RegistryError,
    SearchError,
    StageError,
    UsageError,
)
from ftkit.redaction import redacted

if TYPE_CHECKING:
    from ftkit.runs.ledger import Ledger

ALIKE = 3
"""So many trials that fail in the same way, while none gets further, end the search."""

RAISED: Mapping[str, type[FtkitError]] = {
    kind.__name__: kind
    for kind in (
        FtkitError,
        UsageError,
        PluginError,
        StageError,
        DataError,
        CheckpointError,
        SearchError,
        BundleError,
        LedgerError,
        RegistryError,
        DeployError,
    )
}
"""The errors of what, where and hint that a worker's message can name; any other kind becomes a StageError."""


def cause(code: int, last_line: str, killed: str = "") -> str:
    """Why a process ended without a message, in one line: by its exit code, the last line of its log, and why it was killed."""
    if killed:
        return f"killed: {killed}"
    line = redacted(last_line)[:300]
    if code == -signal.SIGKILL:
        return "killed (SIGKILL), probably out of memory"
    if code < 0:
        names = [each.name for each in signal.Signals if each == -code]
        return f"killed by {names[0] if names else f'signal {-code}'}"
    return f"its process ended with exit code {code}" + (f": {line}" if line else "")


def rebuilt(kind: str, what: str, where: str, hint: str) -> FtkitError:
    """The error that a worker reported and that every other trial would meet too."""
    return RAISED.get(kind, StageError)(what, where, hint)


def full(ledger: Ledger) -> StageError:
    """The error of a full disk."""
    return StageError(
        "the disk is full; the search was stopped",
        where=str(ledger.folder),
        hint="Make room, then give the same command: every trial that ended is kept.",
    )


def retries(ledger: Ledger, number: int) -> list[Mapping[str, Any]]:
    """The facts of a trial's further attempts so far."""
    return [fact for fact in ledger.facts("trial-retried") if fact["number"] == number]


def check_alike(ledger: Ledger) -> None:
    """End a search of which every trial fails in the same way, killed ones apart. Raises: SearchError."""
    trials = ledger.trials()
    if (
        len(trials) >= ALIKE
        and all(trial.state == "failed" for trial in trials)
        and len({trial.error for trial in trials}) == 1
        and not trials[0].error.startswith("killed")
    ):
        raise _hopeless(ledger, trials, f"the first {len(trials)} trials failed in the same way: {trials[0].error}")


def check_success(ledger: Ledger) -> None:
    """Raises: SearchError when no trial finished, so that there is nothing to select from."""
    trials = ledger.trials()
    if not any(trial.state == "finished" for trial in trials):
        failed = [trial for trial in trials if trial.state == "failed"]
        last = f"; the last failure: {failed[-1].error}" if failed else ""
        raise _hopeless(ledger, trials, f"none of the {len(trials)} trials finished{last}")


def _hopeless(ledger: Ledger, trials: Sequence[Trial], what: str) -> SearchError:
    logs = [str(ledger.trial_folder(trial.number) / "trial.log") for trial in trials if trial.state == "failed"]
    more = f" and {len(logs) - 3} more" if len(logs) > 3 else ""
    hint = f"Their logs: {', '.join(logs[:3])}{more}. " if logs else ""
    return SearchError(what, where=ledger.run, hint=f"{hint}Fix the cause, then run again with --fresh.")
