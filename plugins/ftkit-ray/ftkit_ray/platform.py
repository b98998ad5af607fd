"""A Ray cluster as the place of the trials; all other stages run in the process that was started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ftkit.options import Mistake
from ftkit.searching import run_trials
from ftkit_ray.options import RayOptions

if TYPE_CHECKING:
    from ftkit.contracts import Emit, Outcome, Trial
    from ftkit.contracts.plan import Plan
    from ftkit.runs.ledger import Ledger


@dataclass(frozen=True, kw_only=True)
class RayPlatform(RayOptions):
    """Runs the trials on the nodes of a Ray cluster, each in a process of its own; all else runs where the command is given."""

    name: ClassVar[str] = "ray"
    confirms: ClassVar[bool] = True
    checkpoints: ClassVar[bool] = True

    def refusals(self, plan: Plan) -> Sequence[Mistake]:
        """Checkpoints that would be gone with the node that wrote them."""
        if not plan.search.checkpoint or not self.address or self.storage:
            return []
        what = "a trial goes on from its checkpoint on any node, and the nodes share no folder"
        return [Mistake(("search", "checkpoint"), what, "Set run.storage to a folder that all nodes share.")]

    def run(self, plan: Plan, emit: Emit) -> Outcome:
        """Carry out the plan here, its trials on the cluster. Raises: FtkitError."""
        from ftkit import runner

        return runner.carry_out(plan, emit, self.search)

    def search(self, plan: Plan, ledger: Ledger, emit: Emit) -> Sequence[Trial]:
        """Run the trials that the ledger does not hold yet, and return all by number.

        Raises: SearchError when none finished; StageError when the cluster cannot be used, or that every trial would meet.
        """
        from ftkit.searching.search import at_a_time
        from ftkit_ray.cluster import joined
        from ftkit_ray.workers import RayWorkers

        with joined(self, at_a_time(plan)) as cluster:
            workers = RayWorkers(self, plan, ledger, emit, cluster)
            trials = run_trials(plan, ledger, emit, self, workers)
            workers.forget()
            return trials
