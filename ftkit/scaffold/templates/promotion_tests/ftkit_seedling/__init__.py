"""A promotion test for ftkit: every class must reach a recall."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from ftkit import hookimpl
from ftkit.contracts import Contender, Data, Verdict
from ftkit.errors import DataError
from ftkit.evaluation import charts

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True)
class Seedling:
    """Passes when every class reaches a recall, or a precision."""

    name: ClassVar[str] = "seedling"
    floor: float = 0.5
    """The least value that every class must reach."""
    floors: Mapping[str, float] = field(default_factory=dict)
    """Other values for some classes, by name."""
    measure: Literal["recall", "precision"] = "recall"
    """What is measured: the share of a class's rows that get it, or the share of right answers among those that name it."""
    classes: tuple[str, ...] = ()
    """The classes to judge; by default all."""
    min_rows: int = 1
    """Classes with fewer rows are not judged."""
    column: str = ""
    """A column of the data set, of whose values each is judged for itself; by default all rows together."""
    required: bool = True
    """Whether a model fails that does not reach it; else the verdict only says so."""

    def __post_init__(self) -> None:
        if not all(0 <= floor <= 1 for floor in (self.floor, *self.floors.values())):
            raise ValueError("floor and floors must be from 0 to 1")
        if self.min_rows < 1:
            raise ValueError("min_rows must be at least 1")

    def foresee(self, data: Data) -> None:
        """Refuse what cannot be judged before anything is trained."""
        if self.column and self.column not in data.train.columns:
            hint = f"Keep it in the data set; the columns are: {', '.join(data.train.columns) or 'none'}."
            raise DataError(f"the data have no column {self.column!r}", where=self.name, hint=hint)
        if unknown := {*self.classes, *self.floors} - {*data.classes}:
            hint = f"The classes are: {', '.join(data.classes)}."
            raise DataError(f"the data have no class {min(unknown)!r}", where=self.name, hint=hint)

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Judge the class that is farthest below its floor, or least above."""
        values = self._values(candidate)
        if not values:
            return Verdict(self.name, "not applicable", f"no class has {self.min_rows:,} rows to judge")
        margins = {name: value - self._floor(name) for name, value in values.items()}
        worst = min(margins, key=margins.__getitem__)
        low = margins[worst] < 0
        sentence = f"lowest {self.measure} {values[worst]:.4f}, of {worst!r}, whose floor is {self._floor(worst):.4f}"
        status: Literal["passed", "failed"] = "failed" if low and self.required else "passed"
        return Verdict(self.name, status, sentence, values, self._chart(values))

    def _floor(self, name: str) -> float:
        return self.floors.get(name.rpartition(": ")[2], self.floor)

    def _values(self, candidate: Contender) -> dict[str, float]:
        """The measure of each class, where there is a column of each class and value."""
        import numpy as np

        data = candidate.data
        labels, answers = np.asarray(data.test.labels), candidate.probabilities.argmax(axis=1)
        groups = np.asarray(data.test.columns[self.column] if self.column else [""] * len(labels)).astype(str)
        values = {}
        for group in np.unique(groups):
            for index, name in enumerate(data.classes):
                of_class = (labels if self.measure == "recall" else answers) == index
                rows = of_class & (groups == group)
                if rows.sum() >= self.min_rows and (not self.classes or name in self.classes):
                    title = f"{self.column} {group}: {name}" if self.column else name
                    values[title] = float((labels == answers)[rows].mean())
        return values

    def _chart(self, values: Mapping[str, float]) -> str:
        """The values as bars, with their floors."""

        def draw(axes: Axes) -> None:
            names = [*values]
            axes.barh(names, [*values.values()], color=charts.CALM)
            axes.plot([self._floor(name) for name in names], names, "|", color=charts.BAD, markersize=18)
            axes.set_xlim(0, 1)
            axes.set_xlabel(self.measure)

        return charts.svg(f"{self.measure} by class", draw, (6.0, 1.0 + 0.3 * len(values)))


@hookimpl
def promotion_tests() -> list[type[Seedling]]:
    """The promotion tests of this plugin."""
    return [Seedling]
