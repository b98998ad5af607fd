"""What the tests share: whether a contender can be judged, and how what was found is said."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ftkit.contracts import Contender, Status, Verdict
from ftkit.formatting import listing, quoted

if TYPE_CHECKING:
    import numpy as np


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
    said = f"{champion.title} answers {listing(theirs)} and the candidate {listing(mine)}: they cannot be compared"
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


def change(before: str, after: str) -> str:
    """Two texts for a sentence, from a little before the place where they begin to differ."""
    place = next((at for at, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), 0)
    start = before.rfind(" ", 0, max(0, place - 15)) + 1
    lead = "…" if start else ""
    return f"{quoted(lead + before[start:])} as {quoted(lead + after[start:])}"


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
