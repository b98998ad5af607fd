"""Whether test rows share a group or a time with training rows, where the recipe says what must be kept apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ftkit.contracts import TASKS, Contender, Task, Verdict
from ftkit.evaluation import option_checks, verdicts
from ftkit.formatting import listing, percent

_SHARED: Mapping[str, str] = {
    "group": "have a {column} that training rows have too",
    "time": "are older by {column} than the newest training rows",
}


@dataclass(frozen=True, kw_only=True)
class SplitLeakage:
    """Passes when hardly any test row is of a group that training knows, or of a time before the end of training.

    The options `group` and `time` of the data set name the columns. Files that came split may break what they ask for; splits that
    ftkit made do not. Of training rows, the newest hundredth does not count: a few wrong dates are no leak.

    Source: Kapoor and Narayanan 2023, "Leakage and the reproducibility crisis in machine-learning-based science".
    """

    name: ClassVar[str] = "split-leakage"
    tasks: ClassVar[tuple[Task, ...]] = TASKS
    max_share: float = 0.01
    """The greatest share of test rows that may share a group or a time with training."""

    def __post_init__(self) -> None:
        option_checks.in_range("max_share", self.max_share, 0, 1)

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Judge the shares that were measured when the rows were split."""
        shares = {
            (option, column): share
            for option, columns in candidate.data.report.shared.items()
            for column, share in columns.items()
        }
        if not shares:
            sentence = "the recipe names no column whose values are to be kept apart, by group or time"
            return Verdict(self.name, "not applicable", sentence)
        parts = [
            f"{percent(share)} of the test rows {_SHARED.get(option, 'share {column} with training').format(column=repr(column))}"
            for (option, column), share in shares.items()
        ]
        numbers = {f"{option} {column}": share for (option, column), share in shares.items()}
        met = max(shares.values()) <= self.max_share + verdicts.ROUNDING
        sentence = f"{listing(parts, 4)}; at most {percent(self.max_share)} is allowed"
        return Verdict(
            self.name,
            verdicts.status(met),
            sentence,
            verdicts.finite_numbers(numbers | {"max_share": self.max_share}),
        )
