"""A statistical test of the candidate against the champion on the same rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from ftkit import formatting
from ftkit.contracts import TASKS, Contender, Task, Verdict
from ftkit.contracts.settings import Metric
from ftkit.evaluation import charts, metrics, option_checks, paired_comparison, verdicts
from ftkit.evaluation.contenders import defect, labels_of, metric_probabilities
from ftkit.evaluation.paired_comparison import PairedComparison
from ftkit.formatting import percent, rounded

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True)
class NoWorseThanChampion:
    """Passes when the test rows show that the candidate is no worse than the champion, or that it is better.

    The interval around the difference must lie above -margin (non-inferior) or above +margin (superior). It comes from
    resampling the rows, the same ones for both, together with a further row that nobody has seen: for the lower end only the
    champion gets that row right. So few rows give a wide interval even where both answer all of them alike; a wide interval shows
    nothing, and the test fails. For accuracy, also that of whole sets of labels, it is the interval of Tango's score test; for ROC AUC that of DeLong, widened for few
    rows and for a further row of each class. Only a candidate that gives the very same probabilities needs no rows to be no worse.

    Where the candidate has classes that the champion lacks, only the rows whose class both know are compared, or of rows with several
    labels the labels that both know; a class that only the champion has fails the test.

    Source: Piaggio et al. 2012, "Reporting of Noninferiority and Equivalence Randomized Trials", on deciding by the
    interval's lower end; Tango 1998, "Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design"; Rubin 1981, "The Bayesian Bootstrap"; Gaffke 2005, "Three test statistics for a nonparametric
    one-sided hypothesis on the mean of a nonnegative variable", for the further row; DeLong, DeLong and Clarke-Pearson 1988,
    "Comparing the Areas under Two or More Correlated Receiver Operating Characteristic Curves".
    """

    name: ClassVar[str] = "no-worse-than-champion"
    tasks: ClassVar[tuple[Task, ...]] = TASKS
    metric: Metric | None = None
    """The metric to judge by; the one of the search when left out."""
    mode: Literal["non-inferior", "superior"] = "non-inferior"
    """Whether to show that the candidate is not worse by the margin, or that it is better by more than the margin."""
    margin: float | None = None
    """The difference that matters, in the metric's own unit; 0.02 when left out, and 0 in mode superior."""
    level: float = 0.95
    """Confidence of the two-sided interval whose lower end decides."""
    resamples: int = 2000
    """How often to resample the rows; for roc_auc the number of quantiles of the difference."""

    def __post_init__(self) -> None:
        if self.margin is not None:
            option_checks.in_range("margin", self.margin, 0)
        option_checks.between_zero_and_one("level", self.level)
        option_checks.at_least("resamples", self.resamples, 200)

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Compare both on the same resampled rows."""
        if champion is None:
            return verdicts.no_champion(self.name)
        both = verdicts.comparable(self.name, candidate, champion)
        if isinstance(both, Verdict):
            return both
        candidate, champion = both.candidate, both.champion
        metric = self.metric or candidate.metric
        title = metrics.TITLES[metric]
        labels = labels_of(candidate)
        own, other = (metric_probabilities(metric, each) for each in (candidate, champion))
        value = math.nan if defect(candidate) else metrics.score(metric, own, labels, both.classes)
        if math.isnan(value):
            return verdicts.metric_undefined(self.name, metric, candidate)
        if reason := defect(champion):
            return Verdict(self.name, "passed", f"{title} {rounded(value)}; {reason}{both.note}", {"value": value})
        champion_value = metrics.score(metric, other, labels, both.classes)
        pair = paired_comparison.compare(
            metric,
            own,
            other,
            labels,
            seed=candidate.seed,
            resamples=self.resamples,
            classes=both.classes,
        )
        low, high = pair.interval(self.level)
        bound = self._margin() if self.mode == "superior" else -self._margin()
        met = low > bound + verdicts.ROUNDING if self.mode == "superior" else low >= bound - verdicts.ROUNDING
        numbers = {
            "value": value,
            "champion": champion_value,
            "difference": pair.difference,
            "low": low,
            "high": high,
            "margin": self._margin(),
            "resamples": float(self.resamples),
            "share_better": pair.share_better(),
        }
        sentence = (
            f"{title} {rounded(value)} against {rounded(champion_value)} of {champion.title} on the same "
            f"{formatting.count(len(labels), 'row')}: difference {pair.difference:+.4f} ({100 * self.level:g} % interval "
            f"{low:+.4f} to {high:+.4f})"
        )
        if pair.identical:
            sentence += ", the same probabilities for every row"
        else:
            where = "quantiles of its distribution" if metric == "roc_auc" else "resamples"
            sentence += f", better in {percent(numbers['share_better'])} of the {where}"
        if metric in paired_comparison.SHARES:
            chance = paired_comparison.mcnemar(pair.gained, pair.lost)
            numbers |= {"gained": pair.gained, "lost": pair.lost, "mcnemar_p": chance}
            sentence += f", right alone on {pair.gained} rows, wrong alone on {pair.lost} (McNemar p = {chance:.3g})"
        sentence += f"; {self._conclusion(met)}{both.note}"
        chart = self._chart(pair, bound, metric)
        return Verdict(self.name, verdicts.status(met), sentence, verdicts.finite_numbers(numbers), chart)

    def _margin(self) -> float:
        if self.margin is not None:
            return self.margin
        return 0.0 if self.mode == "superior" else 0.02

    def _conclusion(self, met: bool) -> str:
        shown = "shown" if met else "not shown"
        if self.mode == "superior":
            beyond = f" by more than {rounded(self._margin())}" if self._margin() else ""
            return f"{shown} to be better{beyond}"
        return f"{shown} to be no worse by more than {rounded(self._margin())}"

    def _chart(self, pair: PairedComparison, bound: float, metric: str) -> str:
        """A histogram of the differences, with the interval and the bound."""
        import numpy as np

        low, high = pair.interval(self.level)
        draws = np.concatenate([pair.against, pair.favourable])

        def draw(axes: Axes) -> None:
            spread = float(draws.max() - draws.min())
            edges: int | list[float] = 40 if spread > 1e-9 else [pair.difference - 0.005, pair.difference + 0.005]
            axes.hist(draws, bins=edges, color=charts.CALM)
            axes.axvline(bound, color=charts.BAD, linestyle="--", label=f"must lie right of {bound:+.3g}")
            axes.axvspan(low, high, color=charts.CALM, alpha=0.2, label=f"{100 * self.level:g} % interval")
            axes.set_xlabel(f"gain in {metrics.TITLES[metric]} over the champion")
            axes.set_ylabel("quantiles" if metric == "roc_auc" else "resamples")
            axes.legend()

        return charts.svg(f"Likely differences in {metrics.TITLES[metric]}", draw)
