"""The report's chart of a rollout: traffic, requests, errors and time of both deployments, over one axis of time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ftkit.contracts.measures import Window
from ftkit.evaluation import charts
from ftkit.formatting import beginning, printable
from ftkit.report.rollout_history import Rollout, curves
from ftkit.report.svg import CHART_WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OLD = 3
"""Deployments from before that get a line of their own."""
JUDGED: dict[str, dict[str, Any]] = {
    "healthy": {"marker": "o", "color": charts.GOOD},
    "inconclusive": {"marker": "o", "color": charts.INK, "markerfacecolor": "none"},
    "unhealthy": {"marker": "X", "color": charts.BAD},
}
"""How the verdict of a look is drawn."""
_UNITS = ((180.0, 1.0, "seconds"), (3 * 3600.0, 60.0, "minutes"), (math.inf, 3600.0, "hours"))
"""Up to how many seconds a rollout is drawn in which unit."""


def timeline(rollout: Rollout) -> str | None:
    """The chart; None for a rollout that ended before the new deployment got any traffic or copies."""
    if not rollout.steps:
        return None
    start, end = rollout.steps[0].began, max(rollout.steps[-1].ended, rollout.rolled_back or 0.0)
    end = max(end, start + 1.0)
    unit, name = next((unit, name) for longest, unit, name in _UNITS if end - start <= longest)
    lines = {each: [*curves(rollout, each)] for each in (rollout.deployment, *rollout.old[:OLD])}
    panels: list[tuple[str, Callable[[Window, float], float]]] = []
    if any(lines.values()):
        panels = [
            ("requests / s", lambda window, width: (window.requests + window.failed) / width),
            ("failed, %", _failed),
            ("mean ms", lambda window, _: _divided(1000 * window.seconds, window.requests)),
        ]

    def moment(at: float) -> float:
        return (at - start) / unit

    def frame(axes: Axes) -> None:
        for step in rollout.steps[1:]:
            axes.axvline(moment(step.began), color=charts.INK, alpha=0.35, linestyle=":", linewidth=1)
        if rollout.rolled_back is not None:
            axes.axvline(moment(rollout.rolled_back), color=charts.BAD, linestyle="--", linewidth=1.4)
        axes.grid(axis="y", color=charts.INK, alpha=0.1, linewidth=0.8)
        axes.set_axisbelow(True)
        margin = 0.02 * moment(end)
        axes.set_xlim(-margin, moment(end) + margin)

    def shares(axes: Axes) -> None:
        times = [step.began for step in rollout.steps] + [rollout.steps[-1].ended]
        percents = [step.share for step in rollout.steps]
        axes.fill_between(
            [moment(each) for each in times],
            [*percents, percents[-1]],
            step="post",
            color=charts.CALM,
            alpha=0.3,
            linewidth=0,
        )
        axes.step([moment(each) for each in times], [*percents, percents[-1]], where="post", color=charts.CALM)
        for step in rollout.steps:
            middle = moment((step.began + step.ended) / 2)
            if not step.share and step.ended > step.began:
                axes.annotate("copies", (middle, 6), ha="center", fontsize=8)
            for each in step.judged:
                style = JUDGED.get(each.values["state"], JUDGED["inconclusive"])
                axes.plot(moment(each.at), 118, linestyle="none", markersize=7, clip_on=False, **style)
        axes.set_ylim(0, 118)
        axes.set_yticks([0, 50, 100])
        axes.set_ylabel("traffic, %")
        frame(axes)

    def panel(title: str, value: Callable[[Window, float], float], last: bool) -> Callable[[Axes], None]:
        def draw(axes: Axes) -> None:
            highest = 0.0
            for number, (deployment, windows) in reversed([*enumerate(lines.items())]):
                points = [(moment(at), value(window, width)) for at, width, window in windows]
                highest = max([highest, *(y for _, y in points if not math.isnan(y))])
                new = deployment == rollout.deployment
                axes.plot(
                    [x for x, _ in points],
                    [y for _, y in points],
                    color=charts.CALM if new else charts.INK,
                    alpha=1.0 if new else 0.6,
                    linewidth=2.2 if new else 1.3,
                    linestyle="-" if number < 2 else (":", "-.")[number - 2],
                    marker="." if len(points) < 40 else "",
                    label=f"{beginning(printable(deployment), 26)}{', new' if new else ''}",
                )
            axes.set_ylim(0, (1.15 * highest) or 1.0)
            axes.set_ylabel(title)
            frame(axes)
            if last:
                axes.set_xlabel(f"{name} since it first got requests")
            if title == panels[0][0] and len(lines) > 1:
                handles, labels = axes.get_legend_handles_labels()
                axes.legend(
                    handles[::-1],
                    labels[::-1],
                    loc="lower left",
                    bbox_to_anchor=(0, 1.0),
                    ncols=2,
                    fontsize=8,
                    borderpad=0.2,
                )

        return draw

    draws: list[Callable[[Axes], None]] = [shares]
    draws += [panel(title, value, title == panels[-1][0]) for title, value in panels]
    height = 1.25 * len(draws) + 0.6
    return charts.stacked(
        f"Share of the traffic{', requests, failures and time of both deployments' if panels else ''} over the rollout",
        draws,
        (CHART_WIDTH, height),
    )


def _failed(window: Window, _: float) -> float:
    return 100 * _divided(window.failed, window.requests + window.failed)


def _divided(number: float, by: float) -> float:
    return number / by if by else math.nan
