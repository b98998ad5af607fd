"""How often a promised risk is exceeded, over simulated models: `python -m benchmarks abstain`.

Each simulated model has logits of two classes whose certainty is too high by a random temperature, as fine-tuned models have it, and
a share of wrong labels that no certainty shows. The best of several is chosen on validation rows. Its threshold of abstention comes
either from other rows, as ftkit does it, or from the same. Its true risk is that on very many new rows.
"""

from __future__ import annotations

import argparse
import functools
import math
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ftkit.evaluation.selective_risk import Rows, promise

SIZES = (200, 500, 1000, 4000)
ERRORS = (0.05, 0.1, 0.2)
RISK, CONFIDENCE = 0.05, 0.9
MODELS, CONTENDERS, NEW_ROWS = 300, 20, 20_000


class Result(NamedTuple):
    """What came of the models with some validation rows and some rate of errors."""

    rows: int
    error: float
    promised: float
    """The share of models of which a risk could be promised."""
    exceeded: float
    """The share of all models that broke their promise."""
    coverage: float
    """The mean share of answered new rows where it could."""
    same_rows: float
    """The share of all models that would break it, were it tested on the rows that chose the model."""


def results(models: int = MODELS, seed: int = 0) -> Iterator[Result]:
    """One for each number of validation rows and rate of errors."""
    for error in ERRORS:
        for rows in SIZES:
            generator = np.random.default_rng([seed, rows, int(1000 * error)])
            outcomes = np.array([_model(generator, rows, error) for _ in range(models)])
            given, exceeded, coverage, same = outcomes.T
            mean = float(coverage[given == 1].mean()) if given.any() else math.nan
            yield Result(rows, error, given.mean(), exceeded.mean(), mean, same.mean())


def _model(generator: np.random.Generator, rows: int, error: float) -> tuple[float, float, float, float]:
    """Whether something could be promised, whether it was broken, the coverage, and whether the same rows would have broken it."""
    half = rows // 2
    draws = [_rows(generator, half, error) for _ in range(CONTENDERS)]
    chosen = max(draws, key=lambda each: each.right.mean())
    fresh, new = _rows(generator, rows - half, error), _rows(generator, NEW_ROWS, error)
    outcome = promise(chosen, fresh, RISK, CONFIDENCE)
    broken = outcome.below is not None and _risk(new, outcome.below) > RISK
    coverage = new.answered(outcome.below)[0] / NEW_ROWS if outcome.below is not None else 0.0
    on_same = promise(chosen, chosen, RISK, CONFIDENCE).below
    return outcome.below is not None, broken, coverage, on_same is not None and _risk(new, on_same) > RISK


def _rows(generator: np.random.Generator, count: int, error: float) -> Rows:
    """Answers of a model with about this rate of errors, a fifth of which no certainty shows."""
    noise = error / 5
    scale = _scale(error - noise)
    logits = abs(generator.normal(0, scale, count))
    right = generator.random(count) < 1 / (1 + np.exp(-logits))
    right ^= generator.random(count) < noise
    return Rows(1 / (1 + np.exp(-1.5 * logits)), right)


@functools.cache
def _scale(error: float) -> float:
    """The spread of the logits with which a calibrated model is wrong so often."""
    quantiles = abs(np.random.default_rng(0).normal(0, 1, 4000))
    low, high = 0.01, 500.0
    for _ in range(40):
        middle = math.sqrt(low * high)
        if (1 / (1 + np.exp(middle * quantiles))).mean() > error:
            low = middle
        else:
            high = middle
    return middle


def _risk(rows: Rows, below: float) -> float:
    given, wrong = rows.answered(below)
    return wrong / given if given else 0.0


def main(arguments: Sequence[str]) -> None:
    """Print a table of all sizes and rates."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks abstain", description=__doc__)
    parser.add_argument("--models", type=int, default=MODELS, help="simulated models of each row of the table")
    models = parser.parse_args(arguments).models
    begun = time.perf_counter()
    print(f"risk at most {RISK:.0%} with confidence {CONFIDENCE:.0%}: at most {1 - CONFIDENCE:.0%} may exceed it\n")
    print("| rows | errors | promised | exceeded | answered | exceeded, same rows |")
    print("| --- | --- | --- | --- | --- | --- |")
    for each in results(models):
        answered = "–" if math.isnan(each.coverage) else f"{each.coverage:.0%}"
        print(
            f"| {each.rows:,} | {each.error:.0%} | {each.promised:.0%} | {each.exceeded:.1%} | {answered} "
            f"| {each.same_rows:.1%} |",
            flush=True,
        )
    print(f"\n{time.perf_counter() - begun:.0f} s")
