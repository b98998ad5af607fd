"""Which labels of the test split may be wrong: a score is only as good as the labels it is measured by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from ftkit import formatting
from ftkit.contracts import TASKS, Contender, Status, Task, Verdict
from ftkit.evaluation import decisions, option_checks, verdicts
from ftkit.evaluation.contenders import defect, labels_of
from ftkit.formatting import percent

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class LabelNoise:
    """Warns of test rows whose label is probably wrong, judged by the candidate's probabilities; fails only above `max_share`.

    A row is suspect when another class is more probable than its label, and at least as probable as that class is on average
    for the rows labelled with it. Of several such classes the most probable counts. The candidate has not seen these rows
    in training. Where rows have several labels, each label is a question of its own, which is answered yes or no.

    Source: Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels", section 3.1, as
    the library cleanlab implements it.
    """

    name: ClassVar[str] = "label-noise"
    tasks: ClassVar[tuple[Task, ...]] = TASKS
    max_share: float | None = None
    """The greatest share of suspect rows that still passes; any share passes when left out."""
    show: int = 3
    """How many of the suspect rows to name in the sentence, the most probable errors first."""

    def __post_init__(self) -> None:
        if self.max_share is not None:
            option_checks.in_range("max_share", self.max_share, 0, 1)
        option_checks.at_least("show", self.show, 0)

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """List the rows whose label the candidate contradicts with confidence; rows are counted from 1."""
        if reason := defect(candidate):
            unclear: Status = "failed" if self.max_share is not None else "not applicable"
            return Verdict(self.name, unclear, f"labels cannot be judged: {reason}")
        labels, texts, classes = labels_of(candidate), candidate.data.test.texts, candidate.data.classes
        rows, likely_labels = suspects(candidate.probabilities, labels)
        share = len(rows) / len(labels)
        met = self.max_share is None or share <= self.max_share + verdicts.ROUNDING
        sentence = f"{formatting.count(len(rows), 'label')} of {len(labels):,} ({percent(share)}) may be wrong"
        if self.max_share is not None:
            sentence += f" (at most {percent(self.max_share)} allowed)"
        if examples := [
            f"row {row + 1} {formatting.quoted(texts[row])} is labelled {_named(labels[row], classes)}, "
            f"looks like {_named(likely, classes)}"
            for row, likely in zip(rows[: self.show], likely_labels[: self.show], strict=True)
        ]:
            sentence += f": {'; '.join(examples)}"
        numbers = {"suspected": len(rows), "share": share, "rows": len(labels)}
        numbers |= {f"suspect {place}": row + 1 for place, row in enumerate(rows[:20].tolist(), 1)}
        return Verdict(self.name, verdicts.status(met), sentence, verdicts.finite_numbers(numbers))


def _named(label: Any, classes: Sequence[str]) -> str:
    """A class index, or a row of 0 and 1, as class names."""
    import numpy as np

    name = decisions.named(label, classes) if np.ndim(label) else classes[label]
    return formatting.printable(name)


def suspects(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose label is probably wrong, the worst first, and the class each probably has; of several labels, 0 and 1."""
    if labels.ndim == 2:
        return _suspects_of_several(probabilities, labels)
    return _suspects_of_one(probabilities, labels)


def _suspects_of_several(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    import numpy as np

    likely = labels.copy()
    doubt = np.zeros(len(labels))
    for index in range(labels.shape[1]):
        own = np.clip(probabilities[:, index], 0, 1)
        rows, others = _suspects_of_one(np.stack([1 - own, own], axis=1), labels[:, index])
        likely[rows, index] = others
        doubt[rows] = np.maximum(doubt[rows], abs(own[rows] - labels[rows, index]))
    rows = np.flatnonzero((likely != labels).any(axis=1))
    rows = rows[np.argsort(-doubt[rows], kind="stable")]
    return rows, likely[rows]


def _suspects_of_one(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    import warnings

    import numpy as np
    from cleanlab.filter import find_label_issues

    positive = np.clip(np.asarray(probabilities, dtype=np.float64), 1e-12, None)
    positive /= positive.sum(axis=1, keepdims=True)
    if len(np.unique(labels)) < 2:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)  # there is no other class to be mistaken for
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about classes with few rows, which the share of all rows takes into account
        rows = find_label_issues(
            labels, positive, filter_by="confident_learning", return_indices_ranked_by="normalized_margin", n_jobs=1
        )
    others = positive[rows]
    others[np.arange(len(rows)), labels[rows]] = 0
    return rows, others.argmax(axis=1)
