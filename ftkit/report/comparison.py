"""Two runs side by side: where their recipes, data, winners, test metrics and verdicts agree and where they differ."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftkit.contracts.tasks import METRICS_OF
from ftkit.evaluation import metrics, paired_comparison
from ftkit.formatting import capital
from ftkit.report.answers import agreement, changed, resamples
from ftkit.report.facts import Answers, Facts


@dataclass(frozen=True)
class Change:
    """A value of both runs; None where a run has none."""

    key: str
    one: Any
    other: Any


@dataclass(frozen=True)
class Scored:
    """One metric of both runs; the difference is the second minus the first."""

    metric: str
    one: float | None
    other: float | None
    difference: float | None
    low: float | None = None
    """The 95 % interval of the difference, by resampling the rows in pairs; None where the rows are not the same."""
    high: float | None = None

    @property
    def direction(self) -> str:
        """Whether the second run is `better`, `worse` or `not told apart`; empty when the rows differ."""
        if self.low is None or self.high is None:
            return ""
        if self.low <= 0 <= self.high:
            return "not told apart"
        return "better" if (self.low > 0) == metrics.GREATER_IS_BETTER[self.metric] else "worse"


@dataclass(frozen=True)
class Flipped:
    """Test rows whose answers differ between the runs."""

    rows: int
    agree: int
    fixed: int
    """Wrong in the first run, right in the second."""
    broken: int
    p: float
    """McNemar's exact test of fixed against broken."""


@dataclass(frozen=True)
class Comparison:
    """Everything that is compared of two runs."""

    one: Facts
    other: Facts
    recipe: Sequence[Change]
    data: Sequence[Change]
    same_data: bool
    winners: Sequence[Change]
    validation: Sequence[Scored]
    test: Sequence[Scored]
    flipped: Flipped | None
    verdicts: Sequence[Change]
    stages: Sequence[Change]
    notes: Sequence[str]
    """What cannot be compared, and why; a sentence each."""


def compare(one: Facts, other: Facts) -> Comparison:
    """Put two runs side by side, as far as both went."""
    difference = _row_difference(one, other)
    paired = one.answers is not None and other.answers is not None and not difference
    return Comparison(
        one=one,
        other=other,
        recipe=_changes(_flat(_table(one.recipe)), _flat(_table(other.recipe))),
        data=_changes(_data(one), _data(other)),
        same_data=one.data is not None and other.data is not None and one.data.fingerprint == other.data.fingerprint,
        winners=_changes(_winner(one), _winner(other), every=True),
        validation=_scored(_validation(one), _validation(other)),
        test=_paired(one.answers, other.answers) if paired else _scored(one.metrics, other.metrics),
        flipped=_flipped(one.answers, other.answers) if paired else None,
        verdicts=_changes(_verdicts(one), _verdicts(other), every=True),
        stages=_changes(dict(one.stages), dict(other.stages), every=True),
        notes=list(_notes(one, other, difference)),
    )


def _notes(one: Facts, other: Facts, row_difference: str) -> Iterator[str]:
    for run in (one, other):
        if run.decision is None:
            yield f"{run.run} has not reached its promotion tests ({run.state}), so it has no test metrics."
        elif run.answers is None:
            yield f"{run.run}: {run.missing}"
    if row_difference:
        yield (
            f"{capital(row_difference)}: the test metrics were measured on different rows, and the rows alone may "
            f"explain a difference. The runs cannot be compared row by row."
        )
    if one.metric != other.metric:
        yield f"The searches used different metrics: {one.metric} and {other.metric}."


def _row_difference(one: Facts, other: Facts) -> str:
    """Why the runs cannot be compared row by row; empty when their test rows are the same."""
    first, second = one.answers, other.answers
    if first is None or second is None:
        if one.data is not None and other.data is not None and one.data.fingerprint != other.data.fingerprint:
            return "the runs have different data"
        return ""
    if first.data.task != second.data.task:
        return "the runs have different tasks"
    if first.data.classes != second.data.classes:
        return "the runs have different classes"
    one_test, other_test = first.data.test, second.data.test
    if list(one_test.texts) != list(other_test.texts) or list(one_test.labels) != list(other_test.labels):
        return "the runs have different test rows"
    return ""


def _paired(one: Answers | None, other: Answers | None) -> list[Scored]:
    assert one is not None and other is not None
    scored = []
    for metric in METRICS_OF[one.data.task]:
        own, others = (each.measured(metric)[0] for each in (one, other))
        first, second = (metrics.score(metric, each, one.labels) for each in (own, others))
        if math.isnan(first) or math.isnan(second):
            scored.append(Scored(metric, _value(first), _value(second), None))
            continue
        pair = paired_comparison.compare(
            metric, others, own, one.labels, seed=one.seed, resamples=resamples(len(one.labels))
        )
        sign = 1 if metrics.GREATER_IS_BETTER[metric] else -1
        low, high = sorted(sign * each for each in pair.interval(0.95))
        scored.append(Scored(metric, first, second, second - first, _value(low), _value(high)))
    return scored


def _flipped(one: Answers | None, other: Answers | None) -> Flipped:
    assert one is not None and other is not None
    own, others = one.given[0], other.given[0]
    fixed, broken = map(len, changed(own, others, one.labels))
    agree = agreement(own, others, one.data.task)
    return Flipped(len(one.labels), agree, fixed, broken, paired_comparison.mcnemar(fixed, broken))


def _scored(one: Mapping[str, float], other: Mapping[str, float]) -> list[Scored]:
    names = [name for name in metrics.METRICS if name in one or name in other]
    scored = []
    for name in names:
        first, second = _value(one.get(name)), _value(other.get(name))
        difference = second - first if first is not None and second is not None else None
        scored.append(Scored(name, first, second, difference))
    return scored


def _value(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


def _validation(facts: Facts) -> Mapping[str, float]:
    return facts.winner.metrics if facts.winner is not None else {}


def _winner(facts: Facts) -> dict[str, Any]:
    if facts.winner is None:
        return {}
    winner = facts.winner
    return {"trial": winner.number, **winner.values, "seed": winner.seed, "epoch": winner.epoch}


def _verdicts(facts: Facts) -> dict[str, Any]:
    statuses: dict[str, Any] = {}
    for verdict in facts.verdicts:
        name, count = verdict.test, 2
        while name in statuses:  # a recipe may name one test twice
            name, count = f"{verdict.test} ({count})", count + 1
        statuses[name] = verdict.status
    return statuses


def _data(facts: Facts) -> dict[str, Any]:
    report = facts.data
    if report is None:
        return {}
    sizes = {f"{name} rows": size for name, size in report.sizes.items()}
    classes = ", ".join(facts.classes)
    return {"source": report.source, "classes": classes, **sizes, "fingerprint": report.fingerprint[:16]}


def _table(recipe: str) -> dict[str, Any]:
    try:
        return tomllib.loads(recipe)
    except ValueError:
        return {}


def _flat(value: Any, key: str = "") -> dict[str, Any]:
    """A recipe's values by dotted key, as `--set` takes them."""
    inner: Iterator[tuple[Any, Any]] | None = None
    if isinstance(value, Mapping) and value:
        inner = iter(value.items())
    elif isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        inner = iter(enumerate(value))
    if inner is None:
        return {key: value}
    flat: dict[str, Any] = {}
    for name, inner_value in inner:
        flat |= _flat(inner_value, f"{key}.{name}" if key else str(name))
    return flat


def _changes(one: Mapping[str, Any], other: Mapping[str, Any], every: bool = False) -> list[Change]:
    """The keys whose values differ; with `every`, all keys."""
    return [
        Change(key, one.get(key), other.get(key))
        for key in dict.fromkeys([*one, *other])
        if every or one.get(key) != other.get(key)
    ]
