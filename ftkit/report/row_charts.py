"""The report's charts of the test rows: certainty, and a metric on parts of the rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ftkit.evaluation import charts
from ftkit.formatting import beginning, printable
from ftkit.report.answers import Bins, Row
from ftkit.report.svg import CHART_WIDTH

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes


def reliability(candidate: Bins, champion: Bins | None) -> str:
    """Certainty against the share of right answers, a point for each bin."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=charts.INK, linestyle=":", linewidth=1, label="perfect calibration")
        low, high = wilson(candidate.right, candidate.rows)
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
            yerr=[candidate.right - low, high - candidate.right],
            fmt="o",
            color=charts.CALM,
            capsize=2,
            label="candidate",
        )
        lowest = [candidate.certainty.min(), low.min()]
        lowest += [champion.certainty.min(), champion.right.min()] if champion is not None else []
        start = max(0.0, min(lowest) - 0.05)
        axes.set_xlim(start, 1.02)
        axes.set_ylim(start, 1.02)
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
    """Value and interval of each part of the rows, the champion's below it; None when no part has a value."""
    shown = [row for row in rows if not math.isnan(row.candidate.value)]
    if not shown:
        return None
    compared = any(row.champion is not None for row in shown)

    def draw(axes: Axes) -> None:
        for line, row in enumerate(shown):
            if row.champion is not None:
                below = line + 0.18
                axes.plot(
                    [row.champion.low, row.champion.high], [below, below], color=charts.INK, alpha=0.45, linewidth=1
                )
                axes.plot(
                    row.champion.value,
                    below,
                    "D",
                    color=charts.INK,
                    alpha=0.65,
                    markersize=4,
                    markerfacecolor="none",
                    label="champion" if not line else None,
                )
            height = line - (0.18 if row.champion is not None else 0)
            worse = row.gain is not None and row.gain.high < 0
            color = charts.BAD if worse else charts.CALM
            axes.plot([row.candidate.low, row.candidate.high], [height, height], color=color, linewidth=2)
            axes.plot(
                row.candidate.value,
                height,
                "X" if worse else "o",
                color=color,
                label="candidate" if not line and not worse else None,
            )
        axes.set_yticks(range(len(shown)), [f"{beginning(printable(row.title), 24)} ({row.rows:,})" for row in shown])
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=charts.INK, alpha=0.12, linewidth=0.8)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_xlabel(title)
        if compared:
            axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=8)

    height = 1.2 + (0.36 if compared else 0.27) * len(shown)
    return charts.svg(f"{title} by part of the test rows", draw, (CHART_WIDTH, height))
