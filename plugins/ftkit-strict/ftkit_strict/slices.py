"""Whether a good average hides a part of the rows on which the model is bad."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from ftkit import formatting
from ftkit.contracts import TASKS, Contender, Data, Task, Verdict
from ftkit.contracts.settings import Metric
from ftkit.data.class_names import shown_name
from ftkit.evaluation import charts, metrics, option_checks, paired_comparison, verdicts
from ftkit.evaluation.contenders import Matched, classes_without_rows, defect, labels_of, metric_probabilities
from ftkit.evaluation.slices import Group, check_columns, groups, measured_by, metric_inputs
from ftkit.formatting import listing, rounded

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

SHOWN_FAULTS = 4
"""Parts with faults that the sentence names."""
CHART_PARTS = 40
"""Parts that the chart shows."""


@dataclass(frozen=True)
class Slice:
    """One part of the rows, measured."""

    title: str
    rows: int
    metric: str
    value: float
    low: float
    high: float
    judged: bool
    """Whether it has a value, and rows enough."""
    champion: float = math.nan
    difference: float = math.nan
    """How much better than the champion; negative when worse."""
    chance: float = math.nan
    """Probability that the champion leads by this much although it is no better, corrected for the number of slices."""
    below: bool = False
    """Whether it falls below the floor."""
    worse: bool = False
    """Whether it is significantly worse than with the champion."""


@dataclass(frozen=True, kw_only=True)
class Slices:
    """Passes when no part of the test rows falls below a floor or is significantly worse than with the champion.

    Parts are the rows of each class, bands of text length, and the rows with each value of a further column. The rows of one
    class are measured by their recall; by the area under the curve of that class against the rest when the metric is roc_auc, and
    by their loss when it is log_loss. Where rows have several labels, each label is measured by the decisions on it in all rows, such
    as by its own F1. Among many parts some are worse by chance alone, so the probabilities of the comparison
    with the champion are corrected by Holm's method. Rows of a class that the champion does not know are measured without it.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure"; Efron and Tibshirani 1993, "An Introduction
    to the Bootstrap", chapters 13 and 16.
    """

    name: ClassVar[str] = "slices"
    tasks: ClassVar[tuple[Task, ...]] = TASKS
    metric: Metric | None = None
    """The metric to judge by; the one of the search when left out."""
    floor: float | None = None
    """The worst value a part may have: the least one, or the greatest one for log_loss and mae; no limit when left out."""
    margin: float = 0.0
    """A part may be worse than with the champion by this much, in the metric's own unit."""
    classes: bool = True
    """Whether to look at the rows of each class."""
    lengths: int = 4
    """Number of bands of text length, in words, with about equally many rows; 0 for none."""
    columns: tuple[str, ...] | None = None
    """Further columns whose values make parts; all with at most `max_values` values when left out, () for none."""
    max_values: int = 12
    """The most values of a column that is used without being named."""
    min_support: int = 30
    """Parts with fewer rows are shown but not judged; for roc_auc, those with fewer rows outside their largest class."""
    alpha: float = 0.05
    """Probability that a part counts as worse than with the champion although none is."""
    resamples: int = 1000
    """How often to resample the rows of a part; where many parts need finer probabilities, more often."""

    def __post_init__(self) -> None:
        if self.floor is not None and not math.isfinite(self.floor):
            raise ValueError("floor must be a finite number")
        option_checks.in_range("margin", self.margin, 0)
        option_checks.at_least("lengths", self.lengths, 0)
        option_checks.at_least("max_values", self.max_values, 1)
        option_checks.at_least("min_support", self.min_support, 1)
        option_checks.between_zero_and_one("alpha", self.alpha)
        option_checks.at_least("resamples", self.resamples, 200)
        if not self.classes and not self.lengths and self.columns == ():
            raise ValueError("classes, lengths and columns are all off: no part is left to look at")

    def foresee(self, data: Data) -> None:
        """Look for the columns. Raises: DataError for a named column that the data set does not have."""
        check_columns(self.columns or (), data.train.columns, f"{self.name}.columns")

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Measure every part. Raises: DataError as `foresee` does."""
        check_columns(self.columns or (), candidate.data.test.columns, f"{self.name}.columns")
        metric = self.metric or candidate.metric
        parts = groups(candidate.data, self.classes, self.lengths, self.columns, self.max_values)
        if defect(candidate):
            return verdicts.metric_undefined(self.name, metric, candidate)
        live = None if champion is None else verdicts.comparable(self.name, candidate, champion)
        if isinstance(live, Verdict):
            return live
        if live is not None and defect(live.champion):
            live = None
        # The least probability that resampling can give is 1 / resamples, and Holm multiplies it by the number of parts.
        compared = sum(len(each.rows) >= self.min_support for each in parts) if live is not None else 0
        resamples = max(self.resamples, math.ceil(2 * compared / self.alpha))
        measured = self._corrected([self._measure(metric, each, candidate, live, resamples) for each in parts])
        judged = [each for each in measured if each.judged]
        numbers = _numbers(measured)
        chart = self._chart(metric, measured) if any(not math.isnan(each.value) for each in measured) else None
        unjudged = len(measured) - len(judged)
        aside = f"; {unjudged} more shown but not judged" if unjudged else ""
        aside += self._untested(candidate.data) + (live.note if live is not None else "")
        if not judged:
            where = " outside its most frequent class" if metric == "roc_auc" else ""
            needed = f"{self.min_support} rows{where} needed to judge it"
            sentence = (
                f"none of {formatting.count(len(measured), 'part')} has the {needed}{self._untested(candidate.data)}"
            )
            return Verdict(self.name, "not applicable", sentence, numbers, chart)
        worst = min(judged, key=lambda each: each.value * _sign(each.metric))
        described = f"worst of {formatting.count(len(judged), 'part')} is {_described(worst)}{aside}"
        if self.floor is None and live is None:
            sentence = f"there is no floor and no champion to compare with; {described}"
            return Verdict(self.name, "not applicable", sentence, numbers, chart)
        faults = [
            f"{_described(each)} is {'below' if _sign(each.metric) > 0 else 'above'} the floor of {rounded(self.floor or 0)}"
            for each in judged
            if each.below
        ]
        faults += [
            f"{_described(each)} is worse than {rounded(each.champion)} of {live.champion.title} (Holm-corrected p = {each.chance:.2g})"
            for each in judged
            if each.worse and live is not None
        ]
        if faults:
            more = f"; and {len(faults) - SHOWN_FAULTS} more" if len(faults) > SHOWN_FAULTS else ""
            return Verdict(self.name, "failed", "; ".join(faults[:SHOWN_FAULTS]) + more + aside, numbers, chart)
        met = [f"all reach the floor of {rounded(self.floor)}"] if self.floor is not None else []
        met += [f"none significantly worse than with {live.champion.title}"] if live is not None else []
        return Verdict(self.name, "passed", f"{described}: {', '.join(met)}", numbers, chart)

    def _untested(self, data: Data) -> str:
        """The classes without a test row, to be put at the end of a sentence."""
        names = classes_without_rows(data) if self.classes else []
        return f"; no test row of {listing(map(shown_name, names), 10)}" if names else ""

    def _measure(self, metric: str, group: Group, candidate: Contender, live: Matched | None, resamples: int) -> Slice:
        given = metric_probabilities(metric, candidate)
        probabilities, labels, used = metric_inputs(metric, group, given, labels_of(candidate))
        rows = len(group.rows)
        value = metrics.score(used, probabilities, labels)
        if math.isnan(value):
            return Slice(group.title, rows, used, value, math.nan, math.nan, judged=False)
        judged = self._supported(used, labels, rows)
        below = self.floor is not None and judged and metrics.better(used, self.floor, value)
        low, high = metrics.interval(used, probabilities, labels, seed=candidate.seed, resamples=resamples)
        measured = Slice(group.title, rows, used, value, low, high, judged, below=below)
        return measured if live is None else self._compared(measured, metric, group, live, resamples)

    def _compared(self, part: Slice, metric: str, group: Group, live: Matched, resamples: int) -> Slice:
        """The slice with the champion's value, where enough of its rows are of classes that both know."""
        import numpy as np

        group = replace(group, rows=np.flatnonzero(np.isin(live.rows, group.rows)))
        if not len(group.rows):
            return part
        all_labels = labels_of(live.candidate)
        own, labels, used = metric_inputs(metric, group, metric_probabilities(metric, live.candidate), all_labels)
        other, _, _ = metric_inputs(metric, group, metric_probabilities(metric, live.champion), all_labels)
        classes: Sequence[int] | None = live.classes
        if labels.ndim == 2 and group.label is not None:
            if group.label not in live.classes:
                return part
            classes = None  # its own column is the only one
        value = metrics.score(used, other, labels, classes)
        if math.isnan(value) or not self._supported(used, labels, len(group.rows)):
            return replace(part, champion=value)
        pair = paired_comparison.compare(
            used, own, other, labels, seed=live.candidate.seed, resamples=resamples, classes=classes
        )
        reached = (pair.favourable >= -self.margin - verdicts.ROUNDING).sum()
        chance = (float(reached) + 1) / (resamples + 1)
        return replace(part, champion=value, difference=pair.difference, chance=chance)

    def _supported(self, used: str, labels: np.ndarray, rows: int) -> bool:
        import numpy as np

        # How sure a ranking of one class above the others is depends on the smaller of the two sides.
        return (len(labels) - int(np.bincount(labels).max()) if used == "roc_auc" else rows) >= self.min_support

    def _corrected(self, slices: Sequence[Slice]) -> list[Slice]:
        """The slices with probabilities corrected for their number, those that are significantly worse marked."""
        compared = [index for index, each in enumerate(slices) if each.judged and not math.isnan(each.chance)]
        corrected = list(slices)
        chances = holm([slices[index].chance for index in compared])
        for index, chance in zip(compared, chances, strict=True):
            corrected[index] = replace(slices[index], chance=chance, worse=chance <= self.alpha)
        return corrected

    def _chart(self, metric: str, slices: Sequence[Slice]) -> str:
        """A forest plot: value and interval of each part, the champion's value beside it."""
        shown = [each for each in slices if not math.isnan(each.value)][:CHART_PARTS]

        def draw(axes: Axes) -> None:
            for place, each in enumerate(shown):
                colour = charts.BAD if each.below or each.worse else charts.CALM
                faint = 1.0 if each.judged else 0.4
                axes.plot([each.low, each.high], [place, place], color=colour, alpha=faint, linewidth=2)
                axes.plot(each.value, place, "X" if each.below or each.worse else "o", color=colour, alpha=faint)
                if not math.isnan(each.champion):
                    axes.plot(each.champion, place, "|", color=charts.INK, markersize=12, markeredgewidth=1.5)
            if self.floor is not None:
                axes.axvline(self.floor, color=charts.INK, linestyle="--", linewidth=1)
            axes.set_yticks(range(len(shown)), [f"{each.title[:32]} ({each.rows:,})" for each in shown])
            axes.set_ylim(len(shown) - 0.5, -0.5)
            axes.set_xlabel(f"{metrics.TITLES[metric]} (faint: too few rows to judge; tick: the champion)")

        return charts.svg(f"{metrics.TITLES[metric]} by part of the rows", draw, (6.4, 1.1 + 0.28 * max(len(shown), 1)))


def holm(chances: Sequence[float]) -> list[float]:
    """Probabilities corrected for their number, by Holm's step-down method; none gets smaller, none exceeds 1."""
    order = sorted(range(len(chances)), key=chances.__getitem__)
    result = [1.0] * len(chances)
    highest = 0.0
    for place, index in enumerate(order):
        highest = max(highest, min(1.0, chances[index] * (len(chances) - place)))
        result[index] = highest
    return result


def _sign(metric: str) -> int:
    return 1 if metrics.GREATER_IS_BETTER[metric] else -1


def _described(part: Slice) -> str:
    measure = measured_by(part.title, part.metric)
    interval = f"95 % interval {rounded(part.low)} to {rounded(part.high)}"
    return f"{part.title} with {measure} {rounded(part.value)} ({interval}, {formatting.count(part.rows, 'row')})"


def _numbers(slices: Sequence[Slice]) -> dict[str, float]:
    numbers: dict[str, float] = {"judged": sum(each.judged for each in slices)}
    for each in slices:
        fields = {"rows": each.rows, "value": each.value, "low": each.low, "high": each.high, "champion": each.champion}
        fields |= {"difference": each.difference, "p": each.chance}
        numbers |= {f"{each.title}: {name}": float(value) for name, value in fields.items()}
    return verdicts.finite_numbers(numbers)
