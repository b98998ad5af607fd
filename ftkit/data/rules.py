"""The options that all data sets share: how classes are named, and how rows are split."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ftkit import pairs
from ftkit.contracts import SPLITS, TASKS, Task

NearCopies = Literal["together", "ignored"]
"""How texts that share most of their wording are split: each group of them into one split, or each text by chance."""

SHARES = (0.8, 0.1, 0.1)
"""Default shares of train, valid and test."""

Unlisted = Literal["fail", "drop", "keep"]
"""What to do with rows whose label is not listed, where labels or classes are: refuse, leave out, or keep the label."""


AUTO = "auto"
"""In place of a separator: the one that the labels show."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How to name classes and how to split; data sets offer options with the same names."""

    seed: int
    shares: Sequence[float] = SHARES
    """Shares of train, valid and test."""
    rows: int | None = None
    """Keep a sample of about this many rows, each class in proportion; None keeps all."""
    min_rows: int = 0
    """Leave out classes with fewer rows."""
    near_copies: NearCopies = "together"
    """Whether texts that share most of their wording stay in one split."""
    group: str = ""
    """A column of `Rows.others`: rows with the same value stay in one split."""
    time: str = ""
    """A column of `Rows.others` with dates or numbers: the newest rows are the test rows, and the next the validation rows."""
    task: Task = "single-label"
    """What is asked of a text."""
    order: Sequence[str] | str = ()
    """The classes of the task `ordinal`, the lowest first; a text is the name of a column, as in `time`."""
    fields: Sequence[str] = pairs.TEXT
    """The names of the texts of a row; where they are two, the texts are pairs of `ftkit.pairs`."""
    separator: str = AUTO
    """What stands between several labels in one text; empty where only lists are several labels."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels and the names of their classes."""
    unlisted: Unlisted = "fail"
    """What to do with rows whose label is not listed, where labels or classes are."""
    without: Sequence[str] = ()
    """Labels whose rows are left out."""

    def __post_init__(self) -> None:
        if len(self.shares) != len(SPLITS) or not all(share > 0 for share in self.shares):
            raise ValueError(
                f"shares must be three numbers above 0, for train, valid and test, not {list(self.shares)}"
            )
        if not math.isclose(sum(self.shares), 1, abs_tol=1e-6):
            raise ValueError(f"shares must add up to 1, not {sum(self.shares):g}")
        if self.rows is not None and self.rows < 2 * len(SPLITS):
            raise ValueError(f"rows must be at least {2 * len(SPLITS)}: two classes in three splits")
        if isinstance(self.order, str):
            if self.order and self.time:
                raise ValueError("order = COLUMN is the older form of time: leave it out")
            object.__setattr__(self, "time", self.time or self.order)
            object.__setattr__(self, "order", ())
        if self.group and self.time:
            raise ValueError("give group or time, not both: a group may have rows of all times")
        self._check_task()
        if self.min_rows < 0:
            raise ValueError("min_rows must not be negative")
        if unnamed := [label for label, name in self.labels.items() if not name.strip()]:
            raise ValueError(
                f"labels maps {unnamed[0]!r} to no name: to leave out its rows, set without = [{unnamed[0]!r}]"
            )

    def _check_task(self) -> None:
        if self.task not in TASKS:
            raise ValueError(f"task must be one of {', '.join(TASKS)}, not {self.task!r}")
        if self.order and self.task != "ordinal":
            raise ValueError('order lists classes from the lowest to the highest: it needs task = "ordinal"')
        if twice := [name for name in self.order if list(self.order).count(name) > 1]:
            raise ValueError(f"order has the class {twice[0]!r} twice")
        if self.separator not in (AUTO, "") and self.task != "multi-label":
            raise ValueError('separator stands between several labels: it needs task = "multi-label"')
