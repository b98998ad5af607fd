"""The promotion tests of the core: a candidate must reach a floor, beat the majority class, beat the champion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ftkit.contracts import TASKS, Contender, Data, Task, Verdict
from ftkit.contracts.settings import Metric
from ftkit.evaluation import decisions, metrics, paired_comparison
from ftkit.evaluation.contenders import Matched, defect, labels_of, metric_probabilities
from ftkit.evaluation.option_checks import in_range
from ftkit.evaluation.promised_risk import SelectiveRisk
from ftkit.evaluation.verdicts import (
    ROUNDING,
    comparable,
    finite_numbers,
    metric_undefined,
    no_champion,
    status,
)
from ftkit.formatting import count, rounded
from ftkit.hookspecs import hookimpl

if TYPE_CHECKING:
    import numpy as np

_RANGES = {"mcc": (-1.0, 1.0), "quadratic_kappa": (-1.0, 1.0), "log_loss": (0.0, math.inf), "mae": (0.0, math.inf)}


@dataclass(frozen=True, kw_only=True)
class MetricFloor:
    """Passes when a test metric is no worse than a fixed value."""

    name: ClassVar[str] = "metric-floor"
    tasks: ClassVar[tuple[Task, ...]] = TASKS
    floor: float
    """The worst value that still passes: the least one, or the greatest one for log_loss and mae."""
    metric: Metric | None = None
    """The metric to judge by; the one of the search when left out."""

    def __post_init__(self) -> None:
        if not math.isfinite(self.floor):
            raise ValueError("floor must be a finite number")
        if self.metric is not None:
            low, high = _RANGES.get(self.metric, (0.0, 1.0))
            if not low <= self.floor <= high:
                raise ValueError(f"floor is {self.floor:g}, but {self.metric} lies from {low:g} to {high:g}")

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Compare the candidate's value with the floor; an equal one passes."""
        metric = self.metric or candidate.metric
        value = _value(metric, candidate)
        if math.isnan(value):
            return metric_undefined(self.name, metric, candidate)
        low, high = _interval(metric, candidate)
        met = not metrics.better(metric, self.floor, value)
        rising = metrics.GREATER_IS_BETTER[metric]
        bound = f"{'floor' if rising else 'ceiling'} of {rounded(self.floor)}"
        outcome = f"meets the {bound}" if met else f"is {'below' if rising else 'above'} the {bound}"
        return Verdict(
            self.name,
            status(met),
            f"{_with_interval(metric, value, low, high)} {outcome}",
            finite_numbers({"value": value, "low": low, "high": high, "floor": self.floor}),
        )


@dataclass(frozen=True, kw_only=True)
class BeatsMajority:
    """Passes when the candidate beats a model that knows nothing but how frequent each class is.

    That model gives every text the class shares of the training split, and so always answers the most frequent
    class. Its ROC AUC is 0.5 and its MCC 0, whatever the shares are. Where texts have several labels, it always answers those that at
    least half of the training rows have, for F1 the most frequent one besides. Of ordered classes it answers the median for mae, which
    no other class beats.
    """

    name: ClassVar[str] = "beats-majority"
    tasks: ClassVar[tuple[Task, ...]] = TASKS
    metric: Metric | None = None
    """The metric to judge by; the one of the search when left out."""
    margin: float = 0.0
    """The candidate must be better by more than this, in the metric's own unit."""

    def __post_init__(self) -> None:
        in_range("margin", self.margin, 0)

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Compare the candidate with the class shares; an equal value does not beat them."""
        import numpy as np

        metric = self.metric or candidate.metric
        value = _value(metric, candidate)
        if math.isnan(value):
            return metric_undefined(self.name, metric, candidate)
        shares = _class_shares(candidate.data)
        if shares is None:
            return Verdict(self.name, "failed", "the class counts of the training split are not known")
        task = candidate.data.task
        constant = _constant_answer(shares, task, metric)
        baseline = metrics.score(metric, np.tile(constant, (len(candidate.data.test), 1)), labels_of(candidate))
        low, high = _interval(metric, candidate)
        gain = _gain(metric, value, baseline)
        majority = decisions.named(decisions.answers(constant[None], task)[0], candidate.data.classes)
        numbers = {"value": value, "low": low, "high": high}
        numbers |= {"baseline": baseline, "difference": gain, "margin": self.margin}
        return Verdict(
            self.name,
            status(_exceeds(gain, self.margin)),
            f"{_with_interval(metric, value, low, high)} against {rounded(baseline)} "
            f"of always answering {majority!r}: {_comparison(gain, self.margin)}",
            finite_numbers(numbers),
        )


@dataclass(frozen=True, kw_only=True)
class BeatsChampion:
    """Passes when the candidate beats the model that is live, on the same rows."""

    name: ClassVar[str] = "beats-champion"
    tasks: ClassVar[tuple[Task, ...]] = TASKS
    metric: Metric | None = None
    """The metric to judge by; the one of the search when left out."""
    margin: float = 0.0
    """The candidate must be better by more than this, in the metric's own unit."""

    def __post_init__(self) -> None:
        in_range("margin", self.margin, 0)

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Compare both on the same rows; an equal value does not beat the champion, and a class may not go."""
        if champion is None:
            return no_champion(self.name)
        metric = self.metric or candidate.metric
        both = comparable(self.name, candidate, champion, finite_numbers({"value": _value(metric, candidate)}))
        if isinstance(both, Verdict):
            return both
        value = _value(metric, both.candidate, both.classes)
        if math.isnan(value):
            return metric_undefined(self.name, metric, both.candidate)
        champion_value = _value(metric, both.champion, both.classes)
        gain = _gain(metric, value, champion_value)
        undefined = math.isnan(champion_value)
        outcome = "the champion has no value" if undefined else _comparison(gain, self.margin)
        numbers = {"value": value, "champion": champion_value, "difference": gain, "margin": self.margin}
        if not undefined:
            numbers |= dict(zip(("low", "high"), _difference(metric, both), strict=True))
            outcome += f" (95 % interval {numbers['low']:+.4f} to {numbers['high']:+.4f})"
        return Verdict(
            self.name,
            status(undefined or _exceeds(gain, self.margin)),
            f"{metrics.TITLES[metric]} {rounded(value)} against {rounded(champion_value)} of {champion.title} "
            f"on the same {count(len(both.rows), 'row')}: {outcome}{both.note}",
            finite_numbers(numbers),
        )


@hookimpl
def promotion_tests() -> list[type]:
    """Promotion tests of the core, offered as any plugin offers its own."""
    return [MetricFloor, BeatsMajority, BeatsChampion, SelectiveRisk]


def _value(metric: str, contender: Contender, classes: Sequence[int] | None = None) -> float:
    if defect(contender):
        return math.nan
    return metrics.score(metric, metric_probabilities(metric, contender), labels_of(contender), classes)


def _difference(metric: str, both: Matched) -> tuple[float, float]:
    """The interval of 95 % around the difference."""
    pair = paired_comparison.compare(
        metric,
        metric_probabilities(metric, both.candidate),
        metric_probabilities(metric, both.champion),
        labels_of(both.candidate),
        seed=both.candidate.seed,
        resamples=1000,
        classes=both.classes,
    )
    return pair.interval(0.95)


def _interval(metric: str, contender: Contender) -> tuple[float, float]:
    return metrics.interval(metric, metric_probabilities(metric, contender), labels_of(contender), seed=contender.seed)


def _with_interval(metric: str, value: float, low: float, high: float) -> str:
    return f"{metrics.TITLES[metric]} {rounded(value)} (95 % interval {rounded(low)} to {rounded(high)})"


def _class_shares(data: Data) -> np.ndarray | None:
    """Share of each class in the training split; None where neither its rows nor its counts are there."""
    import numpy as np

    labels = decisions.targets(data.train.labels, len(data.classes), data.task)
    if labels.ndim == 2:  # reported counts would not say how many rows have them
        return labels.mean(axis=0) if len(labels) else None
    counts = np.bincount(labels, minlength=len(data.classes)).astype(float)
    if not counts.sum():
        reported = data.report.counts.get("train", {})
        counts = np.array([float(reported.get(name, 0)) for name in data.classes])
    return counts / counts.sum() if counts.sum() else None


def _constant_answer(shares: np.ndarray, task: Task, metric: str) -> np.ndarray:
    """The probabilities, (classes,), of the model that knows the shares alone."""
    import numpy as np

    if task == "multi-label" and metric.endswith("_f1"):
        return np.where(shares == shares.max(), np.maximum(shares, decisions.THRESHOLD), shares)
    if task == "ordinal" and metric == "mae":
        return np.eye(len(shares))[int(np.searchsorted(np.cumsum(shares), 0.5 - ROUNDING))]
    return shares


def _gain(metric: str, value: float, other: float) -> float:
    """How much better `value` is; negative when it is worse."""
    return value - other if metrics.GREATER_IS_BETTER[metric] else other - value


def _exceeds(gain: float, margin: float) -> bool:
    return gain > margin + ROUNDING


def _comparison(gain: float, margin: float) -> str:
    if abs(gain) <= ROUNDING:
        return "equal, which is not better"
    if gain < 0:
        return f"{rounded(-gain)} worse"
    if not margin:
        return f"{rounded(gain)} better"
    relation = "more than" if _exceeds(gain, margin) else "not more than"
    return f"{rounded(gain)} better, {relation} the margin of {rounded(margin)}"
