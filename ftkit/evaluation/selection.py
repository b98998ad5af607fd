"""Tells merit from luck: the best configurations are trained again with other seeds, and the best mean wins.

Of many trials the best is partly the luckiest, so its value flatters it (the winner's curse). The mean is therefore over the
repeats alone, whose seeds nobody chose for their results; the value that brought a configuration here does not count. That mean
is still the best of a few, and a little flattered: what a model is worth is for the test split to say.

The weights are another question. All models of the winning configuration, that of the search included, have the same expected
merit before one looks, so after looking the one with the best validation value is the best bet, however much of its lead is
luck. It becomes the bundle; its own value is told beside the mean and never instead of it.

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
    """A training to come: the values of trial `repeats` with a seed of its own."""

    number: int
    repeats: int
    values: Mapping[str, Any]
    seed: int


def searched_trials(trials: Sequence[Trial]) -> list[Trial]:
    """The trials of the search itself, by number."""
    return sorted((trial for trial in trials if trial.repeats is None), key=lambda each: each.number)


def planned_repeats(search: Search, seed: int, trials: Sequence[Trial]) -> list[Repeat]:
    """The repeats of a search that has ended, those that are done included; none where the recipe asks for none.

    A function of the recipe and of the search's trials alone, so that an interrupted confirmation goes on as it began.
    """
    if search.confirm is None:
        return []
    own = searched_trials(trials)
    first = max((trial.number for trial in own), default=-1) + 1
    leading = leading_trials(own, search.metric, search.confirm.top)
    pairs = [(leader, repeat) for leader in leading for repeat in range(search.confirm.seeds)]
    return [
        Repeat(number, leader.number, leader.values, _derived(seed, leader.number, repeat))
        for number, (leader, repeat) in enumerate(pairs, first)
    ]


def most_repeats(search: Search, trials: int) -> int:
    """How many repeats there will be after so many trials, if all of them finish."""
    if search.confirm is None:
        return 0
    sizes = [space.size(dimension) for dimension in search.space.values()]
    different = math.inf if None in sizes else math.prod(size for size in sizes if size is not None)
    return int(min(search.confirm.top, trials, different)) * search.confirm.seeds


def leading_trials(trials: Sequence[Trial], metric: str, count: int) -> list[Trial]:
    """The best finished trials of the search, the best first: one for each set of values, the earliest of equals."""
    different: dict[str, Trial] = {}
    for trial in _ranked(searched_trials(trials), metric):
        different.setdefault(json.dumps(trial.values, sort_keys=True, default=str), trial)
    return list(different.values())[:count]


def spreads(trials: Sequence[Trial], metric: str) -> list[Spread]:
    """What each repeated configuration came to, the winner first; none where nothing was repeated.

    The best mean comes first, of equal means the one that led the search. A configuration without a finished repeat comes
    after all that have one.
    """
    by_number = {trial.number: trial for trial in trials}
    repeated = {trial.repeats for trial in trials if trial.repeats is not None} & by_number.keys()
    ranked = _ranked([by_number[number] for number in repeated if number is not None], metric)
    found = [_spread(each, trials, metric) for each in ranked]

    def order(one: Spread, other: Spread) -> int:
        left, right = (math.nan if each.mean is None else each.mean for each in (one, other))
        return -1 if metrics.better(metric, left, right) else int(metrics.better(metric, right, left))

    return sorted(found, key=functools.cmp_to_key(order))


def best_trial(trials: Sequence[Trial], metric: str) -> Trial:
    """The trial whose model is the result of the search. Raises: SearchError when none finished.

    Without repeats it is the finished trial with the best validation value, the earliest of equals. With repeats it is the
    best model of the configuration with the best mean.
    """
    if winners := spreads(trials, metric):
        return _models(winners[0].number, trials, metric)[0]
    ranked = _ranked(searched_trials(trials), metric)
    if not ranked:
        raise SearchError(
            f"none of the {len(trials)} trials finished, so there is nothing to promote",
            hint="`ftkit runs` shows why each ended; their logs are in the run's folder.",
        )
    return ranked[0]


def trials_to_keep(search: Search, trials: Sequence[Trial]) -> set[int]:
    """Numbers of the finished trials whose models may still become the bundle; every other model may go."""
    count = search.confirm.top if search.confirm else 1
    leading = leading_trials(trials, search.metric, count)
    return {_models(leader.number, trials, search.metric)[0].number for leader in leading}


def _models(number: int, trials: Sequence[Trial], metric: str) -> list[Trial]:
    """A trial and its repeats as far as they finished, the best first."""
    return _ranked([trial for trial in trials if number in (trial.number, trial.repeats)], metric)


def _ranked(trials: Sequence[Trial], metric: str) -> list[Trial]:
    """The finished ones, the best first, the earliest of equals."""

    def order(one: Trial, other: Trial) -> int:
        left, right = (each.metrics.get(metric, math.nan) for each in (one, other))
        if metrics.better(metric, left, right):
            return -1
        return 1 if metrics.better(metric, right, left) else one.number - other.number

    return sorted((trial for trial in trials if trial.state == "finished"), key=functools.cmp_to_key(order))


def _spread(trial: Trial, trials: Sequence[Trial], metric: str) -> Spread:
    import statistics

    repeats = [each for each in trials if each.repeats == trial.number]
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


def _derived(seed: int, number: int, repeat: int) -> int:
    """A seed for one repeat, in the range of a recipe's, unlike those of all other trainings of the run."""
    digest = hashlib.sha256(f"{seed}/{number}/{repeat}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
