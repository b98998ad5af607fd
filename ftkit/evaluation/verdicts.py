"""The verdicts, and parts of verdicts, that several promotion tests give in the same words."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ftkit.contracts import Contender, Status, Verdict
from ftkit.evaluation import metrics
from ftkit.evaluation.contenders import Matched, class_mismatch, defect, matched, task_mismatch

ROUNDING = 1e-12
"""A difference this small is rounding: 0.8 - 0.7 is a little more than 0.1."""


def status(met: bool) -> Status:
    """The status of a test whose condition could be judged."""
    return "passed" if met else "failed"


def finite_numbers(numbers: Mapping[str, float]) -> dict[str, float]:
    """The numbers of a verdict as plain floats, without those that are not defined."""
    return {name: float(value) for name, value in numbers.items() if math.isfinite(value)}


def no_champion(test: str) -> Verdict:
    """The verdict of a comparison before any model is live."""
    return Verdict(test, "not applicable", "there is no champion yet")


def comparable(
    test: str, candidate: Contender, champion: Contender, numbers: Mapping[str, float] | None = None
) -> Matched | Verdict:
    """Both on the rows whose class both know, or the verdict where their classes allow no comparison."""
    if other_task := task_mismatch(champion):
        advice = "register the candidate under another model name: callers rely on the form of the answers"
        return Verdict(test, "failed", f"{other_task}; {advice}", numbers or {})
    if mismatch := class_mismatch(champion):
        # Callers of the endpoint rely on its label names, so a class is never taken away unnoticed.
        advice = (
            "callers may rely on it. If it has another name now, give the class its old name in the recipe (labels of "
            "[dataset]); if it is meant to go, register the candidate under another model name or leave this test out"
        )
        return Verdict(test, "failed", f"{mismatch}; {advice}", numbers or {})
    both = matched(candidate, champion)
    if not len(both.rows) and len(candidate.data.test):
        return Verdict(test, "failed", f"no test row has a class that {champion.title} knows{both.note}", numbers or {})
    return both


def metric_undefined(test: str, metric: str, contender: Contender) -> Verdict:
    """The verdict where a contender's metric has no value: no rows, probabilities that are not finite, or one class only."""
    several = contender.data.task == "multi-label"
    reason = defect(contender) or f"the test split has {'no row with a label' if several else 'rows of one class only'}"
    return Verdict(test, "failed", f"{metrics.TITLES[metric]} is not defined here: {reason}")
