"""The probability from which each label is given, so that a metric of the answers is best on some rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from ftkit.contracts import Task
from ftkit.contracts.deciding import AnswerRule
from ftkit.evaluation import answer_rules, decisions, metrics

if TYPE_CHECKING:
    import numpy as np

STEPS = 200
"""The most thresholds of a label that are tried."""
ROUNDS = 10
"""How often all labels are gone through at most, until no threshold changes."""
BLOCK = 2_000_000
"""Answers that are measured at a time, so that a million rows need no more memory than a few."""
GAIN = 1e-9
"""A gain this small is rounding."""


def tuned(
    probabilities: np.ndarray, labels: np.ndarray, classes: Sequence[str], task: Task, metric: str, least_rows: int
) -> dict[str, float]:
    """The thresholds that are better than 0.5, by label; only labels that at least `least_rows` rows have, and as many have not.

    Of two classes that exclude each other the second has the threshold. Of several labels, the thresholds are chosen one label after
    another, the others held, until nothing changes.

    Source: Yang 2001, "A Study of Thresholding Strategies for Text Categorization" (SCut); Fan and Lin 2007, "A Study on Threshold
    Selection for Multi-label Classification" (cyclic optimisation).
    """
    import numpy as np

    if task != "multi-label":
        return _of_two_classes(probabilities, labels, classes, task, metric, least_rows)
    probabilities = np.asarray(probabilities, dtype=np.float64)
    counts = labels.sum(axis=0)
    enough = np.flatnonzero((counts >= least_rows) & (len(labels) - counts >= least_rows))
    thresholds = np.full(len(classes), decisions.THRESHOLD)
    answers = decisions.answers(probabilities, task)
    for _ in range(ROUNDS):
        changed = False
        for index in enough:
            measure = _MEASURES[metric](answers, labels, index)
            value = measure(answers[:, index][None])[0]
            tried = np.array([*_between(probabilities[:, index])])
            block = max(1, BLOCK // len(labels))
            values = np.concatenate(
                [
                    measure((probabilities[:, index] >= tried[begin : begin + block, None]).astype(np.int64))
                    for begin in range(0, len(tried), block)
                ]
            )
            best = _best(tried, values)
            if values[best] > value + GAIN:
                thresholds[index], changed = tried[best], True
                answers[:, index] = probabilities[:, index] >= tried[best]
        if not changed:
            break
    return {classes[index]: float(thresholds[index]) for index in enough if thresholds[index] != decisions.THRESHOLD}


def _of_two_classes(
    probabilities: np.ndarray, labels: np.ndarray, classes: Sequence[str], task: Task, metric: str, least_rows: int
) -> dict[str, float]:
    import numpy as np

    if min(np.bincount(labels, minlength=2)) < least_rows:
        return {}
    sign = 1 if metrics.GREATER_IS_BETTER[metric] else -1
    name = classes[1]

    def measure(thresholds: dict[str, float]) -> float:
        rule = AnswerRule(thresholds=thresholds)
        return sign * metrics.score(metric, answer_rules.moved(probabilities, classes, task, rule), labels)

    tried = np.array([*_between(np.asarray(probabilities, dtype=np.float64)[:, 1])])
    values = np.array([measure({name: each}) for each in tried])
    best = _best(tried, values)
    return {name: float(tried[best])} if values[best] > measure({}) + GAIN else {}


def _between(own: np.ndarray) -> Iterator[float]:
    """Thresholds in the middle between probabilities that some rows have, at most `STEPS`, and the usual one."""
    import numpy as np

    yield decisions.THRESHOLD
    present = np.unique(own)
    middles = (present[1:] + present[:-1]) / 2
    middles = middles[(middles > 0) & (middles < 1)]
    if len(middles) > STEPS:
        middles = np.unique(np.quantile(middles, np.linspace(0, 1, STEPS), method="nearest"))
    yield from middles


def _best(tried: np.ndarray, values: np.ndarray) -> int:
    """The place of the greatest value; of several the one nearest to the usual threshold."""
    import numpy as np

    far = np.where(values >= values.max() - GAIN, abs(tried - decisions.THRESHOLD), np.inf)
    return int(far.argmin())


Curve = Callable[["np.ndarray"], "np.ndarray"]
"""From answers for one label, 0 or 1, (tried, rows), to the metric of all labels, (tried,)."""


def _counts(given: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (given * labels).sum(axis=-1), given.sum(axis=-1), labels.sum(axis=-1)


def _micro_f1(answers: np.ndarray, labels: np.ndarray, index: int) -> Curve:
    import numpy as np

    others = np.arange(labels.shape[1]) != index
    right, given, true = (each.sum() for each in _counts(answers[:, others].T, labels[:, others].T))

    def measure(own: np.ndarray) -> np.ndarray:
        own_right, own_given, own_true = _counts(own, labels[:, index])
        total = given + own_given + true + own_true
        return 2 * (right + own_right) / np.maximum(total, 1)

    return measure


def _macro_f1(answers: np.ndarray, labels: np.ndarray, index: int) -> Curve:
    """Only the part of this label: the others are added to it."""
    import numpy as np

    def measure(own: np.ndarray) -> np.ndarray:
        right, given, true = _counts(own, labels[:, index])
        return 2 * right / np.maximum(given + true, 1)

    return measure


def _samples_f1(answers: np.ndarray, labels: np.ndarray, index: int) -> Curve:
    import numpy as np

    others = np.arange(labels.shape[1]) != index
    right, given, true = _counts(answers[:, others], labels[:, others])

    def measure(own: np.ndarray) -> np.ndarray:
        total = given + own + true + labels[:, index]
        f1 = 2 * (right + own * labels[:, index]) / np.maximum(total, 1)
        return np.where(total > 0, f1, 1.0).mean(axis=-1)

    return measure


def _subset_accuracy(answers: np.ndarray, labels: np.ndarray, index: int) -> Curve:
    import numpy as np

    others = np.arange(labels.shape[1]) != index
    right = (answers[:, others] == labels[:, others]).all(axis=1)
    return lambda own: (right & (own == labels[:, index])).mean(axis=-1)


_MEASURES: dict[str, Callable[[np.ndarray, np.ndarray, int], Curve]] = {
    "micro_f1": _micro_f1,
    "macro_f1": _macro_f1,
    "samples_f1": _samples_f1,
    "subset_accuracy": _subset_accuracy,
}
