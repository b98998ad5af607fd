"""Why trials failed, and when that is the end of the search: in the words of its journal and of its errors."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ftkit import errors
from ftkit.contracts import Trial
from ftkit.errors import FtkitError, SearchError, StageError

if TYPE_CHECKING:
    from ftkit.runs.ledger import Ledger
    from ftkit_local.process import TrialProcess

ALIKE = 3
"""So many trials failing in the same way, and none getting further, end the search."""


def cause(process: TrialProcess, code: int) -> str:
    """Why a process ended without a word, in one line."""
    if process.killed:
        return f"killed: {process.killed}"
    words = process.last_words()[:300]
    if code == -signal.SIGKILL:
        return "killed (SIGKILL), probably out of memory"
    if code < 0:
        known = [each.name for each in signal.Signals if each == -code]
        return f"killed by {known[0] if known else f'signal {-code}'}"
    return f"its process ended with exit code {code}" + (f": {words}" if words else "")


def rebuilt(kind: str, what: str, where: str, hint: str) -> FtkitError:
    """The error that a worker met and every other trial would meet too."""
    found = getattr(errors, kind, StageError)
    return found(what, where, hint)


def full(ledger: Ledger) -> StageError:
    """The error of a disk that takes no more."""
    return StageError(
        "the disk is full; the search was stopped",
        where=str(ledger.folder),
        hint="Make room, then give the same command: every trial that came to its end is kept.",
    )


def check_alike(ledger: Ledger) -> None:
    """End a search whose every trial fails in the same way; a kill may come of the values. Raises: SearchError."""
    trials = ledger.trials()
    if (
        len(trials) >= ALIKE
        and all(trial.state == "failed" for trial in trials)
        and len({trial.error for trial in trials}) == 1
        and not trials[0].error.startswith("killed")
    ):
        raise _hopeless(ledger, trials, f"the first {len(trials)} trials failed in the same way: {trials[0].error}")


def check_success(ledger: Ledger) -> None:
    """See that there is something to select from. Raises: SearchError when no trial finished."""
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
