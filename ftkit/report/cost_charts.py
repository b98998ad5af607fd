"""The part of the report that weighs quality against cost, for runs that prefer cheap models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftkit.contracts.preference import Alternative, Preference
from ftkit.evaluation import charts, metrics
from ftkit.formatting import capital
from ftkit.report.svg import CHART_WIDTH, inline

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_AXES = {"latency": "milliseconds a text", "size": "size of the model, MB", "parameters": "parameters, millions"}
_UNITS = {"latency": 1.0, "size": 1e6, "parameters": 1e6}


def preference(selection: Preference | None) -> dict[str, Any] | None:
    """The sentence that says why, and a chart for each cost; None for runs that select the best model."""
    if selection is None:
        return None
    costs = dict.fromkeys(["latency", "size", selection.cheapest])
    return {
        "text": capital(selection.sentence),
        "charts": [inline(drawn, f"cost-{cost}") for cost in costs if (drawn := chart(selection, cost))],
        "table": [
            {
                "model": each,
                "chosen": each.number == selection.chosen,
                "costs": [each.cost_in_words(cost) if each.cost(cost) is not None else "–" for cost in _AXES],
            }
            for each in selection.alternatives
        ],
    }


def chart(selection: Preference, cost: str) -> str | None:
    """Every model by what it costs and how good it is; None where fewer than two have the cost."""
    drawn = [each for each in selection.alternatives if each.cost(cost) is not None]
    if len(drawn) < 2:
        return None
    title = metrics.TITLES.get(selection.metric, selection.metric)

    def position(model: Alternative) -> tuple[float, float]:
        return (model.cost(cost) or 0.0) / _UNITS[cost], model.value

    def draw(axes: Axes) -> None:
        for label, worse, marker in (
            ("not shown to be worse than the best", False, "o"),
            ("shown to be worse", True, "x"),
        ):
            points = [position(each) for each in drawn if each.worse is worse and each.number != selection.chosen]
            if points:
                axes.scatter(*zip(*points, strict=True), color=charts.CALM, marker=marker, label=label)
        for each in drawn:
            if each.number == selection.chosen:
                label = f"trial {each.number}, selected"
                axes.scatter(*position(each), color=charts.GOOD, marker="D", s=60, label=label)
        best: dict[str, Alternative] = {}
        for each in drawn:
            best.setdefault(each.backbone, each)
        for each in best.values():
            axes.annotate(each.backbone, position(each), xytext=(5, 5), textcoords="offset points", fontsize=8)
        axes.set_xscale("log")
        axes.margins(x=0.2, y=0.15)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
        axes.set_xlabel(_AXES[cost])
        axes.set_ylabel(f"{title}, validation rows")
        axes.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)

    return charts.svg(f"{title} and {_AXES[cost]}", draw, (CHART_WIDTH, 3.4))
