"""How often promotion tests err: `no-worse-than-champion` and `slices` on simulated models of known quality.

    python -m benchmarks gate [--simulations 400] [--resamples 500] [--metrics accuracy macro_f1 weighted_f1 mcc roc_auc log_loss]
                              [--sizes 100 200 500 1500] [--tests no-worse-than-champion slices]

First table: how often `no-worse-than-champion` lets a candidate pass that is worse by exactly the margin. It promises
2.5 %.

Each simulation draws test rows and two models' probabilities for them, and runs the promotion test. A model sees a
row's class through noise, s = ±d + e with e normal, and answers with the probability that follows from s; part of the
noise is the same for both models, as models trained on the same rows err on the same rows. The champion's d gives an
accuracy of about 0.9; the candidate's is solved for, so that in the population its metric is worse by the margin. In
the lines called nested, for accuracy only, the candidate repeats every error of the champion and adds its own: the
hardest case. In those called misread, for ROC AUC only, the candidate is as good as the champion but takes a few rows for
the other class.

The last column is the power: how often a candidate that is exactly as good as the champion is shown to be no worse.

Second table: how often `slices` calls a slice of a candidate worse, although it is as good as the champion in all
slices. It promises 5 % at most, for any number of slices.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ftkit_strict.champion import NoWorseThanChampion
from ftkit_strict.slices import Slices
from scipy.optimize import brentq
from scipy.stats import norm

from benchmarks import command
from ftkit.contracts import Contender, Data, DataReport, Split
from ftkit.contracts.tasks import METRICS_OF

CHAMPION = 1.28
"""Distance of a class's mean from the middle, in standard deviations of the noise: 90 % of balanced rows are right."""
SHARED = {"alike": 0.9, "unlike": 0.5}
"""Share of the noise that both models have in common."""
HARDEST = {"accuracy": ["nested"], "roc_auc": ["misread"]}
"""What is simulated besides, by metric."""


class NoWorseWithoutChart(NoWorseThanChampion):
    """The promotion test without its chart, which takes most of the time."""

    def _chart(self, *_: Any) -> str:
        return ""


class SlicesWithoutChart(Slices):
    """The test `slices` without its chart."""

    def _chart(self, *_: Any) -> str:
        return ""


@dataclass(frozen=True)
class Case:
    """One line of the table."""

    metric: str
    rows: int
    positive: float
    """Share of the positive class."""
    errors: str
    """How much the models' errors have in common."""
    margin: float = 0.02


def cases(names: list[str], sizes: list[int]) -> Iterator[Case]:
    """All lines: every metric, size and balance; for accuracy also nested errors."""
    for metric in names:
        for rows in sizes:
            for positive in (0.5, 0.2):
                for errors in (*SHARED, *HARDEST.get(metric, ())):
                    yield Case(metric, rows, positive, errors)


def main(arguments: Sequence[str]) -> None:
    """Simulate and print a table."""
    parser = command.plain("gate", __doc__)
    parser.add_argument("--simulations", type=int, default=400, help="candidates for each line")
    parser.add_argument("--resamples", type=int, default=500, help="of the first test; its default is 2000")
    parser.add_argument("--metrics", nargs="+", default=list(METRICS_OF["single-label"]))
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 200, 500, 1500], help="numbers of test rows")
    tests = [NoWorseThanChampion.name, Slices.name]
    parser.add_argument("--tests", nargs="+", choices=tests, default=tests)
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    if NoWorseThanChampion.name in options.tests:
        compare_with_champion(options)
    if Slices.name in options.tests:
        compare_parts(options)
    print(
        f"\n{options.simulations:,} simulations a line, {options.resamples:,} resamples, margin 0.02, intervals of 95 %; ",
        end="",
    )
    print(f"{time.perf_counter() - start:,.0f} s.")


def compare_with_champion(options: argparse.Namespace) -> None:
    """Print the first table."""
    print("| metric | rows | positive | errors | worse by the margin: passes | as good: passes |")
    print("|---|---|---|---|---|---|")
    for number, case in enumerate(cases(options.metrics, options.sizes)):
        worse, equal = (
            passes(case, loss, options.simulations, options.resamples, seed=10 * number + place)
            for place, loss in enumerate((case.margin, 0.0))
        )
        low, high = wilson(worse, options.simulations)
        share = f"{worse / options.simulations:.1%} ({low:.1%} to {high:.1%})"
        print(
            f"| {case.metric} | {case.rows:,} | {case.positive:.0%} | {case.errors} | {share} "
            f"| {equal / options.simulations:.0%} |",
            flush=True,
        )


def compare_parts(options: argparse.Namespace) -> None:
    """Print the second table."""
    print("\n| metric | rows | classes | accuracy | columns | parts | as good: some part is called worse |")
    print("|---|---|---|---|---|---|---|")
    for number, alarm in enumerate(ALARMS):
        parts, hits = false_alarms(alarm, options.simulations, seed=1000 + number)
        low, high = wilson(hits, options.simulations)
        shape = f"{alarm.metric} | {alarm.rows:,} | {alarm.classes} | {alarm.accuracy:.0%} | {alarm.columns} | {parts}"
        print(f"| {shape} | {hits / options.simulations:.1%} ({low:.1%} to {high:.1%}) |", flush=True)


def passes(case: Case, loss: float, simulations: int, resamples: int, seed: int) -> int:
    """How many of the simulated candidates pass the test."""
    random = np.random.default_rng(seed)
    candidate_distance = distance(case.metric, case.positive, loss) if case.errors in SHARED else CHAMPION
    test = NoWorseWithoutChart(margin=case.margin, resamples=resamples)
    passed = 0
    for simulation in range(simulations):
        labels = (random.random(case.rows) < case.positive).astype(np.int64)
        if case.errors == "nested":
            candidate, champion = nested(labels, case.positive, loss, random)
        elif case.errors == "misread":
            candidate, champion = misread(labels, case.positive, loss, random)
        else:
            candidate, champion = apart(labels, case.positive, candidate_distance, SHARED[case.errors], random)
        one, other = (np.stack([1 - each, each], axis=1) for each in (candidate, champion))
        passed += test.check(*contenders(case.metric, labels, one, other, simulation)).status == "passed"
    return passed


def apart(labels: Any, positive: float, candidate_distance: float, shared: float, random: Any) -> tuple[Any, Any]:
    """Probabilities of the positive class by two models that see a row through partly the same noise."""
    common = random.normal(size=len(labels)) * math.sqrt(shared)
    models = []
    for reach in (candidate_distance, CHAMPION):
        signal = reach * (2 * labels - 1) + common + random.normal(size=len(labels)) * math.sqrt(1 - shared)
        models.append(1 / (1 + np.exp(-(2 * reach * signal + math.log(positive / (1 - positive))))))
    return models[0], models[1]


def nested(labels: Any, positive: float, loss: float, random: Any) -> tuple[Any, Any]:
    """The champion's answers, and the same with a share of all rows wrong that the champion has right."""
    _, champion = apart(labels, positive, CHAMPION, 1.0, random)
    right = (champion > 0.5) == labels
    accuracy = population("accuracy", positive, CHAMPION)
    flipped = right & (random.random(len(labels)) < loss / accuracy)
    return np.where(flipped, 1 - champion, champion + (0.5 - champion) * 1e-3), champion


def misread(labels: Any, positive: float, loss: float, random: Any) -> tuple[Any, Any]:
    """Two models with much noise in common, of which the candidate has a share of the rows on the other side of the middle."""
    candidate, champion = apart(labels, positive, CHAMPION, SHARED["alike"], random)
    area = population("roc_auc", positive, CHAMPION)
    share = loss / (2 * area - 1)  # a pair with one such row is in order by half, one with two by 1 - area
    prior = math.log(positive / (1 - positive))
    logits = np.log(candidate / (1 - candidate)) - prior
    logits = np.where(random.random(len(labels)) < share, -logits, logits)
    return 1 / (1 + np.exp(-(logits + prior))), champion


def distance(metric: str, positive: float, loss: float) -> float:
    """The candidate's d, with which its metric is worse than the champion's by the loss, in the population."""
    sign = -1 if metric == "log_loss" else 1
    target = population(metric, positive, CHAMPION) - sign * loss
    return CHAMPION if not loss else float(brentq(lambda d: population(metric, positive, d) - target, 0.3, CHAMPION))


def population(metric: str, positive: float, d: float) -> float:
    """A metric over infinitely many rows."""
    prior = math.log(positive / (1 - positive))
    if metric == "roc_auc":
        return float(norm.cdf(d * math.sqrt(2)))
    if metric == "log_loss":
        noise = np.linspace(-8, 8, 4001)
        weights = norm.pdf(noise) * (noise[1] - noise[0])
        sides = [(positive, 1), (1 - positive, -1)]
        return float(
            sum(p * (weights * np.log1p(np.exp(-y * (2 * d * (y * d + noise) + prior)))).sum() for p, y in sides)
        )
    cut = -prior / (2 * d)
    caught, spared = norm.sf(cut - d), norm.cdf(cut + d)
    if metric == "accuracy":
        return float(positive * caught + (1 - positive) * spared)
    true, false = positive * caught, (1 - positive) * (1 - spared)
    other, missed = (1 - positive) * spared, positive * (1 - caught)
    if metric == "mcc":
        answered = true + false
        spread = math.sqrt(positive * (1 - positive) * answered * (1 - answered))
        return float((true * other - false * missed) / spread)
    weight = {"macro_f1": 0.5, "weighted_f1": positive}[metric]
    own, rest = 2 * true / (2 * true + false + missed), 2 * other / (2 * other + false + missed)
    return float(weight * own + (1 - weight) * rest)


def contenders(
    metric: str,
    labels: Any,
    candidate: Any,
    champion: Any,
    seed: int,
    texts: Sequence[str] = (),
    columns: Mapping[str, Sequence[Any]] | None = None,
) -> tuple[Contender, Contender]:
    """Candidate and champion with these probabilities."""
    split = Split(texts or [""] * len(labels), labels.tolist(), columns or {})
    classes = tuple(f"class {index}" for index in range(candidate.shape[1]))
    data = Data(classes, Split((), ()), Split((), ()), split, DataReport("simulated", 0, {}, {}, {}, ""))

    class Classifier:
        classes = data.classes

    return tuple(  # type: ignore[return-value]
        Contender(title, Path(), Classifier(), probabilities, data, metric, seed)  # type: ignore[arg-type]
        for title, probabilities in (("the candidate", candidate), ("the champion", champion))
    )


@dataclass(frozen=True)
class Alarm:
    """One line of the second table."""

    metric: str
    rows: int
    classes: int
    accuracy: float
    columns: int
    """Further columns of four values each."""


ALARMS = [
    Alarm("accuracy", 212, 5, 0.95, 0),
    Alarm("macro_f1", 212, 5, 0.95, 0),
    Alarm("roc_auc", 400, 2, 0.9, 0),
    Alarm("accuracy", 400, 2, 0.95, 5),
    Alarm("accuracy", 1500, 2, 0.9, 10),
]


def false_alarms(alarm: Alarm, simulations: int, seed: int) -> tuple[int, int]:
    """How many slices are judged, and how many of the simulated candidates fail in any of them."""
    random = np.random.default_rng(seed)
    test, failed, parts = SlicesWithoutChart(), 0, 0
    for simulation in range(simulations):
        labels = random.integers(0, alarm.classes, alarm.rows)
        texts = [" ".join(["word"] * int(words)) for words in random.integers(1, 200, alarm.rows)]
        columns = {f"column {number}": random.integers(0, 4, alarm.rows).tolist() for number in range(alarm.columns)}
        common, models = random.random(alarm.rows) < alarm.accuracy, []
        for _ in range(2):  # half of the errors are both models' own
            right = np.where(random.random(alarm.rows) < 0.5, common, random.random(alarm.rows) < alarm.accuracy)
            answers = np.where(right, labels, (labels + random.integers(1, alarm.classes, alarm.rows)) % alarm.classes)
            scores = random.random((alarm.rows, alarm.classes)) * 0.3 + 0.1
            scores[np.arange(alarm.rows), answers] += 0.9
            models.append(scores / scores.sum(axis=1, keepdims=True))
        one, other = contenders(alarm.metric, labels, models[0], models[1], simulation, texts, columns)
        verdict = test.check(one, other)
        failed += verdict.status == "failed"
        parts = int(verdict.numbers["judged"])
    return parts, failed


def wilson(hits: int, tries: int) -> tuple[float, float]:
    """A 95 % interval for a share."""
    share, z = hits / tries, 1.96
    centre = (share + z * z / (2 * tries)) / (1 + z * z / tries)
    spread = z * math.sqrt(share * (1 - share) / tries + z * z / (4 * tries**2)) / (1 + z * z / tries)
    return max(0.0, centre - spread), min(1.0, centre + spread)
