"""Whether the answers are answers at all: finite, adding up to one, and not the same whatever is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ftkit import formatting
from ftkit.contracts import Contender, Verdict
from ftkit.formatting import percent
from ftkit_strict import scoring


@dataclass(frozen=True, kw_only=True)
class NotDegenerate:
    """Passes when probabilities are finite and add up to one, and no class is given always or never."""

    name: ClassVar[str] = "not-degenerate"
    tolerance: float = 1e-3
    """How far the probabilities of a row may be from adding up to one."""
    max_answer_share: float = 1.0
    """The greatest share of rows that may get one and the same answer; always the same one is refused in any case."""
    min_support: int = 5
    """A class must be answered at least once when the test split has this many rows of it."""

    def __post_init__(self) -> None:
        scoring.in_range("tolerance", self.tolerance, 0, 1)
        scoring.in_range("max_answer_share", self.max_answer_share, 0, 1)
        scoring.at_least("min_support", self.min_support, 1)

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Look at the candidate's probabilities alone."""
        import numpy as np

        found = np.asarray(candidate.probabilities, dtype=np.float64)
        classes, labels = candidate.data.classes, scoring.labels_of(candidate)
        if not len(labels):
            return Verdict(self.name, "failed", "the test split has no rows")
        sound = np.asarray(np.isfinite(found).all(axis=1))
        known = np.where(sound[:, None], found, 0.0)
        tidy = (abs(known.sum(axis=1) - 1) <= self.tolerance) & (known >= -self.tolerance).all(axis=1)
        answers = np.bincount(found[sound].argmax(axis=1), minlength=len(classes))
        support = np.bincount(labels, minlength=len(classes))
        faults = []
        if not sound.all():
            first = int(np.flatnonzero(~sound)[0])
            text = formatting.quoted(candidate.data.test.texts[first])
            faults.append(f"{_rows(~sound)} with probabilities that are no numbers, the first row {first + 1} {text}")
        if (sound & ~tidy).any():
            first = int(np.flatnonzero(sound & ~tidy)[0])
            faults.append(
                f"{_rows(sound & ~tidy)} with probabilities that do not add up to one, the first row {first + 1} "
                f"with {found[first].sum():.4g}"
            )
        most, total = int(answers.argmax()), int(answers.sum())
        share = answers[most] / total if total else 0.0
        # One row has one answer, and rows of a single class deserve no other.
        several = int((support > 0).sum()) > 1
        if total > 1 and share == 1 and several:
            faults.append(f"every row is answered {formatting.printable(classes[most])!r}")
        else:
            if share > self.max_answer_share + 1e-12 and several:
                faults.append(f"{percent(share)} of the rows are answered {formatting.printable(classes[most])!r}")
            never = [
                name
                for name, said, rows in zip(classes, answers, support, strict=True)
                if not said and rows >= self.min_support
            ]
            if never and total and several:
                faults.append(f"never answered: {formatting.listing(never)}")
        if total > 1 and (found[sound] == found[sound][0]).all() and len(set(candidate.data.test.texts)) > 1:
            faults.append("all rows have the same probabilities")
        numbers = {f"answered {name}": float(said) for name, said in zip(classes, answers, strict=True)}
        numbers |= {"not_finite": float((~sound).sum()), "not_one": float((sound & ~tidy).sum()), "top_share": share}
        shown = formatting.listing([f"{name} {said:,}" for name, said in zip(classes, answers, strict=True)])
        said = "; ".join(faults) if faults else f"finite probabilities that add up to one; answers: {shown}"
        return Verdict(self.name, scoring.status(not faults), said, scoring.finite(numbers))


def _rows(where: object) -> str:
    import numpy as np

    return formatting.count(int(np.sum(np.asarray(where))), "row")
