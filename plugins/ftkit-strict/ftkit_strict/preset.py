"""The tests that a model should pass before anybody relies on it, with one section of the recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

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


@dataclass(frozen=True, kw_only=True)
class Strict:
    """Brings the tests that a model should pass before anybody relies on it, with limits a sound model meets.

    The order is that of the questions, and the cheap ones come first. Are there answers at all (`not-degenerate`)? Is the measure
    sound: no test row known from training (`leakage`), no label plainly wrong (`label-noise`, which only warns)? Is the
    candidate at least as good as the champion, and where do they differ (`no-worse-than-champion`, `agreement`)? Does its
    certainty mean what it says (`calibration`)? Is no part of the rows sacrificed for the average (`slices`)? Do answers
    stay when nothing that matters has changed (`invariance`), and move when it has (`direction`, for the classes
    positive and negative)? Are the cases nobody would accept to see wrong right (`examples`, when a table is given)? And does
    what will be deployed do as well as what was judged: does a server of the bundle bear anything (`odd-input`), give the same
    answers by each of its engines (`served-parity`), fast and small enough (`budget`), and load on another machine (`reload`)?

    The fast set has them all and tries less: each change of `invariance` and `direction` on 50 rows in place of 200, odd
    texts of 20,000 characters in place of 200,000, and 60 requests of `budget` in place of 200. A test that the recipe names
    itself counts in place of the preset's.
    """

    name: ClassVar[str] = "strict"
    depth: Literal["fast", "full"] = "full"
    """How much to try: `fast` asks the model about fewer texts."""
    metric: Metric | None = None
    """The metric of `no-worse-than-champion` and `slices`; the one of the search when left out."""
    margin: float | None = None
    """How much worse than the champion is still no worse; 0.02 when left out, which takes a thousand test rows to show."""
    floor: float | None = 0.5
    """The worst value of any part of the rows: the least one, or the greatest one for log_loss."""
    columns: tuple[str, ...] | None = None
    """Columns whose values make parts for `slices`; all with few values when left out, () for none."""
    examples: Path | None = None
    """A csv or jsonl file with columns text and label that must be answered as it says; brings `examples`."""
    without: tuple[str, ...] = ()
    """Tests to leave out, such as `direction` where positive and negative are no praise and blame."""

    def __post_init__(self) -> None:
        known = [each.name for each in self._all()]
        for name in self.without:
            if name not in known:
                raise ValueError(f"without names {name!r}, which is none of the tests: {', '.join(known)}")
        if not self.tests():
            raise ValueError("without leaves no test")

    def tests(self) -> Sequence[PromotionTest]:
        """The tests of the set, in order."""
        return [each for each in self._all() if each.name not in self.without]

    def _all(self) -> list[PromotionTest]:
        fast = self.depth == "fast"
        rows = 50 if fast else 200
        found: list[PromotionTest] = [
            NotDegenerate(),
            Leakage(),
            LabelNoise(),
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
                found.append(Examples(path=self.examples))
            except ValueError as error:
                raise ValueError(f"examples: {error}") from error
        return found
