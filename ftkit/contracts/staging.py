"""A stage of a run as a block of code: its start and end, or its failure, become events."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from ftkit.contracts.events import Emit, Stage, StageFailed, StageFinished, StageStarted
from ftkit.errors import FtkitError


@contextmanager
def stage(name: Stage, emit: Emit, reused: bool = False) -> Iterator[None]:
    """Emit the start of a stage, and its end or failure with its seconds."""
    begun = time.monotonic()
    emit(StageStarted(name))
    try:
        yield
    except BaseException as error:
        message = error.what if isinstance(error, FtkitError) else str(error) or type(error).__name__
        emit(StageFailed(name, time.monotonic() - begun, message))
        raise
    emit(StageFinished(name, time.monotonic() - begun, reused))
