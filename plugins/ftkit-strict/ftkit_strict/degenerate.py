"""Whether the probabilities are finite, add up to one, and differ from text to text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ftkit import formatting
from ftkit.contracts import Contender, Verdict
from ftkit.evaluation import option_checks, verdicts
from ftkit.evaluation.contenders import labels_of
from ftkit.formatting import percent

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class NotDegenerate:
    """Passes when probabilities are finite and add up to one, and no class is answered always or never."""

    name: ClassVar[str] = "not-degenerate"
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

        probabilities = np.asarray(candidate.probabilities, dtype=np.float64)
        classes, labels, texts = candidate.data.classes, labels_of(candidate), candidate.data.test.texts
        if not len(labels):
            return Verdict(self.name, "failed", "the test split has no rows")
        finite = np.asarray(np.isfinite(probabilities).all(axis=1))
        known = np.where(finite[:, None], probabilities, 0.0)
        sums_to_one = (abs(known.sum(axis=1) - 1) <= self.tolerance) & (known >= -self.tolerance).all(axis=1)
        uneven = finite & ~sums_to_one
        answers = np.bincount(probabilities[finite].argmax(axis=1), minlength=len(classes))
        support = np.bincount(labels, minlength=len(classes))
        faults = []
        if not finite.all():
            first = int(np.flatnonzero(~finite)[0])
            faults.append(
                f"{_rows(~finite)} with probabilities that are not finite numbers, the first is row {first + 1} "
                f"{formatting.quoted(texts[first])}"
            )
        if uneven.any():
            first = int(np.flatnonzero(uneven)[0])
            faults.append(
                f"{_rows(uneven)} with probabilities that do not add up to one, the first is row {first + 1} "
                f"with {probabilities[first].sum():.4g}"
            )
        most, total = int(answers.argmax()), int(answers.sum())
        share = answers[most] / total if total else 0.0
        # Rows of a single class may all get the same answer, and so may a single row.
        several = int((support > 0).sum()) > 1
        if total > 1 and share == 1 and several:
            faults.append(f"every row is answered {formatting.printable(classes[most])!r}")
        else:
            if share > self.max_answer_share + verdicts.ROUNDING and several:
                faults.append(f"{percent(share)} of the rows are answered {formatting.printable(classes[most])!r}")
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
        sentence = "; ".join(faults) or f"finite probabilities that add up to one; answers: {counts}"
        return Verdict(self.name, verdicts.status(not faults), sentence, verdicts.finite_numbers(numbers))


def _rows(mask: np.ndarray) -> str:
    return formatting.count(int(mask.sum()), "row")
