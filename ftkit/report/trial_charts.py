"""The report's charts of trials and of time: values and metric, learning curves, durations."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftkit import formatting
from ftkit.contracts import Trial
from ftkit.evaluation import charts, metrics
from ftkit.formatting import beginning, printable
from ftkit.report.svg import CHART_WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINES = 300
"""Trials drawn as lines; of more trials, the best."""
BARS = 40
"""Durations drawn as bars; of more durations, the longest."""
AXES = 7
"""Searched fields drawn as parallel axes, beside the metric."""

ENDS = {"finished": "finished", "stopped": "stopped early", "failed": "failed"}
"""How a trial ended, in words, by its state."""


def parallel(trials: Sequence[Trial], metric: str, best: int | None) -> str | None:
    """Every trial as a line through its values to its metric; None when there is nothing to compare."""
    scored = [trial for trial in trials if _is_number(trial.metrics.get(metric))]
    fields = dict.fromkeys(name for trial in scored for name in trial.values)
    names = [name for name in fields if len({repr(trial.values.get(name)) for trial in scored}) > 1][:AXES]
    if len(scored) < 2 or not names:
        return None
    scored = sorted(scored, key=lambda trial: trial.metrics[metric] * _sign(metric))[-LINES:]
    scales = [_Scale([trial.values.get(name) for trial in scored]) for name in names]
    scales.append(_Scale([trial.metrics[metric] for trial in scored], spread=False))

    def heights(trial: Trial) -> list[float]:
        values = [*(trial.values.get(name) for name in names), trial.metrics[metric]]
        return [scale.position(value) for scale, value in zip(scales, values, strict=True)]

    def draw(axes: Axes) -> None:
        for rank, trial in enumerate(scored, 1):
            if trial.number != best:
                alpha = 0.3 + 0.5 * rank / len(scored)
                axes.plot(heights(trial), color=charts.CALM, linewidth=1.2, alpha=alpha)
        for trial in scored:
            if trial.number == best:  # last, so that it lies on top
                axes.plot(heights(trial), color=charts.GOOD, linewidth=2.6, marker="o", label=f"trial {best}, selected")
                axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0))
        last = len(scales) - 1
        for column, scale in enumerate(scales):
            axes.axvline(column, color=charts.INK, linewidth=0.8)
            for height, label in scale.ticks():
                axes.annotate(
                    label,
                    (column, height),
                    xytext=(4 if column == last else -4, 0),
                    textcoords="offset points",
                    ha="left" if column == last else "right",
                    va="center",
                    fontsize=8,
                )
        axes.set_xlim(-0.12 * last, 1.12 * last)
        axes.set_ylim(-0.06, 1.06)
        titles = [beginning(printable(name), 18) for name in names] + [metrics.TITLES.get(metric, metric)]
        axes.set_xticks(range(len(scales)), titles)
        if len(scales) > 3:  # slanted, or they would run into each other
            axes.tick_params(axis="x", labelrotation=20)
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.tick_params(length=0)

    return charts.svg(f"Trials by their values and {metrics.TITLES.get(metric, metric)}", draw, (CHART_WIDTH, 3.2))


def curves(trials: Sequence[Trial], metric: str, best: int | None) -> str | None:
    """The metric of every trial by epoch; None when each trial was evaluated only once."""
    lines = []
    for trial in trials:
        points = [
            (float(point["epoch"]), float(point[metric]))
            for point in trial.history
            if _is_number(point.get(metric)) and _is_number(point.get("epoch"))
        ]
        if points:
            lines.append((trial, points))
    if not any(len(points) > 1 for _, points in lines):
        return None
    from matplotlib.ticker import MaxNLocator

    last = {trial.number: points[-1][1] * _sign(metric) for trial, points in lines}
    lines = sorted(lines, key=lambda line: (line[0].number == best, last[line[0].number]))[-LINES:]

    def draw(axes: Axes) -> None:
        labelled = set()
        for trial, points in lines:
            epochs, values = zip(*points, strict=True)
            if trial.number == best:
                axes.plot(epochs, values, color=charts.GOOD, linewidth=2.6, marker="o", label=f"trial {best}, selected")
                continue
            axes.plot(
                epochs,
                values,
                color=charts.BAD if trial.state == "failed" else charts.CALM,
                linewidth=1.2,
                alpha=0.6,
                linestyle="-" if trial.state == "finished" else "--",
                marker={"finished": ".", "stopped": "x", "failed": "X"}[trial.state],
                markevery=[-1],
                label=ENDS[trial.state] if trial.state not in labelled else None,
            )
            labelled.add(trial.state)
        axes.set_xlabel("epoch")
        axes.set_ylabel(f"{metrics.TITLES.get(metric, metric)}, validation rows")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(fontsize=8)

    return charts.svg(f"{metrics.TITLES.get(metric, metric)} by epoch", draw, (CHART_WIDTH, 3.2))


def bars(seconds: Mapping[str, float], title: str, highlighted: str = "") -> str | None:
    """Durations as bars, each with its time; None when there are none."""
    longest = sorted(seconds, key=lambda name: -seconds[name])[:BARS]
    shown = {name: value for name, value in seconds.items() if name in longest}
    if not shown:
        return None

    def draw(axes: Axes) -> None:
        for line, (name, value) in enumerate(shown.items()):
            axes.barh(line, value, height=0.62, color=charts.GOOD if name == highlighted else charts.CALM)
            axes.annotate(
                formatting.duration(value),
                (value, line),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
        axes.set_yticks(range(len(shown)), [beginning(printable(name), 24) for name in shown])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_xlim(0, (max(shown.values()) or 1.0) * 1.22)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)

    return charts.svg(title, draw, (CHART_WIDTH, 0.4 + 0.27 * len(shown)))


class _Scale:
    """Positions on one axis from 0 to 1: numbers by size, other values as categories."""

    def __init__(self, values: Sequence[Any], spread: bool = True) -> None:
        numbers = [float(value) for value in values if _is_number(value)]
        self.numeric = len(numbers) == len(values)
        if self.numeric:
            self.low, self.high = min(numbers), max(numbers)
            # Learning rates and the like differ by their order of magnitude.
            self.log = spread and self.low > 0 and self.high / self.low >= 8
            self.distinct = sorted(set(numbers))
        else:
            self.categories = sorted({_category(value) for value in values})

    def position(self, value: Any) -> float:
        """Where a value is on the axis."""
        if not self.numeric:
            last = len(self.categories) - 1
            return self.categories.index(_category(value)) / last if last else 0.5
        if self.high <= self.low:
            return 0.5
        if self.log:
            return math.log(float(value) / self.low) / math.log(self.high / self.low)
        return (float(value) - self.low) / (self.high - self.low)

    def ticks(self) -> list[tuple[float, str]]:
        """The labels of the axis with their positions: few enough that none covers another."""
        if not self.numeric:
            step = max(1, math.ceil(len(self.categories) / 8))
            return [(self.position(name), beginning(printable(name), 14)) for name in self.categories[::step]]
        numbers = self.distinct
        positions = [self.position(number) for number in numbers]
        if len(numbers) > 5 or any(b - a < 0.07 for a, b in zip(positions, positions[1:], strict=False)):
            middle = math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2
            numbers = sorted({self.low, middle, self.high})
        return [(self.position(number), f"{number:.3g}") for number in numbers]


def _category(value: Any) -> str:
    return formatting.value(value, 24)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _sign(metric: str) -> int:
    return 1 if metrics.GREATER_IS_BETTER.get(metric, True) else -1
