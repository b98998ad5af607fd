"""What the tests share: scores of one contender, paired differences of two, and how both are said in a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftkit import metrics
from ftkit.contracts import Contender, Status, Verdict

if TYPE_CHECKING:
    import numpy as np

TITLES = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "roc_auc": "ROC AUC",
    "mcc": "MCC",
    "log_loss": "log loss",
}


@dataclass(frozen=True)
class Paired:
    """How much better one contender is than the other on the same rows; positive is better for every metric."""

    difference: float
    draws: np.ndarray
    """The difference on each resample of the rows, those left out where it is not defined."""
    own: np.ndarray
    """The first contender's metric on each resample of the rows, those left out where it is not defined."""

    def interval(self, level: float) -> tuple[float, float]:
        """A percentile interval around the difference; NaN where no resample had a value."""
        return percentiles(self.draws, level)

    def share_below(self, value: float) -> float:
        """Share of the resamples with a smaller difference; what only rounding adds does not count."""
        return float((self.draws < value - 1e-12).mean()) if len(self.draws) else math.nan


def paired(metric: str, one: np.ndarray, other: np.ndarray, labels: np.ndarray, *, seed: int, resamples: int) -> Paired:
    """Compare two contenders' probabilities by resampling rows, each time the same rows for both.

    Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapters 13 and 16; Koehn 2004, "Statistical
    Significance Tests for Machine Translation Evaluation", on resampling two systems' outputs in pairs.
    """
    import numpy as np

    from ftkit.bootstrap import resampled

    sign = 1 if metrics.GREATER_IS_BETTER[metric] else -1
    # One seed draws the same rows, whatever the probabilities are: that is what makes the differences paired.
    mine = resampled(metric, one, labels, seed=seed, resamples=resamples)
    theirs = resampled(metric, other, labels, seed=seed, resamples=resamples)
    draws = sign * (mine - theirs)
    difference = sign * (metrics.score(metric, one, labels) - metrics.score(metric, other, labels))
    return Paired(float(difference), draws[~np.isnan(draws)], mine[~np.isnan(mine)])


def percentiles(draws: np.ndarray, level: float) -> tuple[float, float]:
    """The interval that holds the middle share of the draws; NaN where there are none."""
    import numpy as np

    if not len(draws):
        return math.nan, math.nan
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def labels_of(contender: Contender) -> np.ndarray:
    """Class indices of the test rows, (rows,)."""
    import numpy as np

    return np.asarray(contender.data.test.labels, dtype=np.int64)


def trouble(contender: Contender) -> str:
    """Why nothing can be measured on this contender, or nothing."""
    import numpy as np

    if not len(contender.data.test):
        return "the test split has no rows"
    if not np.isfinite(contender.probabilities).all():
        return f"{contender.title} gave probabilities that are no numbers"
    return ""


def foreign(champion: Contender, test: str) -> Verdict | None:
    """A verdict for a champion whose classes are not those of the data: they cannot be compared."""
    mine, theirs = champion.data.classes, champion.classifier.classes
    if set(mine) == set(theirs):
        return None
    said = f"{champion.title} answers {listed(theirs)} and the candidate {listed(mine)}: they cannot be compared"
    return Verdict(test, "failed", said)


def status(good: bool) -> Status:
    """The status of a test that applies."""
    return "passed" if good else "failed"


def no_champion(test: str) -> Verdict:
    """The verdict of a comparison when there is nothing to compare with."""
    return Verdict(test, "not applicable", "there is no champion yet")


def finite(numbers: Mapping[str, float]) -> dict[str, float]:
    """Plain numbers only, those left out that are not defined."""
    return {key: float(value) for key, value in numbers.items() if math.isfinite(value)}


def figure(value: float) -> str:
    """A number for a sentence: four decimals, or two digits where those would show nothing."""
    if math.isnan(value):
        return "no value"
    return f"{value:.2g}" if value and abs(value) < 5e-5 else f"{value:.4f}"


def percent(share: float) -> str:
    """A share for a sentence: one decimal, or two digits where that would show nothing."""
    return f"{100 * share:.2g} %" if 0 < share < 0.0005 else f"{100 * share:.1f} %"


def count(number: int, noun: str) -> str:
    """A number and its noun: `1 row`, `2,000 rows`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def listed(names: Sequence[str], most: int = 6) -> str:
    """The first names of a list, and how many more there are."""
    shown = ", ".join(printable(name) for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def quoted(text: str, longest: int = 60) -> str:
    """A text for a sentence: on one line, short, in quotes, with nothing in it that cannot be written down."""
    shown = printable(text)
    return f"“{shown if len(shown) <= longest else shown[: longest - 1].rstrip() + '…'}”"


def change(before: str, after: str) -> str:
    """Two texts for a sentence, from a little before the place where they begin to differ."""
    place = next((at for at, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), 0)
    start = before.rfind(" ", 0, max(0, place - 15)) + 1
    lead = "…" if start else ""
    return f"{quoted(lead + before[start:])} as {quoted(lead + after[start:])}"


def printable(text: str) -> str:
    """A text with what no terminal and no file takes, such as half a surrogate pair, written as an escape."""
    # Whoever shows a text shows its beginning: a review of a megabyte need not be gone through.
    joined = " ".join(text[:2000].split()).encode("utf-8", "backslashreplace").decode()
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in joined)


def in_range(name: str, value: float, low: float, high: float) -> None:
    """Raises: ValueError when an option lies outside its range."""
    if not low <= value <= high:
        upper = f"from {low:g} to {high:g}" if math.isfinite(high) else f"a number of at least {low:g}"
        raise ValueError(f"{name} must be {upper}")


def at_least(name: str, value: int, least: int) -> None:
    """Raises: ValueError when a count is too small."""
    if value < least:
        raise ValueError(f"{name} must be at least {least}")


def within(name: str, level: float) -> None:
    """Raises: ValueError when a level of confidence is no share between 0 and 1."""
    if not 0 < level < 1:
        raise ValueError(f"{name} must lie between 0 and 1, such as 0.95")
