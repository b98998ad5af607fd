"""The promotion tests every ftkit has: a floor, the majority class, the champion."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ftkit.contracts import Contender, Data, Verdict
from ftkit.contracts.settings import Metric
from ftkit.evaluation import metrics
from ftkit.hookspecs import hookimpl

if TYPE_CHECKING:
    import numpy as np

_TITLES = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "roc_auc": "ROC AUC",
    "mcc": "MCC",
    "log_loss": "log loss",
}

_RANGES = {"mcc": (-1.0, 1.0), "log_loss": (0.0, math.inf)}


@dataclass(frozen=True, kw_only=True)
class MetricFloor:
    """Passes when a test metric is no worse than a fixed value."""

    name: ClassVar[str] = "metric-floor"
    floor: float
    """The worst value that still passes: the least one, or the greatest one for log_loss."""
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
            return _undefined(self.name, metric, candidate)
        low, high = _interval(metric, candidate)
        met = not metrics.better(metric, self.floor, value)
        rising = metrics.GREATER_IS_BETTER[metric]
        bound = f"{'floor' if rising else 'ceiling'} of {_figure(self.floor)}"
        place = f"meets the {bound}" if met else f"is {'below' if rising else 'above'} the {bound}"
        return Verdict(
            self.name,
            "passed" if met else "failed",
            f"{_TITLES[metric]} {_figure(value)} (95 % interval {_figure(low)} to {_figure(high)}) {place}",
            _finite({"value": value, "low": low, "high": high, "floor": self.floor}),
        )


@dataclass(frozen=True, kw_only=True)
class BeatsMajority:
    """Passes when the candidate beats a model that knows nothing but how frequent each class is.

    That model gives every text the class shares of the training split, and so always answers the most frequent
    class. Its ROC AUC is 0.5 and its MCC 0, whatever the shares are.
    """

    name: ClassVar[str] = "beats-majority"
    metric: Metric | None = None
    """The metric to judge by; the one of the search when left out."""
    margin: float = 0.0
    """The candidate must be better by more than this, in the metric's own unit."""

    def __post_init__(self) -> None:
        _not_negative(self.margin)

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Compare the candidate with the class shares; an equal value does not beat them."""
        import numpy as np

        metric = self.metric or candidate.metric
        value = _value(metric, candidate)
        shares = _shares(candidate.data)
        if math.isnan(value) or shares is None:
            return _undefined(self.name, metric, candidate)
        baseline = metrics.score(metric, np.tile(shares, (len(candidate.data.test), 1)), _labels(candidate))
        low, high = _interval(metric, candidate)
        difference = _gain(metric, value, baseline)
        majority = candidate.data.classes[int(shares.argmax())]
        return Verdict(
            self.name,
            "passed" if _exceeds(difference, self.margin) else "failed",
            f"{_TITLES[metric]} {_figure(value)} (95 % interval {_figure(low)} to {_figure(high)}) against "
            f"{_figure(baseline)} of always answering {majority!r}: {_compared(difference, self.margin)}",
            _finite(
                {
                    "value": value,
                    "low": low,
                    "high": high,
                    "baseline": baseline,
                    "difference": difference,
                    "margin": self.margin,
                }
            ),
        )


@dataclass(frozen=True, kw_only=True)
class BeatsChampion:
    """Passes when the candidate beats the model that is live, on the same rows."""

    name: ClassVar[str] = "beats-champion"
    metric: Metric | None = None
    """The metric to judge by; the one of the search when left out."""
    margin: float = 0.0
    """The candidate must be better by more than this, in the metric's own unit."""

    def __post_init__(self) -> None:
        _not_negative(self.margin)

    def check(self, candidate: Contender, champion: Contender | None) -> Verdict:
        """Compare both on the same rows; an equal value does not beat the champion, nor do other classes."""
        if champion is None:
            return Verdict(self.name, "not applicable", "there is no champion yet")
        metric = self.metric or candidate.metric
        value = _value(metric, candidate)
        if set(champion.classifier.classes) != set(candidate.data.classes):
            # Whoever calls the endpoint relies on its label names: a change of classes is never waved through.
            return Verdict(
                self.name,
                "failed",
                f"{champion.title} answers {_list(champion.classifier.classes)} and the candidate "
                f"{_list(candidate.data.classes)}: they cannot be compared; register the candidate under another "
                f"model name, or leave this test out, if the change is meant",
                _finite({"value": value}),
            )
        held = _value(metric, champion)
        if math.isnan(value):
            return _undefined(self.name, metric, candidate)
        difference = _gain(metric, value, held)
        won = math.isnan(held) or _exceeds(difference, self.margin)
        outcome = "the champion has no value" if math.isnan(held) else _compared(difference, self.margin)
        return Verdict(
            self.name,
            "passed" if won else "failed",
            f"{_TITLES[metric]} {_figure(value)} against {_figure(held)} of {champion.title} on the same "
            f"{len(candidate.data.test)} rows: {outcome}",
            _finite({"value": value, "champion": held, "difference": difference, "margin": self.margin}),
        )


@hookimpl
def promotion_tests() -> list[type]:
    """Promotion tests of the core, offered as any plugin offers its own."""
    return [MetricFloor, BeatsMajority, BeatsChampion]


def _labels(contender: Contender) -> np.ndarray:
    import numpy as np

    return np.asarray(contender.data.test.labels, dtype=np.int64)


def _value(metric: str, contender: Contender) -> float:
    import numpy as np

    if not len(contender.data.test) or not np.isfinite(contender.probabilities).all():
        return math.nan  # the class with the first NaN would win every argmax
    return metrics.score(metric, contender.probabilities, _labels(contender))


def _interval(metric: str, contender: Contender) -> tuple[float, float]:
    return metrics.interval(metric, contender.probabilities, _labels(contender), seed=contender.seed)


def _shares(data: Data) -> np.ndarray | None:
    """Share of each class in the training split, or None when nobody knows."""
    import numpy as np

    counts = np.bincount(np.asarray(data.train.labels, dtype=np.int64), minlength=len(data.classes)).astype(float)
    if not counts.sum():
        told = data.report.counts.get("train", {})
        counts = np.array([float(told.get(each, 0)) for each in data.classes])
    return counts / counts.sum() if counts.sum() else None


def _gain(metric: str, value: float, other: float) -> float:
    """How much better `value` is; negative when it is worse."""
    return value - other if metrics.GREATER_IS_BETTER[metric] else other - value


def _exceeds(difference: float, margin: float) -> bool:
    # 0.8 - 0.7 is a little more than 0.1: what only rounding adds is no gain.
    return difference > margin + 1e-12


def _compared(difference: float, margin: float) -> str:
    if abs(difference) <= 1e-12:
        return "equal, which is not better"
    if difference < 0:
        return f"{_figure(-difference)} worse"
    if not margin:
        return f"{_figure(difference)} better"
    against = "more than" if _exceeds(difference, margin) else "not more than"
    return f"{_figure(difference)} better, {against} the margin of {_figure(margin)}"


def _undefined(test: str, metric: str, contender: Contender) -> Verdict:
    import numpy as np

    if not len(contender.data.test):
        reason = "the test split has no rows"
    elif not np.isfinite(contender.probabilities).all():
        reason = f"{contender.title} gave probabilities that are no numbers"
    elif len(set(contender.data.test.labels)) < 2:
        reason = "the test split holds rows of one class only"
    else:
        reason = "nobody counted the classes of the training split"
    return Verdict(test, "failed", f"{_TITLES[metric]} is not defined here: {reason}")


def _figure(value: float) -> str:
    """A number for a sentence: four decimals, or two digits where those would show nothing."""
    if math.isnan(value):
        return "no value"
    return f"{value:.2g}" if value and abs(value) < 5e-5 else f"{value:.4f}"


def _list(classes: tuple[str, ...]) -> str:
    shown = ", ".join(classes[:6])
    return f"{shown} and {len(classes) - 6} more" if len(classes) > 6 else shown


def _finite(numbers: dict[str, float]) -> dict[str, float]:
    return {key: value for key, value in numbers.items() if math.isfinite(value)}


def _not_negative(margin: float) -> None:
    if not (math.isfinite(margin) and margin >= 0):
        raise ValueError("margin must be a number of at least 0")
