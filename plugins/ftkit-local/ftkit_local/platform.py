"""This machine as the place of a run: trials in worker processes, all other stages in the process that was started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from ftkit.contracts import Emit, Outcome, Trial
    from ftkit.recipe.loader import Plan
    from ftkit.runs.ledger import Ledger


@dataclass(frozen=True, kw_only=True)
class LocalPlatform:
    """Runs everything on this machine, each trial in a process of its own."""

    name: ClassVar[str] = "local"
    confirms: ClassVar[bool] = True
    threads: int | None = None
    """Cores for each trial; by default the machine's cores are shared evenly among the trials that run at a time."""
    devices: tuple[str, ...] | None = None
    """GPUs to deal out among the trials, as CUDA_VISIBLE_DEVICES names them: by default all, with an empty list none."""
    retries: int = 1
    """How many more attempts a trial gets, with the same values, when its process fails or is killed."""
    memory_limit_mb: int | None = None
    """End a trial whose processes together hold more memory than this; by default there is no limit."""
    timeout_minutes: float | None = None
    """End a trial that takes longer than this; by default there is no limit."""
    sample_seconds: float = 1.0
    """Time between two looks at what a trial's processes use."""
    keep_models: bool = False
    """Keep the model of every finished trial, not only of the best one."""

    def __post_init__(self) -> None:
        if self.threads is not None and self.threads < 1:
            raise ValueError("threads must be at least 1")
        if self.retries < 0:
            raise ValueError("retries must not be negative")
        if self.memory_limit_mb is not None and self.memory_limit_mb < 1:
            raise ValueError("memory_limit_mb must be at least 1")
        if self.timeout_minutes is not None and self.timeout_minutes <= 0:
            raise ValueError("timeout_minutes must be above 0")
        if self.sample_seconds < 0.1:
            raise ValueError("sample_seconds must be at least 0.1")

    def run(self, plan: Plan, emit: Emit) -> Outcome:
        """Carry out the plan here. Raises: FtkitError."""
        from ftkit import runner

        return runner.carry_out(plan, emit, self.search)

    def search(self, plan: Plan, ledger: Ledger, emit: Emit) -> Sequence[Trial]:
        """Run the trials that the ledger does not hold yet, and return all by number.

        Raises: SearchError when none finished; StageError, such as CheckpointError, that every trial would meet.
        """
        from ftkit_local.search import Trials

        return Trials(self, plan, ledger, emit).run()
