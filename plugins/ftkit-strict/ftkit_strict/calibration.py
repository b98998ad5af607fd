"""Whether probabilities mean what they say: of the answers given with 80 % certainty, 80 % should be right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ftkit import formatting
from ftkit.contracts import Contender, Status, Verdict
from ftkit.evaluation import calibration
from ftkit.formatting import rounded
from ftkit_strict import scoring

DRAWS = 500
"""Simulations of a perfectly calibrated model."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Passes when the certainty of the answers differs little from the share that is right.

    The expected calibration error is the mean distance between certainty (the probability of the answer) and share of right
    answers, over bins with equally many rows. Few rows have a positive error even when the model is calibrated perfectly: the
    sentence says how large that part is, and an error that chance brings in one of twenty cases is not judged.

    Source: Nixon et al. 2019, "Measuring Calibration in Deep Learning", and Kumar et al. 2019, "Verified Uncertainty
    Calibration", for bins of equal mass; Brier 1950, "Verification of forecasts expressed in terms of probability";
    Vaicenavicius et al. 2019, "Evaluating model calibration in classification", for what chance alone brings.
    """

    name: ClassVar[str] = "calibration"
    max_error: float = 0.1
    """The greatest expected calibration error that still passes, from 0 to 1."""
    max_brier: float | None = None
    """The greatest Brier score that still passes, from 0 (always sure and right) to 2; not judged when left out."""
    bins: int = 10
    """Number of bins, with equally many rows each."""

    def __post_init__(self) -> None:
        scoring.in_range("max_error", self.max_error, 0, 1)
        if self.max_brier is not None:
            scoring.in_range("max_brier", self.max_brier, 0, 2)
        scoring.at_least("bins", self.bins, 1)

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Judge the certainty of the candidate's answers; the champion's error is told beside it."""
        import numpy as np

        from ftkit.report import charts
        from ftkit.report.answers import reliable

        if reason := scoring.trouble(candidate):
            return Verdict(self.name, "failed", f"calibration cannot be measured: {reason}")
        labels = scoring.labels_of(candidate)
        probabilities = np.asarray(candidate.probabilities, dtype=np.float64)
        certainty, right = probabilities.max(axis=1), (probabilities.argmax(axis=1) == labels).astype(float)
        mine = reliable(probabilities, labels, self.bins)
        error, squared = mine.error, mine.brier
        random = np.random.default_rng(candidate.seed)
        placed = calibration.equal_mass_bins(certainty, self.bins)
        simulated = [
            calibration.binned_error(certainty, random.random(len(labels)) < certainty, placed) for _ in range(DRAWS)
        ]
        by_chance, most = float(np.mean(simulated)), float(np.quantile(simulated, 0.95))
        numbers = {
            "error": error,
            "brier": squared,
            "by_chance": by_chance,
            "by_chance_high": most,
            "max_error": self.max_error,
        }
        numbers |= {"certainty": certainty.mean(), "accuracy": right.mean()}
        lean = "surer than right" if certainty.mean() > right.mean() else "less sure than right"
        said = (
            f"expected calibration error {rounded(error)} (at most {rounded(self.max_error)}; "
            f"chance alone brings {rounded(by_chance)} on {formatting.count(len(labels), 'row')}), Brier score {rounded(squared)}"
        )
        judged: Status = scoring.status(error <= self.max_error + 1e-12)
        if judged == "failed" and error <= most:
            judged = "not applicable"  # too few rows to tell a model that is off from one that is not
        if self.max_brier is not None:
            numbers["max_brier"] = self.max_brier
            said += f" (at most {rounded(self.max_brier)})"
            judged = judged if squared <= self.max_brier + 1e-12 else "failed"
        if judged == "not applicable":
            said += "; on so few rows the error cannot be told from chance"
        said += f"; {lean}: certainty {rounded(certainty.mean())}, right {rounded(right.mean())}"
        other = None
        if champion is not None and not scoring.trouble(champion):
            other = reliable(np.asarray(champion.probabilities, dtype=np.float64), labels, self.bins)
            numbers["champion_error"] = other.error
            said += f"; {champion.title} has an error of {rounded(other.error)}"
        drawing = charts.reliability(mine, other)
        return Verdict(self.name, judged, said, scoring.finite(numbers), drawing)
