"""Whether the probabilities are finite, add up to one, and differ from text to text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ftkit import formatting
from ftkit.contracts import TASKS, Contender, Task, Verdict
from ftkit.evaluation import answer_rules, decisions, option_checks, verdicts
from ftkit.evaluation.contenders import labels_of
from ftkit.formatting import percent

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class NotDegenerate:
    """Passes when probabilities are finite and add up to one, and no class is answered always or never.

    Where rows have several labels, each probability is from 0 to 1, and not all rows may get the same labels.
    """

    name: ClassVar[str] = "not-degenerate"
    tasks: ClassVar[tuple[Task, ...]] = TASKS
    tolerance: float = 1e-3
    """How far the probabilities of a row may be from adding up to one."""
    max_answer_share: float = 1.0
    """The greatest share of rows that may get the same answer; one answer for all rows always fails."""
    min_support: int = 5
    """A class must be answered at least once when the test split has this many rows of it."""

    def __post_init__(self) -> None:
        option_checks.in_range("tolerance", self.tolerance, 0, 1)
        option_checks.in_range("max_answer_share", self.max_answer_share, 0, 1)
        option_checks.at_least("min_support", self.min_support, 1)

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Look at the candidate's probabilities alone."""
        import numpy as np

        probabilities, task = np.asarray(candidate.probabilities, dtype=np.float64), candidate.data.task
        several_labels = task == "multi-label"
        classes, labels, texts = candidate.data.classes, labels_of(candidate), candidate.data.test.texts
        if not len(labels):
            return Verdict(self.name, "failed", "the test split has no rows")
        finite = np.asarray(np.isfinite(probabilities).all(axis=1))
        known = np.where(finite[:, None], probabilities, 0.0)
        valid = ((known >= -self.tolerance) & (known <= 1 + self.tolerance)).all(axis=1)
        if not several_labels:
            valid &= abs(known.sum(axis=1) - 1) <= self.tolerance
        uneven = finite & ~valid
        demand = "are from 0 to 1" if several_labels else "add up to one"
        answered = answer_rules.decide(probabilities[finite], classes, task, candidate.rule).answers  # (rows, classes)
        answers = answered.sum(axis=0)
        support = labels.sum(axis=0) if several_labels else np.bincount(labels, minlength=len(classes))
        faults = []
        if not finite.all():
            first = int(np.flatnonzero(~finite)[0])
            faults.append(
                f"{_rows(~finite)} with probabilities that are not finite numbers, the first is row {first + 1} "
                f"{formatting.quoted(texts[first])}"
            )
        if uneven.any():
            first = int(np.flatnonzero(uneven)[0])
            worst = probabilities[first]
            value = worst[abs(worst - 0.5).argmax()] if several_labels else worst.sum()
            faults.append(
                f"{_rows(uneven)} with probabilities that do not {demand.replace('are', 'lie')}, "
                f"the first is row {first + 1} with {value:.4g}"
            )
        total = len(answered)
        sets, rows_of_set = np.unique(answered, axis=0, return_counts=True)
        share = float(rows_of_set.max()) / total if total else 0.0
        most = formatting.printable(decisions.named(sets[rows_of_set.argmax()], classes)) if total else ""
        # Rows of a single class may all get the same answer, and so may a single row.
        several = len(np.unique(labels, axis=0)) > 1
        if total > 1 and share == 1 and several:
            faults.append(f"every row is answered {most!r}")
        else:
            if share > self.max_answer_share + verdicts.ROUNDING and several:
                faults.append(f"{percent(share)} of the rows are answered {most!r}")
            never = [
                name
                for name, count, rows in zip(classes, answers, support, strict=True)
                if not count and rows >= self.min_support
            ]
            if never and total and several:
                faults.append(f"never answered: {formatting.listing(never)}")
        if total > 1 and (probabilities[finite] == probabilities[finite][0]).all() and len(set(texts)) > 1:
            faults.append("all rows have the same probabilities")
        numbers = {f"answered {name}": float(count) for name, count in zip(classes, answers, strict=True)}
        numbers |= {"not_finite": float((~finite).sum()), "not_one": float(uneven.sum()), "top_share": share}
        counts = formatting.listing(f"{name} {count:,}" for name, count in zip(classes, answers, strict=True))
        sentence = "; ".join(faults) or f"finite probabilities that {demand}; answers: {counts}"
        return Verdict(self.name, verdicts.status(not faults), sentence, verdicts.finite_numbers(numbers))


def _rows(mask: np.ndarray) -> str:
    return formatting.count(int(mask.sum()), "row")
