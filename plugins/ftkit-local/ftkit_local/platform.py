"""This machine as the place of a run: trials in worker processes, all other stages in the process that was started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ftkit.searching import ProcessOptions, run_trials

if TYPE_CHECKING:
    from ftkit.contracts import Emit, Outcome, Trial
    from ftkit.contracts.plan import Plan
    from ftkit.runs.ledger import Ledger


@dataclass(frozen=True, kw_only=True)
class LocalPlatform(ProcessOptions):
    """Runs everything on this machine, each trial in a process of its own."""

    name: ClassVar[str] = "local"
    confirms: ClassVar[bool] = True
    checkpoints: ClassVar[bool] = True

    def run(self, plan: Plan, emit: Emit) -> Outcome:
        """Carry out the plan here. Raises: FtkitError."""
        from ftkit import runner

        return runner.carry_out(plan, emit, self.search)

    def search(self, plan: Plan, ledger: Ledger, emit: Emit) -> Sequence[Trial]:
        """Run the trials that the ledger does not hold yet, and return all by number.

        Raises: SearchError when none finished; StageError, such as CheckpointError, that every trial would meet.
        """
        from ftkit.searching.process import ProcessWorkers
        from ftkit.searching.search import at_a_time, patience

        workers = ProcessWorkers(self, at_a_time(plan), patience(plan))
        return run_trials(plan, ledger, emit, self, workers)
