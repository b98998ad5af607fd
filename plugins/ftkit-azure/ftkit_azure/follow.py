"""Looking at a pipeline until it has ended, however long the service gives no answer."""

from __future__ import annotations

import time
from collections.abc import Callable

from ftkit.errors import StageError
from ftkit_azure import refusals, states
from ftkit_azure.monitor import PipelineMonitor
from ftkit_azure.options import PipelineOptions

MOST_REFUSALS = 5
"""So many looks in a row may fail for a reason that is not known to pass."""


def follow(monitor: PipelineMonitor, status: Callable[[], str], options: PipelineOptions, where: str) -> str:
    """Emit what the pipeline does until it has ended; returns why it did not succeed, or an empty text.

    `status` asks the service how the pipeline stands.
    Raises: StageError when the service refuses or does not answer; the pipeline continues.
    """
    answered, refused = time.monotonic(), 0
    while True:
        try:
            state = status()  # before the look at the steps, so that no event comes after the end
            monitor.update()
            if state in states.ENDED:
                return "" if state in states.SUCCEEDED else monitor.failure(state)
            answered, refused = time.monotonic(), 0
        except Exception as error:  # of the SDK, and of the libraries that it asks with
            explanation = refusals.explain(error)
            refused += not refusals.is_transient(error)
            hint = f"The pipeline continues; give the same command to follow it again. {explanation.hint}".strip()
            if refused > MOST_REFUSALS:
                raise StageError(f"the pipeline cannot be followed: {explanation.what}", where, hint) from error
            if time.monotonic() - answered > 60 * options.patience_minutes:
                silence = f"the service has not answered for {options.patience_minutes:g} minutes"
                raise StageError(f"{silence}: {explanation.what}", where, hint) from error
            monitor.unanswered(explanation.what)
        time.sleep(options.poll)
