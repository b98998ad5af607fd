"""Why a model was selected that need not be the best: what the finished models cost, and how much worse they may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ftkit import formatting

COSTS = ("latency", "size", "parameters")
"""What a model may cost, as `[search] prefer` names it."""
ALIKE = 1.1
"""Costs up to this many times the least count as equal: of these the best model is taken."""


@dataclass(frozen=True)
class Alternative:
    """A finished model that could be selected: how good it is, and what it costs."""

    number: int
    """The trial that has it."""
    backbone: str
    """Name of its backbone."""
    value: float
    """The metric of the search on the validation rows."""
    difference: float = 0.0
    """To the best model, on the same rows; negative is worse, for every metric."""
    low: float = 0.0
    """The lower end of the interval of 95 % of the difference."""
    high: float = 0.0
    """Its upper end."""
    worse: bool = False
    """Whether it is shown to be worse than the best model by more than the recipe allows."""
    latency_ms: float | None = None
    """Milliseconds that a text takes by itself, by the median; None where it was not measured."""
    size: int = 0
    """Bytes of the model's files."""
    parameters: int | None = None
    """Numbers in its weights; None where its files do not tell."""

    def cost(self, cheapest: str) -> float | None:
        """What it costs by one of the ways of `[search] prefer`."""
        costs: dict[str, float | None] = {
            "latency": self.latency_ms,
            "size": float(self.size),
            "parameters": None if self.parameters is None else float(self.parameters),
        }
        return costs[cheapest]

    def cost_in_words(self, cheapest: str) -> str:
        """The same with its unit."""
        cost = self.cost(cheapest)
        if cost is None:
            return "unknown"
        if cheapest == "latency":
            return f"{cost:.3g} ms a text"
        return f"{cost / 1e6:,.3g} MB" if cheapest == "size" else f"{formatting.millions(int(cost))} parameters"

    @property
    def title(self) -> str:
        """What to call it."""
        return f"trial {self.number} ({self.backbone})"


@dataclass(frozen=True)
class Preference:
    """The selection of the cheapest model that is not significantly worse than the best one."""

    cheapest: str
    """Latency, size or parameters."""
    within: float
    """How much worse than the best model, in the metric, a model may be."""
    metric: str
    """The metric of the search."""
    rows: int
    """Validation rows."""
    chosen: int
    """Number of the selected trial."""
    alternatives: Sequence[Alternative]
    """All models that could be selected, the best first."""

    @property
    def best(self) -> Alternative:
        """The best model by the search alone."""
        return self.alternatives[0]

    @property
    def selected(self) -> Alternative:
        """The model that was selected."""
        return next(each for each in self.alternatives if each.number == self.chosen)

    @property
    def sentence(self) -> str:
        """Why this one, in a sentence."""
        best, own, rows = self.best, self.selected, formatting.count(self.rows, "validation row")
        if own is best:
            rivals = [each for each in self.alternatives[1:] if not each.worse]
            reason = (
                f"no model that is not shown to be worse costs less by {self.cheapest}"
                if rivals
                else f"{rows} show that every other model is worse by more than {self.within:g}"
                if len(self.alternatives) > 1
                else "there is no other model"
            )
            return f"{best.title} is the best by {self.metric} and is selected: {reason}."
        return (
            f"{own.title} is selected for its {self.cheapest}: {own.cost_in_words(self.cheapest)} against "
            f"{best.cost_in_words(self.cheapest)} of {best.title}, the best. {self.metric} "
            f"{formatting.score(own.value)} against {formatting.score(best.value)}: {rows} do not show that it is worse by more "
            f"than {self.within:g} (the difference is between {own.low:+.3f} and {own.high:+.3f})."
        )
