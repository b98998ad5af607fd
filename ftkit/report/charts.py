"""The report's figures: trials, curves, certainty, parts of the rows, time. Each is narrow enough for a phone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftkit import formatting
from ftkit.contracts import Trial
from ftkit.evaluation import charts, metrics
from ftkit.formatting import printable
from ftkit.report.answers import Bins, Row

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

WIDTH = 5.2
"""Inches: its letters are still read when it is scaled to the width of a phone."""
LINES = 300
"""Trials drawn as lines; the best of more."""
BARS = 40
"""Trials drawn as bars; the slowest of more."""
AXES = 7
"""Searched fields drawn as parallel axes, beside the metric."""


def parallel(trials: Sequence[Trial], metric: str, best: int | None) -> str | None:
    """Every trial as a line through its values to its metric; None where there is nothing to compare."""
    scored = [each for each in trials if _is_number(each.metrics.get(metric))]
    names = [name for name in _names(scored) if len({repr(each.values.get(name)) for each in scored}) > 1][:AXES]
    if len(scored) < 2 or not names:
        return None
    scored = sorted(scored, key=lambda each: each.metrics[metric] * _sign(metric))[-LINES:]
    scales = [_Scale([each.values.get(name) for each in scored]) for name in names]
    scales.append(_Scale([each.metrics[metric] for each in scored], spread=False))

    def draw(axes: Axes) -> None:
        count = len(scored)
        for rank, each in enumerate(scored):
            places = [scale.place(each.values.get(name)) for name, scale in zip(names, scales, strict=False)]
            places.append(scales[-1].place(each.metrics[metric]))
            if each.number == best:
                continue
            axes.plot(places, color=charts.CALM, linewidth=1.2, alpha=0.3 + 0.5 * (rank + 1) / count)
        for each in scored:
            if each.number == best:  # last, so that it lies on top
                places = [scale.place(each.values.get(name)) for name, scale in zip(names, scales, strict=False)]
                places.append(scales[-1].place(each.metrics[metric]))
                axes.plot(places, color=charts.GOOD, linewidth=2.6, marker="o", label=f"trial {best}, selected")
                axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0))
        for place, scale in enumerate(scales):
            axes.axvline(place, color=charts.INK, linewidth=0.8)
            for at, said in scale.ticks():
                axes.annotate(
                    said,
                    (place, at),
                    xytext=(4 if place == len(scales) - 1 else -4, 0),
                    textcoords="offset points",
                    ha="left" if place == len(scales) - 1 else "right",
                    va="center",
                    fontsize=8,
                )
        axes.set_xlim(-0.12 * (len(scales) - 1), 1.12 * (len(scales) - 1))
        axes.set_ylim(-0.06, 1.06)
        titles = [_short(name, 18) for name in names] + [metrics.TITLES.get(metric, metric)]
        axes.set_xticks(range(len(scales)), titles)
        if len(scales) > 3:  # slanted where they would run into each other
            axes.tick_params(axis="x", labelrotation=20)
        axes.set_yticks([])
        for side in axes.spines.values():
            side.set_visible(False)
        axes.tick_params(length=0)

    return charts.svg(f"Trials by their values and {metrics.TITLES.get(metric, metric)}", draw, (WIDTH, 3.2))


def curves(trials: Sequence[Trial], metric: str, best: int | None) -> str | None:
    """The metric of every trial by epoch; None where each was evaluated only once."""
    lines = []
    for each in trials:
        points = [
            (float(point["epoch"]), float(point[metric]))
            for point in each.history
            if _is_number(point.get(metric)) and _is_number(point.get("epoch"))
        ]
        if points:
            lines.append((each, points))
    if not any(len(points) > 1 for _, points in lines):
        return None
    from matplotlib.ticker import MaxNLocator

    last = {each.number: points[-1][1] * _sign(metric) for each, points in lines}
    lines = sorted(lines, key=lambda line: (line[0].number == best, last[line[0].number]))[-LINES:]

    def draw(axes: Axes) -> None:
        said = set()
        for each, points in lines:
            epochs, values = zip(*points, strict=True)
            if each.number == best:
                axes.plot(epochs, values, color=charts.GOOD, linewidth=2.6, marker="o", label=f"trial {best}, selected")
                continue
            how = {"finished": "finished", "stopped": "stopped early", "failed": "failed"}[each.state]
            axes.plot(
                epochs,
                values,
                color=charts.BAD if each.state == "failed" else charts.CALM,
                linewidth=1.2,
                alpha=0.6,
                linestyle="-" if each.state == "finished" else "--",
                marker={"finished": ".", "stopped": "x", "failed": "X"}[each.state],
                markevery=[-1],
                label=how if how not in said else None,
            )
            said.add(how)
        axes.set_xlabel("epoch")
        axes.set_ylabel(f"{metrics.TITLES.get(metric, metric)}, validation rows")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(fontsize=8)

    return charts.svg(f"{metrics.TITLES.get(metric, metric)} by epoch", draw, (WIDTH, 3.2))


def reliability(candidate: Bins, champion: Bins | None) -> str:
    """Certainty against the share that is right, a point for each bin."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=charts.INK, linestyle=":", linewidth=1, label="as certain as right")
        spread = wilson(candidate.right, candidate.rows)
        if champion is not None:
            axes.plot(
                champion.certainty,
                champion.right,
                color=charts.INK,
                alpha=0.55,
                marker="D",
                markersize=4,
                markerfacecolor="none",
                linestyle="none",
                label="champion",
            )
        axes.errorbar(
            candidate.certainty,
            candidate.right,
            yerr=[candidate.right - spread[0], spread[1] - candidate.right],
            fmt="o",
            color=charts.CALM,
            capsize=2,
            label="candidate",
        )
        found = [candidate.certainty.min(), spread[0].min()]
        found += [champion.certainty.min(), champion.right.min()] if champion is not None else []
        low = max(0.0, min(found) - 0.05)
        axes.set_xlim(low, 1.02)
        axes.set_ylim(low, 1.02)
        axes.set_xlabel("certainty")
        axes.set_ylabel("share that is right")
        axes.legend(loc="upper left", fontsize=8)

    return charts.svg("Reliability diagram", draw, (4.2, 3.6))


def wilson(share: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % interval around a share of some rows.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    square = 1.96**2 / rows
    middle = (share + square / 2) / (1 + square)
    half = (share * (1 - share) * square + square**2 / 4) ** 0.5 / (1 + square)
    # Rounding must not leave the share itself outside.
    return (middle - half).clip(0, share), (middle + half).clip(share, 1)


def forest(rows: Sequence[Row], title: str) -> str | None:
    """Value and interval of each part, the champion's below it."""
    shown = [each for each in rows if not math.isnan(each.candidate.value)]
    if not shown:
        return None

    def draw(axes: Axes) -> None:
        for place, each in enumerate(shown):
            if each.champion is not None:
                axes.plot(
                    [each.champion.low, each.champion.high],
                    [place + 0.18] * 2,
                    color=charts.INK,
                    alpha=0.45,
                    linewidth=1,
                )
                axes.plot(
                    each.champion.value,
                    place + 0.18,
                    "D",
                    color=charts.INK,
                    alpha=0.65,
                    markersize=4,
                    markerfacecolor="none",
                    label="champion" if not place else None,
                )
            at = place - (0.18 if each.champion is not None else 0)
            worse = each.gain is not None and each.gain.high < 0
            axes.plot(
                [each.candidate.low, each.candidate.high],
                [at, at],
                color=charts.BAD if worse else charts.CALM,
                linewidth=2,
            )
            axes.plot(
                each.candidate.value,
                at,
                "X" if worse else "o",
                color=charts.BAD if worse else charts.CALM,
                label="candidate" if not place and not worse else None,
            )
        axes.set_yticks(range(len(shown)), [f"{_short(each.title, 24)} ({each.rows:,})" for each in shown])
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=charts.INK, alpha=0.12, linewidth=0.8)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_xlabel(title)
        if any(each.champion is not None for each in shown):
            axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=8)

    height = 1.2 + (0.36 if any(each.champion for each in shown) else 0.27) * len(shown)
    return charts.svg(f"{title} by part of the test rows", draw, (WIDTH, height))


def bars(seconds: Mapping[str, float], title: str, strong: str = "") -> str | None:
    """Durations as bars, each with its time."""
    kept = dict(sorted(seconds.items(), key=lambda each: -each[1])[:BARS])
    shown = {name: value for name, value in seconds.items() if name in kept}
    if not shown:
        return None

    def draw(axes: Axes) -> None:
        most = max(shown.values()) or 1.0
        for place, (name, value) in enumerate(shown.items()):
            axes.barh(place, value, height=0.62, color=charts.GOOD if name == strong else charts.CALM)
            axes.annotate(
                formatting.duration(value),
                (value, place),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
        axes.set_yticks(range(len(shown)), [_short(name, 24) for name in shown])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_xlim(0, most * 1.22)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)

    return charts.svg(title, draw, (WIDTH, 0.4 + 0.27 * len(shown)))


class _Scale:
    """Where a value stands on its axis, from 0 to 1: numbers by size, anything else by kind."""

    def __init__(self, found: Sequence[Any], spread: bool = True) -> None:
        numbers = [float(each) for each in found if _is_number(each)]
        self.numeric = len(numbers) == len(found)
        if self.numeric:
            low, high = min(numbers), max(numbers)
            # Learning rates and the like are told apart by their magnitude.
            self.log = spread and low > 0 and high / low >= 8
            self.low, self.high = low, high
            self.distinct = sorted(set(numbers))
        else:
            self.kinds = sorted({_said(each) for each in found})

    def place(self, value: Any) -> float:
        if not self.numeric:
            return self.kinds.index(_said(value)) / max(1, len(self.kinds) - 1) if len(self.kinds) > 1 else 0.5
        if self.high <= self.low:
            return 0.5
        if self.log:
            return math.log(float(value) / self.low) / math.log(self.high / self.low)
        return (float(value) - self.low) / (self.high - self.low)

    def ticks(self) -> list[tuple[float, str]]:
        if not self.numeric:
            step = max(1, math.ceil(len(self.kinds) / 8))
            return [(self.place(each), _short(each, 14)) for each in self.kinds[::step]]
        shown = self.distinct
        if len(shown) > 5 or any(
            abs(self.place(one) - self.place(other)) < 0.07 for one, other in zip(shown, shown[1:], strict=False)
        ):
            ends = (self.low, self.high)
            middle = math.sqrt(ends[0] * ends[1]) if self.log else sum(ends) / 2
            shown = sorted({self.low, middle, self.high})
        return [(self.place(each), f"{each:.3g}") for each in shown]


def _names(trials: Sequence[Trial]) -> list[str]:
    return list(dict.fromkeys(name for each in trials for name in each.values))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _said(value: Any) -> str:
    return formatting.value(value, 24)


def _short(text: str, width: int) -> str:
    text = printable(text)
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"


def _sign(metric: str) -> int:
    return 1 if metrics.GREATER_IS_BETTER.get(metric, True) else -1
