"""The tests that a model should pass before anybody relies on it, with one section of the recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from ftkit_linear.baseline import BeatsBaseline

from ftkit.contracts import PromotionTest
from ftkit.contracts.settings import Metric
from ftkit_strict.agreement import Agreement
from ftkit_strict.budget import Budget
from ftkit_strict.calibration import Calibration
from ftkit_strict.champion import NoWorseThanChampion
from ftkit_strict.degenerate import NotDegenerate
from ftkit_strict.direction import Direction
from ftkit_strict.examples import Examples
from ftkit_strict.invariance import Invariance
from ftkit_strict.label_noise import LabelNoise
from ftkit_strict.leakage import Leakage
from ftkit_strict.odd_input import OddInput
from ftkit_strict.reload import Reload
from ftkit_strict.served_parity import ServedParity
from ftkit_strict.slices import Slices
from ftkit_strict.split_leakage import SplitLeakage


@dataclass(frozen=True, kw_only=True)
class Strict:
    """Brings the tests that a model should pass before anybody relies on it, with limits that a sound model meets.

    Each test answers a question, and the cheap ones come first. Are the probabilities valid (`not-degenerate`)? Are the test rows
    fit to measure with: none of them seen in training (`leakage`), none of a group or time of training (`split-leakage`), no label
    clearly wrong (`label-noise`, which only warns)? Is the candidate better than a linear model that is fitted in seconds
    (`beats-baseline`)? Is it no worse than the champion, and where do they differ (`no-worse-than-champion`, `agreement`)? Can its
    probabilities be believed (`calibration`)? Does the average hide a bad part of the rows (`slices`)? Do answers stay when a text
    changes but not its meaning (`invariance`), and move when the meaning changes (`direction`, for the classes positive and
    negative)? Are the texts right that must never be wrong (`examples`, when a table is given)? Does a server of the bundle cope
    with any text (`odd-input`), give the same answers with each of its engines (`served-parity`), fast and small enough (`budget`),
    and does the bundle load on another machine (`reload`)?

    The fast set has the same tests and tries less: each change of `invariance` and `direction` on 50 rows instead of 200, odd
    texts of 20,000 characters instead of 200,000, and 60 requests of `budget` instead of 200. A test that the recipe itself
    names replaces the preset's test of that name. All tests know texts of one label, of several, and of ordered classes.
    """

    name: ClassVar[str] = "strict"
    depth: Literal["fast", "full"] = "full"
    """How much to try: `fast` sends the model fewer texts."""
    metric: Metric | None = None
    """The metric of `beats-baseline`, `no-worse-than-champion` and `slices`; the one of the search when left out."""
    margin: float | None = None
    """How much worse than the champion is still no worse; 0.02 when left out, which takes a thousand test rows to show."""
    floor: float | None = 0.5
    """The worst value of any part of the rows: the least one, or the greatest one for log_loss and mae."""
    columns: tuple[str, ...] | None = None
    """Columns whose values make parts for `slices`; all with few values when left out, () for none."""
    examples: Path | None = None
    """A csv or jsonl file with columns text and label that must be answered as it says; brings `examples`."""
    without: tuple[str, ...] = ()
    """Tests to leave out, such as `direction` where the classes positive and negative do not mean praise and blame."""

    def __post_init__(self) -> None:
        known = [test.name for test in self._all()]
        for name in self.without:
            if name not in known:
                raise ValueError(f"without names {name!r}, which is none of the tests: {', '.join(known)}")
        if not self.tests():
            raise ValueError("without leaves no test")

    def tests(self) -> Sequence[PromotionTest]:
        """The tests of the set, in order."""
        return [test for test in self._all() if test.name not in self.without]

    def _all(self) -> list[PromotionTest]:
        fast = self.depth == "fast"
        rows = 50 if fast else 200
        tests: list[PromotionTest] = [
            NotDegenerate(),
            Leakage(),
            SplitLeakage(),
            LabelNoise(),
            BeatsBaseline(metric=self.metric),
            NoWorseThanChampion(metric=self.metric, margin=self.margin),
            Agreement(),
            Calibration(),
            Slices(metric=self.metric, floor=self.floor, columns=self.columns),
            Invariance(rows=rows),
            Direction(rows=rows),
            OddInput(long=20_000 if fast else 200_000),
            ServedParity(),
            Budget(requests=60 if fast else 200),
            Reload(),
        ]
        if self.examples is not None:
            try:
                tests.append(Examples(path=self.examples))
            except ValueError as error:
                raise ValueError(f"examples: {error}") from error
        return tests
