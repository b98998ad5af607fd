"""What the answers to the test rows show: metrics with intervals, confusions, parts, flipped rows, worst mistakes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftkit.contracts import AnswerRule, Task
from ftkit.contracts.deciding import UNSURE
from ftkit.contracts.tasks import METRICS_OF
from ftkit.evaluation import calibration, decisions, metrics, paired_comparison, slices
from ftkit.evaluation.answer_rules import decide
from ftkit.report.facts import Answers

if TYPE_CHECKING:
    import numpy as np

WORK = 5_000_000
"""Rows drawn for one interval, so that a page of a hundred intervals takes seconds, however many rows there are."""
PARTS = 60
"""The most parts of the test rows that are shown."""
BINS = 10
FEW = 100
"""With fewer rows there are half as many bins."""


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
    """One metric on some of the test rows, of candidate and champion."""

    title: str
    metric: str
    rows: int
    candidate: Measure
    champion: Measure | None = None
    gain: Measure | None = None
    """How much better the candidate is; negative when worse."""


@dataclass(frozen=True)
class Answer:
    """The answers to one test row."""

    row: int
    """Counted from 1 within the test split."""
    text: str
    truth: str
    candidate: str
    certainty: float
    """Probability that the candidate gave its answer, or its least sure label."""
    champion: str = ""
    champion_certainty: float = math.nan


@dataclass(frozen=True)
class First:
    """The first of many answers, and how many there are in total."""

    shown: Sequence[Answer]
    total: int


@dataclass(frozen=True)
class Flips:
    """Rows on which candidate and champion answer differently, the most certain new answers first."""

    fixed: First
    broken: First
    other: int
    """Rows that both got wrong, with different answers."""
    p: float
    """McNemar's exact test of fixed against broken."""
    agree: int
    """Rows with the same answer."""


def resamples(rows: int) -> int:
    """How many resamples an interval over this many rows takes."""
    return max(200, min(1000, WORK // max(rows, 1)))


def scored(answers: Answers) -> list[Row]:
    """Every metric, with intervals."""
    return [
        _compared(
            metrics.TITLES[metric],
            metric,
            *answers.measured(metric),
            answers.labels,
            answers.seed,
        )
        for metric in METRICS_OF[answers.data.task]
    ]


def sliced(answers: Answers, metric: str) -> list[Row]:
    """The metric on each part of the test rows: by class, by text length, by columns with few values."""
    groups = slices.groups(answers.data, classes=True, lengths=4, columns=None, max_values=12)[:PARTS]
    rows = []
    own, other = answers.measured(metric)
    for group in groups:
        candidate, labels, used = slices.metric_inputs(metric, group, own, answers.labels)
        champion = None
        if other is not None:
            champion, _, _ = slices.metric_inputs(metric, group, other, answers.labels)
        rows.append(_compared(group.title, used, candidate, champion, labels, answers.seed, len(group.rows)))
    return rows


def _compared(
    title: str,
    metric: str,
    candidate: np.ndarray,
    champion: np.ndarray | None,
    labels: np.ndarray,
    seed: int,
    rows: int | None = None,
) -> Row:
    """One metric with its interval, beside the champion's and the paired difference."""
    rows = len(labels) if rows is None else rows
    value = metrics.score(metric, candidate, labels)
    if math.isnan(value):
        return Row(title, metric, rows, Measure(value))
    draws = resamples(len(labels))
    if champion is None:
        low, high = metrics.interval(metric, candidate, labels, seed=seed, resamples=draws)
        return Row(title, metric, rows, Measure(value, low, high))
    pair = paired_comparison.compare(metric, candidate, champion, labels, seed=seed, resamples=draws)
    return Row(
        title,
        metric,
        rows,
        Measure(value, *pair.own),
        Measure(metrics.score(metric, champion, labels), *pair.other),
        Measure(pair.difference, *pair.interval(0.95)),
    )


def confusion(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Counts of rows by label and answer, (classes, classes), where a row has one label."""
    import numpy as np

    table = np.zeros((probabilities.shape[1],) * 2, dtype=int)
    np.add.at(table, (labels, probabilities.argmax(axis=1)), 1)
    return table


@dataclass(frozen=True)
class OwnMetrics:
    """How well one label of several is answered."""

    name: str
    rows: int
    """Rows that have it."""
    answered: int
    """Rows that get it."""
    precision: float
    """NaN where no row gets it."""
    recall: float
    """NaN where no row has it; so is the average precision."""
    f1: float
    average_precision: float


def label_metrics(answers: Answers) -> list[OwnMetrics]:
    """Each label of multi-label rows on its own."""
    import numpy as np

    labels, (probabilities, _) = answers.labels, answers.given
    given = decisions.answers(probabilities, "multi-label")
    table = []
    for index, name in enumerate(answers.data.classes):
        rows, answered = int(labels[:, index].sum()), int(given[:, index].sum())
        hits = int((labels[:, index] * given[:, index]).sum())
        own = np.s_[:, [index]]
        f1, precision = (metrics.score(metric, probabilities[own], labels[own]) for metric in ("macro_f1", "map"))
        table.append(
            OwnMetrics(
                name,
                rows,
                answered,
                hits / answered if answered else math.nan,
                hits / rows if rows else math.nan,
                f1,
                precision,
            )
        )
    return table


@dataclass(frozen=True)
class Bins:
    """Mean certainty and share of right answers, by bins of equally many rows, or decisions on a label."""

    rows: np.ndarray
    certainty: np.ndarray
    right: np.ndarray
    error: float
    """Expected calibration error."""
    brier: float


def reliability_bins(probabilities: np.ndarray, labels: np.ndarray, bins: int | None = None) -> Bins:
    """How certain the answers are and how often they are right; by default, few rows have fewer bins."""
    certainty, right = decisions.decisions(probabilities, labels)
    placed = calibration.equal_mass_bins(certainty, bins or (BINS if len(certainty) >= FEW else BINS // 2))
    rows, mean_certainty, share_right = calibration.bin_means(certainty, right, placed)
    error = calibration.binned_error(certainty, right, placed)
    return Bins(rows, mean_certainty, share_right, error, calibration.brier(probabilities, labels))


def changed(before: np.ndarray, after: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows that only the answers `after` get right, and those that only the answers `before` get right."""
    import numpy as np

    right_before, right_after = (decisions.right_rows(each, labels) for each in (before, after))
    return np.flatnonzero(right_after & ~right_before), np.flatnonzero(right_before & ~right_after)


def agreement(one: np.ndarray, other: np.ndarray, task: Task) -> int:
    """The number of rows with the same answer."""
    return int((decisions.answers(one, task) == decisions.answers(other, task)).all(axis=1).sum())


def flipped(answers: Answers, most: int = 20) -> Flips | None:
    """The rows on which the answers of candidate and champion differ; None without a champion."""
    own, other = answers.given
    if other is None:
        return None
    fixed, broken = changed(other, own, answers.labels)
    agree = agreement(other, own, answers.data.task)
    return Flips(
        _most_certain(answers, fixed, most),
        _most_certain(answers, broken, most),
        other=len(answers.labels) - agree - len(fixed) - len(broken),
        p=paired_comparison.mcnemar(len(fixed), len(broken)),
        agree=agree,
    )


def worst(answers: Answers, most: int = 20) -> First:
    """The mistakes the candidate was most certain of."""
    import numpy as np

    return _most_certain(answers, np.flatnonzero(~decisions.right_rows(answers.given[0], answers.labels)), most)


def _most_certain(answers: Answers, rows: np.ndarray, most: int) -> First:
    """The answers to these rows, those the candidate was most certain of first."""
    import numpy as np

    data = answers.data
    certainty = decide(answers.candidate, data.classes, data.task, answers.rule).certainty
    order = rows[np.argsort(-certainty[rows], kind="stable")]
    return First([_answer(answers, int(row)) for row in order[:most]], len(rows))


def _answer(answers: Answers, row: int) -> Answer:
    classes, task, label = answers.data.classes, answers.data.task, answers.labels[row]

    def named(probabilities: np.ndarray, rule: AnswerRule | None) -> tuple[str, float]:
        decided = decide(probabilities[None], classes, task, rule)
        name = decisions.named(decided.answers[0], classes)
        return f"{UNSURE}, else {name}" if decided.unsure[0] else name, float(decided.certainty[0])

    truth = decisions.named(label, classes) if task == "multi-label" else classes[label]
    text = answers.data.test.texts[row]
    champion = named(answers.champion[row], answers.champion_rule) if answers.champion is not None else ()
    return Answer(row + 1, text, truth, *named(answers.candidate[row], answers.rule), *champion)
