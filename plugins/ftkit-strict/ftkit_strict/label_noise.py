"""Which labels of the test split may be wrong: a model can be no better than the labels it is measured by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ftkit import formatting
from ftkit.contracts import Contender, Status, Verdict
from ftkit.formatting import percent
from ftkit_strict import scoring

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class LabelNoise:
    """Warns of test rows whose label is probably wrong, by what the candidate makes of them; fails only when asked to.

    A row is suspected when another class than its label is at least as probable as that class is, on average, for the rows
    that carry it as a label, is the most probable of such classes, and more probable than the label. The candidate has not
    seen these rows in training.

    Source: Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels", section 3.1, as
    the library cleanlab implements it.
    """

    name: ClassVar[str] = "label-noise"
    max_share: float | None = None
    """The greatest share of suspected rows that still passes; nothing is demanded when left out."""
    show: int = 3
    """How many of the suspected rows to name in the sentence, the most probable errors first."""

    def __post_init__(self) -> None:
        if self.max_share is not None:
            scoring.in_range("max_share", self.max_share, 0, 1)
        scoring.at_least("show", self.show, 0)

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """List the rows whose label the candidate contradicts with confidence; rows are counted from 1."""
        if reason := scoring.trouble(candidate):
            judged: Status = "failed" if self.max_share is not None else "not applicable"
            return Verdict(self.name, judged, f"labels cannot be judged: {reason}")
        labels, texts, classes = scoring.labels_of(candidate), candidate.data.test.texts, candidate.data.classes
        rows, given = suspects(candidate.probabilities, labels)
        share = len(rows) / len(labels)
        good = self.max_share is None or share <= self.max_share + 1e-12
        said = f"{formatting.count(len(rows), 'label')} of {len(labels):,} ({percent(share)}) may be wrong"
        if self.max_share is not None:
            said += f", at most {percent(self.max_share)} is allowed"
        if shown := [
            f"row {row + 1} {formatting.quoted(texts[row])} is labelled {formatting.printable(classes[labels[row]])}, "
            f"looks like {formatting.printable(classes[better])}"
            for row, better in zip(rows[: self.show], given[: self.show], strict=True)
        ]:
            said += f": {'; '.join(shown)}"
        numbers = {"suspected": len(rows), "share": share, "rows": len(labels)}
        numbers |= {f"suspect {place}": row + 1 for place, row in enumerate(rows[:20].tolist(), 1)}
        return Verdict(self.name, scoring.status(good), said, scoring.finite(numbers))


def suspects(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose label is probably wrong, the worst first, and the class each probably has."""
    import warnings

    import numpy as np
    from cleanlab.filter import find_label_issues

    found = np.clip(np.asarray(probabilities, dtype=np.float64), 1e-12, None)
    found /= found.sum(axis=1, keepdims=True)
    if len(np.unique(labels)) < 2:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)  # no other class has rows to look like
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about classes with few rows, which the share of all rows takes into account
        rows = find_label_issues(
            labels, found, filter_by="confident_learning", return_indices_ranked_by="normalized_margin", n_jobs=1
        )
    others = found[rows]
    others[np.arange(len(rows)), labels[rows]] = 0
    return rows, others.argmax(axis=1)
