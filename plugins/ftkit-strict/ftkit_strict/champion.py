"""A statistical test of the candidate against the champion on the same rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from ftkit import formatting
from ftkit.contracts import Contender, Verdict
from ftkit.contracts.settings import Metric
from ftkit.evaluation import charts, metrics, option_checks, paired_comparison, verdicts
from ftkit.evaluation.contenders import defect, labels_of
from ftkit.evaluation.paired_comparison import PairedComparison
from ftkit.formatting import percent, rounded

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True)
class NoWorseThanChampion:
    """Passes when resampling the test rows shows that the candidate is no worse than the champion, or that it is better.

    The interval around the difference must lie above -margin (non-inferior) or above +margin (superior); the same rows
    are resampled for both. Few rows give a wide interval, a wide interval shows nothing, and the test fails. For accuracy on few
    rows resampling is not strict enough, because the test split may by chance hold no row that only the champion gets right:
    there Tango's score test must agree.

    Source: Piaggio et al. 2012, "Reporting of Noninferiority and Equivalence Randomized Trials", on deciding by the
    interval's lower end; Tango 1998, "Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design"; Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapters 13 and 16.
    """

    name: ClassVar[str] = "no-worse-than-champion"
    metric: Metric | None = None
    """The metric to judge by; the one of the search when left out."""
    mode: Literal["non-inferior", "superior"] = "non-inferior"
    """Whether to show that the candidate is not worse by the margin, or that it is better by more than the margin."""
    margin: float | None = None
    """The difference that matters, in the metric's own unit; 0.02 when left out, and 0 in mode superior."""
    level: float = 0.95
    """Confidence of the two-sided interval whose lower end decides."""
    resamples: int = 2000
    """How often to resample the rows."""

    def __post_init__(self) -> None:
        if self.margin is not None:
            option_checks.in_range("margin", self.margin, 0)
        option_checks.between_zero_and_one("level", self.level)
        option_checks.at_least("resamples", self.resamples, 200)

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Compare both on the same resampled rows."""
        import numpy as np

        if champion is None:
            return verdicts.no_champion(self.name)
        if verdict := verdicts.different_classes(self.name, champion):
            return verdict
        metric = self.metric or candidate.metric
        title = metrics.TITLES[metric]
        labels = labels_of(candidate)
        value = math.nan if defect(candidate) else metrics.score(metric, candidate.probabilities, labels)
        if math.isnan(value):
            return verdicts.metric_undefined(self.name, metric, candidate)
        if len(labels) < 2:
            return Verdict(self.name, "failed", f"{title} cannot be compared: one row cannot be resampled")
        if reason := defect(champion):
            return Verdict(self.name, "passed", f"{title} {rounded(value)}; {reason}", {"value": value})
        champion_value = metrics.score(metric, champion.probabilities, labels)
        pair = paired_comparison.compare(
            metric,
            candidate.probabilities,
            champion.probabilities,
            labels,
            seed=candidate.seed,
            resamples=self.resamples,
        )
        if not len(pair.draws):
            return Verdict(self.name, "failed", f"{title} cannot be compared: no resample of the rows has two classes")
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
            "resamples": float(len(pair.draws)),
            "share_better": float((pair.draws > verdicts.ROUNDING).mean()),
            "share_met": 1 - pair.share_below(bound),
        }
        sentence = (
            f"{title} {rounded(value)} against {rounded(champion_value)} of {champion.title} on the same "
            f"{formatting.count(len(labels), 'row')}: difference {pair.difference:+.4f} ({100 * self.level:g} % interval "
            f"{low:+.4f} to {high:+.4f}), better in {percent(numbers['share_better'])} of {len(pair.draws):,} resamples"
        )
        if metric == "accuracy":
            right = candidate.probabilities.argmax(axis=1) == labels
            champion_right = champion.probabilities.argmax(axis=1) == labels
            gained, lost = int((right & ~champion_right).sum()), int((~right & champion_right).sum())
            chance = paired_comparison.mcnemar(gained, lost)
            numbers |= {"gained": gained, "lost": lost, "mcnemar_p": chance}
            # Few rows answered alike are weak evidence; the very same model needs none.
            if bound and not np.allclose(candidate.probabilities, champion.probabilities, rtol=0, atol=1e-6):
                numbers["tango_p"] = tango(gained, lost, len(labels), bound)
                met = met and numbers["tango_p"] <= (1 - self.level) / 2
            sentence += f", right alone on {gained} rows, wrong alone on {lost} (McNemar p = {chance:.3g})"
        sentence += f"; {self._conclusion(met)}"
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
        """A histogram of the resampled differences, with the interval and the bound."""
        low, high = pair.interval(self.level)

        def draw(axes: Axes) -> None:
            spread = float(pair.draws.max() - pair.draws.min())
            edges: int | list[float] = 40 if spread > 1e-9 else [pair.difference - 0.005, pair.difference + 0.005]
            axes.hist(pair.draws, bins=edges, color=charts.CALM)
            axes.axvline(bound, color=charts.BAD, linestyle="--", label=f"must lie right of {bound:+.3g}")
            axes.axvspan(low, high, color=charts.CALM, alpha=0.2, label=f"{100 * self.level:g} % interval")
            axes.set_xlabel(f"gain in {metrics.TITLES[metric]} over the champion")
            axes.set_ylabel("resamples")
            axes.legend()

        return charts.svg(f"Resampled differences in {metrics.TITLES[metric]}", draw)


def tango(gained: int, lost: int, rows: int, bound: float) -> float:
    """Probability of a difference in accuracy at least this good if the true one were the bound: Tango's score test.

    `gained` and `lost` count the rows that only the candidate, or only the champion, got right.
    """
    from scipy.stats import norm

    # The most likely share of lost rows if the share of gained rows exceeds it by the bound.
    linear = -gained - lost + (2 * rows - gained + lost) * bound
    likely = (math.sqrt(linear**2 + 8 * rows * lost * bound * (1 - bound)) - linear) / (4 * rows)
    spread = math.sqrt(max(0.0, rows * (2 * likely + bound * (1 - bound))))
    return float(norm.sf((gained - lost - rows * bound) / spread)) if spread else 1.0
