"""Which trial wins the search: by its validation value, or by the mean of repeats with other seeds.

The best of many trials is partly the luckiest, so its value flatters it (the winner's curse). With `confirm` the best
configurations are trained again with seeds drawn independently of their results, and the best mean over these repeats wins;
the value of the search itself does not count. That mean is still the best of a few and slightly too good: the test split measures
what a model is worth.

Which model becomes the bundle is another question. All models of the winning configuration, the one of the search included, are
equally good in expectation before their validation values are known; given the values, the one with the best value is the best
choice, however much of its lead is luck. It becomes the bundle; its own value is shown beside the mean, never instead of it.

Source: Cawley and Talbot 2010, "On Over-fitting in Model Selection and Subsequent Selection Bias in Performance Evaluation";
Reimers and Gurevych 2017, "Reporting Score Distributions Makes a Difference", for the spread over seeds; Dodge et al. 2020,
"Fine-Tuning Pretrained Language Models: Weight Initializations, Data Orders, and Early Stopping", for the best of several seeds.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftkit.contracts import space
from ftkit.contracts.settings import Search
from ftkit.contracts.types import Spread, Trial
from ftkit.errors import SearchError
from ftkit.evaluation import metrics


@dataclass(frozen=True)
class Repeat:
    """A training that is planned: the values of trial `repeats` with a seed of its own."""

    number: int
    repeats: int
    values: Mapping[str, Any]
    seed: int


def searched_trials(trials: Sequence[Trial]) -> list[Trial]:
    """The trials of the search without its repeats, by number."""
    return sorted((trial for trial in trials if trial.repeats is None), key=lambda each: each.number)


def planned_repeats(search: Search, seed: int, trials: Sequence[Trial]) -> list[Repeat]:
    """All repeats of a search that has ended, those already done included; none without `confirm` in the recipe.

    They depend on the recipe and the trials of the search alone, so that an interrupted confirmation continues unchanged.
    """
    if search.confirm is None:
        return []
    searched = searched_trials(trials)
    first_number = max((trial.number for trial in searched), default=-1) + 1
    leaders = leading_trials(searched, search.metric, search.confirm.top)
    pairs = [(leader, repeat) for leader in leaders for repeat in range(search.confirm.seeds)]
    return [
        Repeat(number, leader.number, leader.values, _repeat_seed(seed, leader.number, repeat))
        for number, (leader, repeat) in enumerate(pairs, first_number)
    ]


def most_repeats(search: Search, trials: int) -> int:
    """How many repeats follow this many trials if all trials finish."""
    if search.confirm is None:
        return 0
    configurations = space.combinations(search.space)
    return min(search.confirm.top, trials, trials if configurations is None else configurations) * search.confirm.seeds


def leading_trials(trials: Sequence[Trial], metric: str, count: int) -> list[Trial]:
    """The best finished trials of the search, the best first: one for each set of values, the earliest of equals."""
    by_values: dict[str, Trial] = {}
    for trial in _ranked(searched_trials(trials), metric):
        by_values.setdefault(json.dumps(trial.values, sort_keys=True, default=str), trial)
    return list(by_values.values())[:count]


def spreads(trials: Sequence[Trial], metric: str) -> list[Spread]:
    """The results of each repeated configuration, the winner first; none where nothing was repeated.

    They are ordered by their means, equal means by their rank in the search; a configuration without a finished repeat comes last.
    """
    by_number = {trial.number: trial for trial in trials}
    repeated = {trial.repeats for trial in _measured(trials)} & by_number.keys()
    ranked = _ranked([by_number[number] for number in repeated if number is not None], metric)
    results = [_spread(each, trials, metric) for each in ranked]

    def order(one: Spread, other: Spread) -> int:
        left, right = (math.nan if each.mean is None else each.mean for each in (one, other))
        return -1 if metrics.better(metric, left, right) else int(metrics.better(metric, right, left))

    return sorted(results, key=functools.cmp_to_key(order))


def best_trial(trials: Sequence[Trial], metric: str) -> Trial:
    """The trial whose model becomes the bundle. Raises: SearchError when none finished.

    Without repeats it is the finished trial with the best validation value, the earliest of equals. With repeats it is the
    best model of the configuration with the best mean.
    """
    if winners := spreads(trials, metric):
        return _same_values(winners[0].number, trials, metric)[0]
    ranked = _ranked(searched_trials(trials), metric)
    if not ranked:
        last = next((f": {trial.error}" for trial in reversed(trials) if trial.error), "")
        raise SearchError(
            f"none of the {len(trials)} trials finished, so there is nothing to promote{last}",
            hint="`ftkit runs RUN` shows why each trial failed; their logs are in the run's folder.",
        )
    return ranked[0]


def trials_to_keep(search: Search, trials: Sequence[Trial]) -> set[int]:
    """Numbers of the finished trials whose models may still become the bundle; other models may be deleted."""
    count = search.confirm.top if search.confirm else len(trials) if search.prefer else 1
    leaders = leading_trials(trials, search.metric, count)
    return {_same_values(leader.number, trials, search.metric)[0].number for leader in leaders}


def candidates(search: Search, trials: Sequence[Trial]) -> list[Trial]:
    """The finished trials whose models are there to be selected, the best of them by `best_trial` first. Raises: SearchError."""
    best, kept = best_trial(trials, search.metric), trials_to_keep(search, trials)
    others = [trial for trial in _ranked(trials, search.metric) if trial.number in kept and trial.number != best.number]
    return [best, *others]


def _same_values(number: int, trials: Sequence[Trial], metric: str) -> list[Trial]:
    """The finished ones of a trial and its repeats, the best first."""
    return _ranked([trial for trial in trials if number in (trial.number, trial.repeats)], metric)


def _ranked(trials: Sequence[Trial], metric: str) -> list[Trial]:
    """The finished trials, the best first, the earliest of equals."""

    def order(one: Trial, other: Trial) -> int:
        left, right = (each.metrics.get(metric, math.nan) for each in (one, other))
        if metrics.better(metric, left, right):
            return -1
        return 1 if metrics.better(metric, right, left) else one.number - other.number

    return sorted((trial for trial in trials if trial.state == "finished"), key=functools.cmp_to_key(order))


def _spread(trial: Trial, trials: Sequence[Trial], metric: str) -> Spread:
    import statistics

    repeats = [each for each in _measured(trials) if each.repeats == trial.number]
    values = [each.metrics.get(metric, math.nan) for each in repeats if each.state == "finished"]
    values = [value for value in values if not math.isnan(value)]
    return Spread(
        number=trial.number,
        values=trial.values,
        searched=trial.metrics.get(metric, math.nan),
        mean=statistics.fmean(values) if values else None,
        deviation=statistics.stdev(values) if len(values) > 1 else None,
        low=min(values, default=None),
        high=max(values, default=None),
        finished=len(values),
        failed=len(repeats) - len(values),
    )


def _measured(trials: Sequence[Trial]) -> list[Trial]:
    """The repeats, without those that a budget has stopped: they say nothing of a whole training."""
    return [trial for trial in trials if trial.repeats is not None and trial.state != "stopped"]


def _repeat_seed(seed: int, number: int, repeat: int) -> int:
    """A seed for one repeat, in the range of a recipe's seeds; no other training of the run has the same."""
    digest = hashlib.sha256(f"{seed}/{number}/{repeat}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
