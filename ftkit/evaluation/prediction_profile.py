"""How a model's answers are distributed, by class and by confidence; drift is measured against this profile.

The promotion gate computes it on the test split and stores it in the promotion record, so that it is in the bundle that
is deployed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftkit.contracts import AnswerRule, Probabilities, Task
from ftkit.contracts.monitoring import Profile
from ftkit.evaluation import decisions
from ftkit.evaluation.answer_rules import decide

if TYPE_CHECKING:
    import numpy as np


BINS = 10
"""Bins of the confidence: deciles, as is usual for scorecards. Source: Siddiqi, Credit Risk Scorecards, 2006, chapter 10."""


def profile(
    probabilities: Probabilities, classes: Sequence[str], task: Task = "single-label", rule: AnswerRule | None = None
) -> Profile:
    """The profile of at least one answer, also of those that are not given because the model is unsure; bins that ties would leave empty are joined with their neighbours."""
    import numpy as np

    decided = decide(probabilities, classes, task, rule)
    predicted, confidence = decided.answers, decided.certainty
    edges = np.unique(np.quantile(confidence, np.arange(1, BINS) / BINS))
    counts = predicted.sum(axis=0)
    return Profile(
        {name: int(count) for name, count in zip(classes, counts, strict=True)},
        tuple(float(edge) for edge in edges),
        tuple(bin_counts(confidence, edges)),
    )


def predictions(probabilities: Probabilities, task: Task = "single-label") -> tuple[np.ndarray, np.ndarray]:
    """Which classes each row gets, 0 or 1, (rows, classes), and how sure that is, (rows,)."""
    return decisions.answers(probabilities, task), decisions.certainty(probabilities, task)


def bin_counts(confidence: Sequence[float] | np.ndarray, edges: Sequence[float] | np.ndarray) -> list[int]:
    """How many values fall into each bin; a value on an edge falls into the bin above it."""
    import numpy as np

    counts = np.bincount(np.searchsorted(edges, confidence, side="right"), minlength=len(edges) + 1)
    return [int(count) for count in counts]


def read(table: Mapping[str, Any]) -> Profile:
    """The profile in a JSON object."""
    return Profile(dict(table["classes"]), tuple(table["edges"]), tuple(table["confidence"]))
