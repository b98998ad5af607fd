"""Checkpoints of a training on a service: in a folder that outlives its machine, so that a requeued job goes on from there."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ftkit.contracts.plan import Plan
from ftkit.searching.worker import end_by_signal
from ftkit.stages.checkpoints import Resumed, TrialCheckpoints, key_of


def of_trial(
    plan: Plan,
    folder: Path | None,
    *,
    number: int,
    values: Mapping[str, Any],
    seed: int,
    notice: Callable[[str], None] = lambda text: None,
    resumed: Resumed = lambda history: None,
) -> TrialCheckpoints | None:
    """The checkpoints in a trial's folder, where the recipe asks for them; without a folder there are none."""
    seconds = plan.search.checkpoint_seconds
    if folder is None or not seconds:
        return None
    return TrialCheckpoints(folder, key_of(folder.name, number, values, seed), seconds, notice, resumed)


@contextmanager
def kept(
    plan: Plan,
    folder: Path | None,
    *,
    number: int,
    values: Mapping[str, Any],
    seed: int,
    notice: Callable[[str], None],
    resumed: Resumed,
) -> Iterator[TrialCheckpoints | None]:
    """The checkpoints of the training in the block, where the recipe asks for them; without a folder there are none.

    At SIGTERM the training writes one at its next step and ends with TrialInterrupted; before its first step the process ends at once.
    When the training has ended in any other way, the folder is removed.
    """
    checkpoints = of_trial(plan, folder, number=number, values=values, seed=seed, notice=notice, resumed=resumed)
    if folder is None or checkpoints is None:
        yield None
        return

    def interrupted(*_: object) -> None:
        if not checkpoints.begun:
            end_by_signal()
        checkpoints.interrupted = True

    before = signal.signal(signal.SIGTERM, interrupted)
    try:
        yield checkpoints
    finally:
        signal.signal(signal.SIGTERM, before)
        if not checkpoints.ended:
            shutil.rmtree(folder, ignore_errors=True)
