"""What the answers to the test rows come to: metrics with intervals, confusions, parts, flipped rows, worst errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftkit.evaluation import calibration, metrics, paired_comparison, slices
from ftkit.report.facts import Answers

if TYPE_CHECKING:
    import numpy as np

WORK = 5_000_000
"""Rows drawn for one interval: a page of a hundred intervals is made in seconds, however many rows there are."""
PARTS = 60
"""Parts of the test rows that are shown."""
BINS = 10
FEW = 100
"""Rows below which there are half as many bins."""


@dataclass(frozen=True)
class Measure:
    """A value on the test rows and its 95 % interval."""

    value: float
    low: float = math.nan
    high: float = math.nan

    @property
    def bounded(self) -> bool:
        """Whether there is an interval."""
        return not math.isnan(self.low)


@dataclass(frozen=True)
class Row:
    """One metric on some of the test rows, by candidate and champion."""

    title: str
    metric: str
    rows: int
    candidate: Measure
    champion: Measure | None = None
    gain: Measure | None = None
    """How much better the candidate is; negative when worse."""


@dataclass(frozen=True)
class Answer:
    """What was said of one test row."""

    row: int
    """Counted from 1 within the test split."""
    text: str
    truth: str
    candidate: str
    certainty: float
    """Probability the candidate gave its answer; for the champion, `others`."""
    champion: str = ""
    others: float = math.nan


@dataclass(frozen=True)
class First:
    """The first of some answers, and how many there are in all."""

    shown: Sequence[Answer]
    total: int


@dataclass(frozen=True)
class Flips:
    """Rows on which candidate and champion answer differently, the most certain new answers first."""

    fixed: First
    broken: First
    other: int
    """Rows that both got wrong in different ways."""
    p: float
    """McNemar's exact test of fixed against broken."""
    agree: int


def resamples(rows: int) -> int:
    """How often to resample so many rows."""
    return max(200, min(1000, WORK // max(rows, 1)))


def scored(answers: Answers) -> list[Row]:
    """Every metric, with intervals."""
    return [
        _compared(
            metrics.TITLES[metric],
            metric,
            answers.candidate,
            answers.champion,
            answers.labels,
            answers.seed,
        )
        for metric in metrics.METRICS
    ]


def sliced(answers: Answers, metric: str) -> list[Row]:
    """The metric on each part of the test rows: by class, by text length, by columns with few values."""
    found = slices.groups(answers.data, classes=True, lengths=4, columns=None, max_values=12)[:PARTS]
    rows = []
    for group in found:
        mine, labels, used = slices.metric_inputs(metric, group, answers.candidate, answers.labels)
        theirs = None
        if answers.champion is not None:
            theirs, _, _ = slices.metric_inputs(metric, group, answers.champion, answers.labels)
        rows.append(_compared(group.title, used, mine, theirs, labels, answers.seed, len(group.rows)))
    return rows


def _compared(
    title: str,
    metric: str,
    mine: np.ndarray,
    theirs: np.ndarray | None,
    labels: np.ndarray,
    seed: int,
    rows: int | None = None,
) -> Row:
    """One metric with its interval, beside the champion's and the paired difference."""
    rows = len(labels) if rows is None else rows
    value = metrics.score(metric, mine, labels)
    if math.isnan(value):
        return Row(title, metric, rows, Measure(value))
    often = resamples(len(labels))
    if theirs is None:
        low, high = metrics.interval(metric, mine, labels, seed=seed, resamples=often)
        return Row(title, metric, rows, Measure(value, low, high))
    pair = paired_comparison.compare(metric, mine, theirs, labels, seed=seed, resamples=often)
    return Row(
        title,
        metric,
        rows,
        Measure(value, *paired_comparison.percentiles(pair.own, 0.95)),
        Measure(metrics.score(metric, theirs, labels), *paired_comparison.percentiles(pair.other, 0.95)),
        Measure(pair.difference, *pair.interval(0.95)),
    )


def confusion(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Rows by true class and answer, (classes, classes)."""
    import numpy as np

    table = np.zeros((probabilities.shape[1],) * 2, dtype=int)
    np.add.at(table, (labels, probabilities.argmax(axis=1)), 1)
    return table


@dataclass(frozen=True)
class Bins:
    """Certainty and truth of the answers, by bins of equally many rows."""

    rows: np.ndarray
    certainty: np.ndarray
    right: np.ndarray
    error: float
    """Expected calibration error."""
    brier: float


def reliable(probabilities: np.ndarray, labels: np.ndarray, bins: int | None = None) -> Bins:
    """How certain the answers are and how often they are right; few rows make fewer bins unless told how many."""
    certainty, right = probabilities.max(axis=1), (probabilities.argmax(axis=1) == labels).astype(float)
    placed = calibration.equal_mass_bins(certainty, bins or (BINS if len(labels) >= FEW else BINS // 2))
    rows, sure, hit = calibration.bin_means(certainty, right, placed)
    error = calibration.binned_error(certainty, right, placed)
    return Bins(rows, sure, hit, error, calibration.brier(probabilities, labels))


def flipped(answers: Answers, most: int = 20) -> Flips | None:
    """The rows on which the answers differ; None without a champion."""
    import numpy as np

    if answers.champion is None:
        return None
    mine, theirs = answers.candidate.argmax(axis=1), answers.champion.argmax(axis=1)
    right, before = mine == answers.labels, theirs == answers.labels
    fixed, broken = np.flatnonzero(right & ~before), np.flatnonzero(~right & before)
    differ = mine != theirs
    return Flips(
        _surest(answers, fixed, most),
        _surest(answers, broken, most),
        other=int((differ & ~right & ~before).sum()),
        p=paired_comparison.mcnemar(len(fixed), len(broken)),
        agree=int((~differ).sum()),
    )


def worst(answers: Answers, most: int = 20) -> First:
    """The mistakes the candidate was most certain of."""
    import numpy as np

    return _surest(answers, np.flatnonzero(answers.candidate.argmax(axis=1) != answers.labels), most)


def _surest(answers: Answers, rows: np.ndarray, most: int) -> First:
    import numpy as np

    order = rows[np.argsort(-answers.candidate.max(axis=1)[rows], kind="stable")]
    return First([_answer(answers, int(row)) for row in order[:most]], len(rows))


def _answer(answers: Answers, row: int) -> Answer:
    classes, mine, theirs = answers.data.classes, answers.candidate[row], answers.champion
    said = int(mine.argmax())
    other = int(theirs[row].argmax()) if theirs is not None else -1
    return Answer(
        row + 1,
        answers.data.test.texts[row],
        classes[answers.labels[row]],
        classes[said],
        float(mine[said]),
        classes[other] if theirs is not None else "",
        float(theirs[row][other]) if theirs is not None else math.nan,
    )
