"""Whether a new deployment does worse than the old ones, by what both did over the same time.

Three questions: does it fail more requests, is it slower, does it answer otherwise? Each is asked at most when the new deployment's requests
have grown by half since the last look, so that a look costs little. The k-th look of a rollout may be wrong with the probability
LEVEL · 6 / (π² k²), which adds up to LEVEL over any number of looks, and a third of it goes to each question: a deployment that is as good
as the old one is called unhealthy in at most LEVEL of all rollouts. Source: Lan and DeMets 1983, "Discrete sequential boundaries for clinical
trials", for spending an error rate over looks; Bonferroni for the sum.

That nothing was shown of a new deployment's time is no proof where little could have been shown. It is called healthy when it is shown to take
less than half as long again, at the default `slower`; until then the look is inconclusive. Source: Schuirmann 1987, "A comparison of the two
one-sided tests procedure and the power approach for assessing the equivalence of average bioavailability".

`python -m benchmarks canary` counts false alarms, requests until a fault is seen, and faults that are called healthy, by simulation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ftkit.contracts.measures import Measures, Window
from ftkit.formatting import listing, percent

State = Literal["healthy", "unhealthy", "inconclusive"]

LEVEL = 0.01
"""Share of rollouts of a deployment as good as the old one that are judged unhealthy, at most."""
GROWTH = 1.5
"""How much the requests must have grown since the last look before there is another."""
IN_WINDOW = 10
"""Answered requests of each deployment that a window needs."""
LEAST_WINDOWS = 8
"""Such windows from which latency is judged."""
HALF_AGAIN = 1.2
"""Times the limit `slower`: what a deployment that is called healthy does not take, 1.5 times as long by default."""
MISSED = 0.05
"""Share of rollouts of a deployment that takes so long in which a look calls it healthy; more where windows hold few requests."""
VANISHED = 0.2
"""A class that gets less than this share of the answers that it got is held to have vanished, however rare it was."""
LEAST_EXPECTED = 5.0
"""Answers of a class that are expected in each deployment, below which the class is joined with others. Source: Cochran 1954, "Some methods
for strengthening the common chi-square tests"."""


@dataclass(frozen=True)
class Limits:
    """What is held to be worse."""

    slower: float = 1.25
    """How many times as long a request may take."""
    drift: float = 0.25
    """Population stability index from which answers differ. Source: Siddiqi, Credit Risk Scorecards, 2006: 0.25 is a major shift."""
    requests: int = 100
    """Requests of the new deployment before there is a judgement."""


@dataclass(frozen=True)
class Judgement:
    """What came of a look."""

    state: State
    sentence: str
    """Why, for a person."""
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Looks:
    """The looks of one rollout, which share one error rate. `judge` takes one where it is time for it."""

    limits: Limits = field(default_factory=Limits)
    taken: int = 0
    _next: float = 0.0

    def begin_step(self) -> None:
        """Requests are counted from here on; the looks of earlier steps stay taken."""
        self._next = 0.0

    def due(self, new: Measures) -> bool:
        """Whether enough has come since the last look of this step."""
        return new.requests >= max(self._next, self.limits.requests)

    def judge(self, new: Measures, old: Iterable[Measures]) -> Judgement:
        """Judge a new deployment against the old ones over the same time, by what is spent on the next look."""
        self.taken += 1
        self._next = new.requests * GROWTH
        return judged(new, together(old), self.limits, LEVEL * 6 / (math.pi * self.taken) ** 2)


def judged(new: Measures, old: Measures, limits: Limits, level: float) -> Judgement:
    """Judge once, wrongly against a deployment as good as the old one with a probability of at most `level`."""
    counts = f"{new.requests:,} requests, {old.requests:,} of the old deployment"
    if new.requests < limits.requests or old.requests < limits.requests:
        few = f"{counts}: fewer than {limits.requests:,} of {'the old' if new.requests >= limits.requests else 'the new'} one"
        return Judgement("inconclusive", f"too few requests to judge ({few})")
    numbers: dict[str, float] = {}
    complaints = [
        complaint
        for complaint in (
            _errors(new, old, level / 3, numbers),
            _latency(new, old, limits.slower, level / 3, numbers),
            _answers(new, old, limits.drift, level / 3, numbers),
        )
        if complaint
    ]
    if complaints:
        return Judgement("unhealthy", "; ".join(complaints) + f" ({counts})", numbers)
    if (most := numbers.get("slower at most", math.inf)) >= limits.slower * HALF_AGAIN:
        time = (
            f"it may take up to {most:.1f} times as long" if most < 100 else "the time was too short to judge latency"
        )
        return Judgement("inconclusive", f"no worse so far, and {time} ({counts})", numbers)
    answers = ", and the same kind of answers" if new.classes or new.confidence else "; its answers are not known"
    return Judgement("healthy", f"no more errors, not slower{answers} ({counts})", numbers)


def together(several: Iterable[Measures]) -> Measures:
    """Several deployments as one."""
    everything = list(several)
    by_time: dict[float, Window] = {}
    for window in (window for each in everything for window in each.windows):
        known = by_time.get(window.begins, Window(window.begins, 0, 0.0))
        by_time[window.begins] = Window(
            window.begins,
            known.requests + window.requests,
            known.seconds + window.seconds,
            known.failed + window.failed,
        )
    confident = [each.confidence for each in everything if each.confidence]
    return Measures(
        requests=sum(each.requests for each in everything),
        errors=_sum(each.errors for each in everything),
        windows=[by_time[begins] for begins in sorted(by_time)],
        classes=_sum(each.classes for each in everything),
        confidence=[sum(column) for column in zip(*confident, strict=True)],
        unsure=sum(each.unsure for each in everything),
    )


def stability_index(expected: Sequence[float], actual: Sequence[float]) -> float:
    """The population stability index of two lists of counts over the same bins, half a row added to each bin."""
    shares = []
    for counts in (expected, actual):
        total = sum(counts) + 0.5 * len(counts)
        shares.append([(count + 0.5) / total for count in counts])
    return sum((a - e) * math.log(a / e) for e, a in zip(*shares, strict=True))


def _errors(new: Measures, old: Measures, level: float, numbers: dict[str, float]) -> str:
    """Fisher's exact test, one-sided: whether the new deployment fails a larger share of its requests."""
    from scipy.stats import hypergeom

    numbers |= {"errors": new.failed / new.requests, "errors before": old.failed / old.requests}
    failed = new.failed + old.failed
    if new.failed * old.requests <= old.failed * new.requests:
        return ""
    chance = float(hypergeom.sf(new.failed - 1, new.requests + old.requests, failed, new.requests))
    if chance > level:
        return ""
    kinds = ", ".join(f"{count:,} × {kind}" for kind, count in sorted(new.errors.items()) if count)
    return f"it fails {percent(numbers['errors'])} of its requests, the old one {percent(numbers['errors before'])} ({kinds})"


def _latency(new: Measures, old: Measures, slower: float, level: float, numbers: dict[str, float]) -> str:
    """Student's t on the logarithms of the ratio of mean latencies, window by window.

    Windows that follow each other are alike, so they count as n (1 - r) / (1 + r), with r the correlation of neighbours. Source: Zwiers
    and von Storch 1995, "Taking serial correlation into account in tests of the mean"; Marriott and Pope 1954, "Bias in the estimation
    of autocorrelations", for r of few windows.
    """
    import numpy as np
    from scipy.stats import t

    ratios = np.array(_ratios(new, old))
    if len(ratios) < LEAST_WINDOWS:
        return ""
    mean, deviations = float(ratios.mean()), ratios - ratios.mean()
    numbers["slower"] = math.exp(mean)
    variance = float(deviations @ deviations)
    neighbours = float(deviations[1:] @ deviations[:-1]) / variance if variance > 0 else 0.0
    alike = min(max((neighbours + 1 / len(ratios)) / (1 - 4 / len(ratios)), 0.0), 0.95)
    count = max(len(ratios) * (1 - alike) / (1 + alike), 2.0)
    error = math.sqrt(variance / (len(ratios) - 1) / count)
    missed = level * 3 * MISSED / LEVEL  # shared by the looks as LEVEL is
    numbers["slower at most"] = math.exp(min(mean + error * float(t.isf(missed, count - 1)), 100.0))
    excess = mean - math.log(slower)
    if excess <= 0 or (error > 0 and t.sf(excess / error, count - 1) > level):
        return ""
    return f"it takes {numbers['slower']:.2f} times as long as the old one"


def _ratios(new: Measures, old: Measures) -> list[float]:
    """For each window the logarithm of the new deployment's mean time by that of the old one.

    Windows are joined until both have enough requests: of a few the logarithm of the mean is too low.
    """
    before = {window.begins: window for window in old.windows}
    ratios = []
    joined = [0.0] * 4
    for window in new.windows:
        other = before.get(window.begins, Window(window.begins, 0, 0.0))
        parts = (window.requests, window.seconds, other.requests, other.seconds)
        requests, seconds, requests_before, seconds_before = joined = [
            total + part for total, part in zip(joined, parts, strict=True)
        ]
        if min(requests, requests_before) >= IN_WINDOW and min(seconds, seconds_before) > 0:
            ratios.append(math.log(seconds / requests) - math.log(seconds_before / requests_before))
            joined = [0.0] * 4
    return ratios


def _answers(new: Measures, old: Measures, drift: float, level: float, numbers: dict[str, float]) -> str:
    """Whether the predicted classes, or how sure the model is, differ: by Pearson's chi-square test, and by the stability index."""
    classes = sorted({*new.classes, *old.classes})
    if gone := _vanished(new, old, classes, level / 2):
        return f"it hardly answers {listing(map(repr, gone), 3)} any more"
    complaints = []
    tables = {
        "answers": [[*(each.classes.get(name, 0) for name in classes), each.unsure] for each in (old, new)],
        "confidence": [list(old.confidence), list(new.confidence)],
    }
    for name, (expected, actual) in tables.items():
        joined = _joined(expected, actual)
        if joined is None:
            continue
        numbers[name] = index = stability_index(*joined)
        if index >= drift and _chance(*joined) <= level / 4:
            complaints.append(f"{_SHIFTED[name]} (population stability index {index:.2f})")
    return "; ".join(complaints)


def _vanished(new: Measures, old: Measures, classes: Sequence[str], level: float) -> list[str]:
    """Classes that are hardly predicted any more, by Fisher's exact test for each: a rare one hardly moves the stability index."""
    from scipy.stats import hypergeom

    texts, before = sum(new.classes.values()), sum(old.classes.values())
    gone = []
    for name in classes if texts else ():
        given, earlier = new.classes.get(name, 0), old.classes.get(name, 0)
        if given * before < VANISHED * earlier * texts:
            chance = float(hypergeom.cdf(given, texts + before, given + earlier, texts))
            gone += [name] if chance <= level / len(classes) else []
    return gone


_SHIFTED = {
    "answers": "it gives other classes than the old one",
    "confidence": "its probabilities are not as high or low as those of the old one",
}


def _joined(expected: Sequence[int], actual: Sequence[int]) -> tuple[list[int], list[int]] | None:
    """The counts with the rarest bins joined until each expects enough; None where there is nothing to compare."""
    if not sum(expected) or not sum(actual):
        return None
    total = sum(expected) + sum(actual)
    smaller = min(sum(expected), sum(actual)) / total
    bins = sorted(zip(expected, actual, strict=True), key=sum)
    kept: list[tuple[int, int]] = []
    for one, other in bins:
        if kept and sum(kept[-1]) * smaller < LEAST_EXPECTED:
            kept[-1] = (kept[-1][0] + one, kept[-1][1] + other)
        elif one + other:
            kept.append((one, other))
    return ([one for one, _ in kept], [other for _, other in kept]) if len(kept) > 1 else None


def _chance(expected: Sequence[int], actual: Sequence[int]) -> float:
    """The probability of counts as different as these, if both come of one distribution."""
    from scipy.stats import chi2_contingency

    return float(chi2_contingency([expected, actual], correction=False).pvalue)


def _sum(mappings: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for mapping in mappings:
        for name, count in mapping.items():
            total[name] = total.get(name, 0) + count
    return total
