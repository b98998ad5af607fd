"""The recipe options that platforms which run trials themselves have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class TrialOptions:
    """What every search does with its trials, wherever they run."""

    searches: ClassVar[bool] = True
    retries: int = 1
    """How many more attempts a trial gets, with the same values, when its process fails or is killed."""
    processes: int = 1
    """Processes that train the model of each trial together, on one machine; they share its cores, or each has a GPU of its own."""
    memory_limit_mb: int | None = None
    """End a trial whose processes together hold more memory than this; by default there is no limit."""
    timeout_minutes: float | None = None
    """End a trial that takes longer than this; by default there is no limit."""
    sample_seconds: float = 1.0
    """Time between two samples of what a trial's processes use."""
    keep_models: bool = False
    """Keep the model of every finished trial, not only of the best one."""

    def __post_init__(self) -> None:
        if self.retries < 0:
            raise ValueError("retries must not be negative")
        if self.processes < 1:
            raise ValueError("processes must be at least 1")
        if self.memory_limit_mb is not None and self.memory_limit_mb < 1:
            raise ValueError("memory_limit_mb must be at least 1")
        if self.timeout_minutes is not None and self.timeout_minutes <= 0:
            raise ValueError("timeout_minutes must be above 0")
        if self.sample_seconds < 0.1:
            raise ValueError("sample_seconds must be at least 0.1")


@dataclass(frozen=True, kw_only=True)
class ProcessOptions(TrialOptions):
    """What the trials of a search may use where they are processes on this machine."""

    threads: int | None = None
    """Cores for each trial; by default the machine's cores are shared evenly among the trials that run at a time."""
    devices: tuple[str, ...] | None = None
    """GPUs to share out among the trials, as CUDA_VISIBLE_DEVICES names them: by default all, with an empty list none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.threads is not None and self.threads < 1:
            raise ValueError("threads must be at least 1")
