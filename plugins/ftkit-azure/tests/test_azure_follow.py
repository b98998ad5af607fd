"""A pipeline is followed until it has ended, through failures that pass, and no longer than the client has patience."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ftkit_azure.follow import MOST_REFUSALS, follow
from ftkit_azure.options import PipelineOptions
from ftkit_azure.states import ENDED, SUCCEEDED, UNSUCCESSFUL

from ftkit.errors import StageError

OPTIONS = PipelineOptions(poll=0.001, patience_minutes=0.0005)


class Monitor:
    """Counts the looks at a pipeline."""

    def __init__(self) -> None:
        self.updates = 0
        self.complaints: list[str] = []

    def update(self) -> None:
        self.updates += 1

    def unanswered(self, reason: str) -> None:
        self.complaints.append(reason)

    def failure(self, status: str) -> str:
        return f"ended as {status}"


def statuses(*answers: str | Exception) -> Iterator[str]:
    """The answers one after another; the last again and again. An exception is raised."""
    remaining = list(answers)
    while True:
        answer = remaining.pop(0) if len(remaining) > 1 else remaining[0]
        yield answer  # type: ignore[misc]


def followed(monitor: Monitor, *answers: str | Exception) -> str:
    remaining = statuses(*answers)

    def status() -> str:
        answer = next(remaining)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return follow(monitor, status, OPTIONS, "the page")  # type: ignore[arg-type]


@pytest.mark.parametrize("state", ENDED)
def test_every_state_in_which_a_run_has_ended_ends_it(state: str) -> None:
    monitor = Monitor()
    assert followed(monitor, "Queued", "Running", state) == ("" if state in SUCCEEDED else f"ended as {state}")
    assert monitor.updates == 3
    assert (state in SUCCEEDED) is not (state in UNSUCCESSFUL)


def test_a_failure_that_passes_is_reported_and_ignored() -> None:
    monitor = Monitor()
    assert followed(monitor, "Running", ConnectionResetError("cut"), "Running", "Completed") == ""
    assert len(monitor.complaints) == 1


def test_a_service_that_stays_silent_ends_the_client_and_not_the_pipeline() -> None:
    with pytest.raises(StageError, match=r"has not answered for 0\.0005 minutes") as ended:
        followed(Monitor(), ConnectionResetError("cut"))
    assert "The pipeline continues" in ended.value.hint


def test_a_refusal_that_does_not_pass_ends_the_client_after_some_looks() -> None:
    monitor = Monitor()
    with pytest.raises(StageError, match="cannot be followed: no right") as ended:
        followed(monitor, StageError("no right", hint="Ask for it."))
    assert len(monitor.complaints) == MOST_REFUSALS
    assert "The pipeline continues" in ended.value.hint
    assert "Ask for it." in ended.value.hint
