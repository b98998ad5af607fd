"""Probabilities to answers by the rule of a bundle: thresholds, and texts that get no answer.

What counts answers (metrics, comparisons, drift) gets probabilities that are moved so that the plain rule of `decisions` gives the
rule's answers. Who sees a probability sees the model's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ftkit.contracts import Task
from ftkit.contracts.deciding import AnswerRule
from ftkit.evaluation import decisions

if TYPE_CHECKING:
    import numpy as np

OF_PROBABILITIES = ("log_loss", "roc_auc", "map")
"""Metrics of the probabilities themselves, which no threshold changes."""
APART = 1e-9
"""How far a moved probability is from the middle at least, so that no rounding changes the answer."""


class Decided(NamedTuple):
    """The answers to some rows."""

    answers: np.ndarray
    """Which classes each row gets, or would get if it were answered: 0 or 1, (rows, classes)."""
    certainty: np.ndarray
    """The probability of the answer, or of its least sure decision on a label, (rows,)."""
    unsure: np.ndarray
    """Whether the row gets no answer, (rows,)."""
    classes: Sequence[str]
    task: Task

    @property
    def counts(self) -> dict[str, int]:
        """How many rows get each class that any gets; those without an answer get none."""
        given = self.answers[~self.unsure].sum(axis=0)
        return {self.classes[index]: int(given[index]) for index in given.nonzero()[0]}

    @property
    def best(self) -> list[Any]:
        """The answer to each row, also where the model is unsure of it: a name, with the task `multi-label` a list of names."""
        if self.task == "multi-label":
            return [[self.classes[index] for index in row.nonzero()[0]] for row in self.answers]
        return [self.classes[index] for index in self.answers.argmax(axis=1)]

    @property
    def labels(self) -> list[Any]:
        """The answer to each row as callers get it: as `best`, and None where the model is unsure."""
        return [None if unsure else name for name, unsure in zip(self.best, self.unsure, strict=True)]


def decide(probabilities: np.ndarray, classes: Sequence[str], task: Task, rule: AnswerRule | None = None) -> Decided:
    """The answers to rows with these probabilities, (rows, classes)."""
    import numpy as np

    probabilities = np.asarray(probabilities)
    answers = decisions.answers(moved(probabilities, classes, task, rule), task)
    if task == "multi-label":
        certainty = np.where(answers == 1, probabilities, 1 - probabilities).min(axis=1)
    else:
        certainty = (probabilities * answers).sum(axis=1)
    unsure = certainty < rule.below if rule is not None and rule.abstains else np.zeros(len(answers), dtype=bool)
    return Decided(answers, certainty, unsure, classes, task)


def moved(probabilities: np.ndarray, classes: Sequence[str], task: Task, rule: AnswerRule | None = None) -> np.ndarray:
    """Probabilities whose greatest, or which from 0.5 on, are the answers of the rule; in the same order for each label."""
    import numpy as np

    if rule is None or not rule.thresholds:
        return probabilities
    moved = np.array(probabilities, dtype=np.float64)
    columns = {name: index for index, name in enumerate(classes)}
    for name, threshold in rule.thresholds.items():
        if name not in columns:
            continue
        own = np.asarray(probabilities, dtype=np.float64)[:, columns[name]]
        shifted = np.where(
            own >= threshold,
            np.maximum(0.5 + 0.5 * (own - threshold) / (1 - threshold), 0.5 + APART),
            np.minimum(0.5 * own / threshold, 0.5 - APART),
        )
        if task != "multi-label":  # the other class gets the rest
            with np.errstate(divide="ignore", invalid="ignore"):
                moved *= np.where(own < 1, (1 - shifted) / (1 - own), 0.0)[:, None]
        moved[:, columns[name]] = shifted
    return moved


def for_metric(
    metric: str, probabilities: np.ndarray, classes: Sequence[str], task: Task, rule: AnswerRule | None = None
) -> np.ndarray:
    """The probabilities by which a metric measures the rule's answers: of the probabilities themselves the model's own."""
    return probabilities if metric in OF_PROBABILITIES else moved(probabilities, classes, task, rule)
