"""The search of a platform that runs trials itself: what is tried, where it runs, when it is stopped and tried again.

A platform brings `Workers`, which start one attempt of a trial somewhere; everything else is `run_trials`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ftkit.searching.attempts import Attempt, Inbox, Job, PlaceLost, Sample, Workers
from ftkit.searching.options import ProcessOptions, TrialOptions

if TYPE_CHECKING:
    from ftkit.contracts import Emit, Trial
    from ftkit.contracts.plan import Plan
    from ftkit.runs.ledger import Ledger


__all__ = ["Attempt", "Inbox", "Job", "PlaceLost", "ProcessOptions", "Sample", "TrialOptions", "Workers", "run_trials"]


def run_trials(plan: Plan, ledger: Ledger, emit: Emit, options: TrialOptions, workers: Workers) -> Sequence[Trial]:
    """Run the trials that the ledger does not hold yet, and return all by number.

    Raises: SearchError when none finished; StageError, such as CheckpointError, that every trial would meet.
    """
    from ftkit.searching.search import Trials

    return Trials(plan, ledger, emit, options, workers).run()
