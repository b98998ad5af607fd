"""A trial that goes on after an interruption has the history that it had, and the answers that it got."""

from __future__ import annotations

from typing import Any

from ftkit.searching.running import RunningTrial

HISTORY = [{"epoch": 1, "accuracy": 0.5}, {"epoch": 2, "accuracy": 0.8}, {"epoch": 3, "accuracy": 0.7}]


def trial(*answers: bool) -> RunningTrial:
    attempt: Any = None
    reported = [{"numbers": numbers, "go": go} for numbers, go in zip(HISTORY, answers, strict=False)]
    return RunningTrial(0, {}, 7, 0, 2, attempt, None, reported)


def test_the_evaluations_before_a_checkpoint_take_the_place_of_those_so_far() -> None:
    running = trial()
    for numbers in HISTORY:
        running.add(numbers, "accuracy")
    running.go_on_after(HISTORY[:1], "accuracy")
    assert (running.history, running.best) == (HISTORY[:1], 0)
    running.go_on_after(HISTORY, "accuracy")
    assert (running.history, running.best) == (HISTORY, 1)
    running.go_on_after([], "accuracy")
    assert running.add(HISTORY[2], "accuracy")


def test_the_answer_to_an_evaluation_stands_only_for_the_same_evaluation() -> None:
    running = trial(True, False)
    known = running.reported_before({**HISTORY[1], "rows_per_second": 3.0}, "accuracy")
    assert known is not None
    assert known["go"] is False
    assert running.reported_before({"epoch": 2, "accuracy": 0.81}, "accuracy") is None
    assert running.reported_before(HISTORY[2], "accuracy") is None
