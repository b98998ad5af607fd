"""A promotion test: whether a model is worth its cost, against a linear model of the same rows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from ftkit import formatting
from ftkit.contracts import Contender, Task, Verdict
from ftkit.contracts.settings import Metric
from ftkit.evaluation import charts, metrics, option_checks, paired_comparison, verdicts
from ftkit.evaluation.contenders import defect, labels_of, metric_probabilities
from ftkit.evaluation.paired_comparison import PairedComparison
from ftkit.formatting import rounded
from ftkit_linear.backbone import Linear
from ftkit_linear.classifier import LinearClassifier

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BASELINE = "a linear model on word and character n-grams"


@dataclass(frozen=True, kw_only=True)
class BeatsBaseline:
    """Passes when the candidate is significantly better than the backbone `linear`, fitted on the same training rows.

    The linear model takes seconds to fit and answers in less than a millisecond. A model that is not better is not worth its
    cost, so the sentence says it plainly. The interval around the difference on the test rows must lie above `margin`; it is
    that of `no-worse-than-champion`. With few test rows a small gain cannot be shown. A candidate that is such a linear model
    itself has nothing to show.

    Source: Wang and Manning 2012, "Baselines and Bigrams: Simple, Good Sentiment and Topic Classification"; Dacrema,
    Cremonesi and Jannach 2019, "Are We Really Making Much Progress?", on neural models that lose to tuned baselines.
    """

    name: ClassVar[str] = "beats-baseline"
    tasks: ClassVar[tuple[Task, ...]] = ("single-label", "multi-label", "ordinal")
    metric: Metric | None = None
    """The metric to judge by; the one of the search when left out."""
    margin: float = 0.0
    """The candidate must be better by more than this, in the metric's own unit; below 0 it may be worse by as much."""
    required: bool = True
    """Whether the test fails where that is not shown; else it passes, and its sentence says which of the two is better."""
    level: float = 0.95
    """Confidence of the two-sided interval whose lower end decides."""
    resamples: int = 2000
    """How often to resample the rows; for roc_auc the number of quantiles of the difference."""
    max_rows: int = 200_000
    """Most training rows that the linear model is fitted on."""

    def __post_init__(self) -> None:
        if not math.isfinite(self.margin):
            raise ValueError("margin must be a number")
        option_checks.between_zero_and_one("level", self.level)
        option_checks.at_least("resamples", self.resamples, 200)
        option_checks.at_least("max_rows", self.max_rows, 100)

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Fit the linear model and compare both on the same test rows."""
        if isinstance(candidate.classifier, LinearClassifier):
            return Verdict(self.name, "not applicable", f"the candidate is {BASELINE} itself")
        data, metric = candidate.data, self.metric or candidate.metric
        if not len(data.train):
            return Verdict(self.name, "not applicable", f"there are no training rows to fit {BASELINE} on")
        labels = labels_of(candidate)
        if defect(candidate) or math.isnan(metrics.score(metric, candidate.probabilities, labels)):
            return verdicts.metric_undefined(self.name, metric, candidate)
        model = Linear(max_rows=self.max_rows).fit(data, candidate.seed, lambda *_, **__: True)
        baseline = replace(
            candidate, title=BASELINE, classifier=model, probabilities=model.probabilities(data.test.texts), rule=None
        )
        both = verdicts.comparable(self.name, candidate, baseline)
        if isinstance(both, Verdict):
            return both
        own, fitted = (metric_probabilities(metric, each) for each in (candidate, baseline))
        pair = paired_comparison.compare(
            metric,
            own,
            fitted,
            labels,
            seed=candidate.seed,
            resamples=self.resamples,
            classes=both.classes,
        )
        value, other = (metrics.score(metric, each, labels, both.classes) for each in (own, fitted))
        low, high = pair.interval(self.level)
        met = low > self.margin + verdicts.ROUNDING if self.margin >= 0 else low >= self.margin - verdicts.ROUNDING
        numbers = {"value": value, "baseline": other, "difference": pair.difference, "low": low, "high": high}
        numbers |= {"margin": self.margin, "rows": len(labels), "training_rows": min(len(data.train), self.max_rows)}
        sentence = f"{self._judged(pair, met)}: {metrics.TITLES[metric]} {rounded(value)} against {rounded(other)}"
        sentence += f" on the same {formatting.count(len(labels), 'row')}, difference {pair.difference:+.4f}"
        sentence += f" ({100 * self.level:g} % interval {low:+.4f} to {high:+.4f}); {self._fitted(len(data.train))}"
        if not met and pair.difference <= verdicts.ROUNDING:
            sentence += '. It costs hardly anything to serve: try use = "linear" as the backbone'
        chart = _chart(pair, value, other, metric)
        passed = met or not self.required
        return Verdict(self.name, verdicts.status(passed), sentence, verdicts.finite_numbers(numbers), chart)

    def _judged(self, pair: PairedComparison, met: bool) -> str:
        if pair.difference <= verdicts.ROUNDING:
            return f"{BASELINE} is as good or better"
        if met:
            beyond = f" by more than {rounded(self.margin)}" if self.margin > 0 else ""
            return f"better than {BASELINE}{beyond}" if self.margin >= 0 else f"no worse than {BASELINE}"
        beyond = f" by more than {rounded(self.margin)}" if self.margin > 0 else ""
        return f"not shown to be better than {BASELINE}{beyond}"

    def _fitted(self, rows: int) -> str:
        if rows <= self.max_rows:
            return f"it was fitted on the same {formatting.count(rows, 'training row')}"
        return f"it was fitted on about {self.max_rows:,} of the {rows:,} training rows"


def _chart(pair: PairedComparison, value: float, other: float, metric: str) -> str:
    """Both values, each with its interval of 95 %."""

    def draw(axes: Axes) -> None:
        rows = (("candidate", value, pair.own), ("linear model", other, pair.other))
        for place, (_, middle, (low, high)) in enumerate(rows):
            axes.plot([low, high], [place, place], color=charts.CALM, linewidth=3, alpha=0.5)
            axes.plot([middle], [place], "o", color=charts.CALM)
        axes.set_yticks(range(len(rows)), [name for name, _, _ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel(f"{metrics.TITLES[metric]}, with its interval of 95 %")

    return charts.svg(f"{metrics.TITLES[metric]} of the candidate and of a linear model", draw)
