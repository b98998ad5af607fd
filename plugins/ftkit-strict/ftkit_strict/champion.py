"""The comparison with the model that is live, as a statistical test on the same rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from ftkit import formatting
from ftkit.contracts import Contender, Verdict
from ftkit.contracts.settings import Metric
from ftkit.evaluation import charts, metrics, paired_comparison
from ftkit.evaluation.paired_comparison import PairedComparison
from ftkit.formatting import percent, rounded
from ftkit_strict import scoring

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True)
class NoWorseThanChampion:
    """Passes when resampling the test rows leaves no doubt that the candidate is no worse than the champion, or is better.

    The interval around the difference must lie above -margin (non-inferior) or above +margin (superior), with the same
    rows resampled for both. Too few rows give a wide interval, and a wide interval proves nothing: the test fails. For accuracy
    on few rows resampling is not strict enough, since rows that the candidate would have lost may not have been
    drawn into the test split at all: there Tango's score test must agree.

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
            scoring.in_range("margin", self.margin, 0, math.inf)
            if not math.isfinite(self.margin):
                raise ValueError("margin must be a finite number")
        scoring.within("level", self.level)
        scoring.at_least("resamples", self.resamples, 200)

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Compare both on the same resampled rows."""
        import numpy as np

        if champion is None:
            return scoring.no_champion(self.name)
        if verdict := scoring.foreign(champion, self.name):
            return verdict
        metric = self.metric or candidate.metric
        labels = scoring.labels_of(candidate)
        if reason := scoring.trouble(candidate):
            return self._undefined(metric, reason)
        value = metrics.score(metric, candidate.probabilities, labels)
        if math.isnan(value):
            return self._undefined(metric, "the test split holds rows of one class only")
        if len(labels) < 2:
            return self._undefined(metric, "one row cannot be resampled")
        if scoring.trouble(champion):
            said = f"{metrics.TITLES[metric]} {rounded(value)}; {champion.title} gave probabilities that are no numbers"
            return Verdict(self.name, "passed", said, {"value": value})
        held = metrics.score(metric, champion.probabilities, labels)
        pair = paired_comparison.compare(
            metric,
            candidate.probabilities,
            champion.probabilities,
            labels,
            seed=candidate.seed,
            resamples=self.resamples,
        )
        if not len(pair.draws):
            return self._undefined(metric, "no resample of the rows holds two classes")
        low, high = pair.interval(self.level)
        bound = self._margin() if self.mode == "superior" else -self._margin()
        met = low > bound + 1e-12 if self.mode == "superior" else low >= bound - 1e-12
        numbers = {
            "value": value,
            "champion": held,
            "difference": pair.difference,
            "low": low,
            "high": high,
            "margin": self._margin(),
            "resamples": float(len(pair.draws)),
            "share_better": float((pair.draws > 1e-12).mean()),
            "share_met": 1 - pair.share_below(bound),
        }
        said = (
            f"{metrics.TITLES[metric]} {rounded(value)} against {rounded(held)} of {champion.title} on the same "
            f"{formatting.count(len(labels), 'row')}: difference {pair.difference:+.4f} ({100 * self.level:g} % interval "
            f"{low:+.4f} to {high:+.4f}), better in {percent(numbers['share_better'])} of {len(pair.draws):,} resamples"
        )
        if metric == "accuracy":
            mine = candidate.probabilities.argmax(axis=1) == labels
            theirs = champion.probabilities.argmax(axis=1) == labels
            gained, lost = int((mine & ~theirs).sum()), int((~mine & theirs).sum())
            chance = paired_comparison.mcnemar(gained, lost)
            numbers |= {"gained": gained, "lost": lost, "mcnemar_p": chance}
            # Rows answered alike show no more than a margin; the same model needs no showing.
            if bound and not np.allclose(candidate.probabilities, champion.probabilities, rtol=0, atol=1e-6):
                numbers["tango_p"] = tango(gained, lost, len(labels), bound)
                met = met and numbers["tango_p"] <= (1 - self.level) / 2
            said += f", {gained} rows won and {lost} lost (McNemar p = {chance:.3g})"
        said += f"; {self._decision(met)}"
        return Verdict(self.name, scoring.status(met), said, scoring.finite(numbers), self._figure(pair, bound, metric))

    def _margin(self) -> float:
        if self.margin is not None:
            return self.margin
        return 0.0 if self.mode == "superior" else 0.02

    def _decision(self, met: bool) -> str:
        shown = "shown" if met else "not shown"
        if self.mode == "superior":
            beyond = f" by more than {rounded(self._margin())}" if self._margin() else ""
            return f"{shown} to be better{beyond}"
        return f"{shown} to be no worse by more than {rounded(self._margin())}"

    def _undefined(self, metric: str, reason: str) -> Verdict:
        return Verdict(self.name, "failed", f"{metrics.TITLES[metric]} cannot be compared here: {reason}")

    def _figure(self, pair: PairedComparison, bound: float, metric: str) -> str:
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
    """Probability of a difference in accuracy at least this good, were the true one the bound: Tango's score test.

    `gained` and `lost` count the rows that only the candidate, or only the champion, got right.
    """
    from scipy.stats import norm

    # The share of lost rows that is most likely when the share of gained ones exceeds it by the bound.
    linear = -gained - lost + (2 * rows - gained + lost) * bound
    likely = (math.sqrt(linear**2 + 8 * rows * lost * bound * (1 - bound)) - linear) / (4 * rows)
    spread = math.sqrt(max(0.0, rows * (2 * likely + bound * (1 - bound))))
    return float(norm.sf((gained - lost - rows * bound) / spread)) if spread else 1.0
