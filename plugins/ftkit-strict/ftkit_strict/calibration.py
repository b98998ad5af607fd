"""Whether probabilities can be believed: of the answers given with 80 % certainty, 80 % should be right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ftkit import formatting
from ftkit.contracts import TASKS, Contender, Status, Task, Verdict
from ftkit.evaluation import calibration, decisions, option_checks, verdicts
from ftkit.evaluation.contenders import class_mismatch, defect, labels_of, matched
from ftkit.formatting import rounded

if TYPE_CHECKING:
    import numpy as np

DRAWS = 500
"""Simulations of a perfectly calibrated model."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Passes when the certainty of the answers differs little from the share that is right.

    The expected calibration error is the mean distance between certainty (the probability of the answer) and share of right
    answers, over bins with equally many rows. On few rows even a perfectly calibrated model has a positive error: the
    sentence says how large it is, and an error that chance alone reaches in one of twenty cases is not judged. Where rows have several
    labels, every decision on a label counts: that it applies, or that it does not. Of an order of classes, the answer counts.

    Source: Nixon et al. 2019, "Measuring Calibration in Deep Learning", and Kumar et al. 2019, "Verified Uncertainty
    Calibration", for bins of equal mass; Brier 1950, "Verification of forecasts expressed in terms of probability";
    Vaicenavicius et al. 2019, "Evaluating model calibration in classification", for what chance alone brings.
    """

    name: ClassVar[str] = "calibration"
    tasks: ClassVar[tuple[Task, ...]] = TASKS
    max_error: float = 0.1
    """The greatest expected calibration error that still passes, from 0 to 1."""
    max_brier: float | None = None
    """The greatest Brier score that still passes, from 0 (always sure and right) to 2; not judged when left out."""
    bins: int = 10
    """Number of bins, with equally many rows each."""

    def __post_init__(self) -> None:
        option_checks.in_range("max_error", self.max_error, 0, 1)
        if self.max_brier is not None:
            option_checks.in_range("max_brier", self.max_brier, 0, 2)
        option_checks.at_least("bins", self.bins, 1)

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Judge the certainty of the candidate's answers; the champion's error is shown beside it."""
        import numpy as np

        from ftkit.report import row_charts
        from ftkit.report.answers import reliability_bins

        if reason := defect(candidate):
            return Verdict(self.name, "failed", f"calibration cannot be measured: {reason}")
        labels = labels_of(candidate)
        probabilities = np.asarray(candidate.probabilities, dtype=np.float64)
        certainty, right = decisions.decisions(probabilities, labels)
        counted = formatting.count(len(certainty), "decision" if labels.ndim == 2 else "row")
        bins = reliability_bins(probabilities, labels, self.bins)
        by_chance, by_chance_high = self._error_by_chance(certainty, candidate.seed)
        numbers = {
            "error": bins.error,
            "brier": bins.brier,
            "by_chance": by_chance,
            "by_chance_high": by_chance_high,
            "max_error": self.max_error,
            "certainty": certainty.mean(),
            "accuracy": right.mean(),
        }
        sentence = (
            f"expected calibration error {rounded(bins.error)} (at most {rounded(self.max_error)}; chance alone brings "
            f"{rounded(by_chance)} on {counted}), Brier score {rounded(bins.brier)}"
        )
        status: Status = verdicts.status(bins.error <= self.max_error + verdicts.ROUNDING)
        if status == "failed" and bins.error <= by_chance_high:
            status = "not applicable"
        if self.max_brier is not None:
            numbers["max_brier"] = self.max_brier
            sentence += f" (at most {rounded(self.max_brier)})"
            status = status if bins.brier <= self.max_brier + verdicts.ROUNDING else "failed"
        if status == "not applicable":
            sentence += "; on so few rows this error may be chance alone"
        lean = "surer than right" if certainty.mean() > right.mean() else "less sure than right"
        sentence += f"; {lean}: certainty {rounded(certainty.mean())}, share right {rounded(right.mean())}"
        champion_bins = None
        other = None if champion is None or class_mismatch(champion) else matched(candidate, champion)
        if other is not None and len(other.rows) and not defect(other.champion):
            known, known_labels = np.asarray(other.champion.probabilities, dtype=np.float64), labels[other.rows]
            if labels.ndim == 2:
                known, known_labels = known[:, list(other.classes)], known_labels[:, list(other.classes)]
            champion_bins = reliability_bins(known, known_labels, self.bins)
            numbers["champion_error"] = champion_bins.error
            sentence += f"; {other.champion.title} has an error of {rounded(champion_bins.error)}"
            sentence += f" on {formatting.count(len(other.rows), 'row')}" if other.note else ""
        chart = row_charts.reliability(bins, champion_bins)
        return Verdict(self.name, status, sentence, verdicts.finite_numbers(numbers), chart)

    def _error_by_chance(self, certainty: np.ndarray, seed: int) -> tuple[float, float]:
        """Mean and 95th percentile of the error of a perfectly calibrated model with this certainty."""
        import numpy as np

        random = np.random.default_rng(seed)
        bins = calibration.equal_mass_bins(certainty, self.bins)
        errors = [
            calibration.binned_error(certainty, random.random(len(certainty)) < certainty, bins) for _ in range(DRAWS)
        ]
        return float(np.mean(errors)), float(np.quantile(errors, 0.95))
