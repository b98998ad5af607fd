"""Proposes the values of each trial, so that a resumed search goes on as if it had not been interrupted.

A proposal is a pure function of the recipe's seed, the trial's number and the trials before it: the sampler is made
anew for each, and what it knows is in the journal.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ftkit import options
from ftkit.contracts import Trial, space
from ftkit.contracts.settings import Search
from ftkit.contracts.space import BACKBONE, BackboneChoice, Choice, Dimension, Int, LogUniform, Uniform
from ftkit.evaluation.metrics import GREATER_IS_BETTER

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.study import Study
    from optuna.trial import Trial as OptunaTrial

_DRAWS = 1000
"""Random draws before the next combination that is due is taken in order."""


def total(search: Search, tried: int = 0) -> int:
    """How many trials the search has: a grid ends with its last combination, without those that an earlier run has tried."""
    count = space.combinations(search.space) if search.sampler == "grid" and search.space else None
    return search.trials if count is None else min(search.trials, count - tried)


def remark(search: Search, tried: int = 0) -> str:
    """What the user should know of a space with fewer combinations than the recipe asks for trials; empty if there is nothing."""
    count = space.combinations(search.space)
    if not search.space or count is None or count - tried >= search.trials:
        return ""
    if search.sampler == "grid" and tried:
        return f"The grid has {count - tried} combinations that were not tried before: the search ends after them."
    if search.sampler == "grid":
        return f"The grid has {count} combinations: the search ends after them, not after {search.trials} trials."
    if search.sampler == "random":
        return f"The space has {count} combinations: trials after that repeat values with another seed."
    return ""


def propose(
    search: Search,
    seed: int,
    number: int,
    ended: Sequence[Trial],
    begun: Sequence[Mapping[str, Any]],
    before: Sequence[Trial] = (),
) -> tuple[dict[str, Any], int]:
    """Values and seed of trial `number`, given the trials that ended and the values of those that are under way.

    `before` are the trials that were taken from an earlier run. Values that an earlier trial had get the next seed: their trials
    differ by the seed alone.
    """
    earlier = [space.key(trial.values) for trial in (*before, *ended)] + [space.key(values) for values in begun]
    if not search.space:
        values: dict[str, Any] = {}
    elif search.sampler == "grid":
        tried = {space.key(trial.values) for trial in before}
        untried = (values for values in _grid(search.space) if space.key(values) not in tried)
        values = next(itertools.islice(untried, number, None))
    elif search.sampler == "random":
        values = _random(search, _derived(seed, number), Counter(earlier))
    else:
        values = _tpe(search, _derived(seed, number), [*before, *sorted(ended, key=lambda each: each.number)], begun)
        if space.key(values) in earlier and len(branches := space.branches(search.space)) > 1:
            values = _of_open_branch(search, branches, values, earlier, _derived(seed, number))
    return values, seed + earlier.count(space.key(values))


def _random(search: Search, seed: int, tried: Counter[str]) -> dict[str, Any]:
    """Values at random; in a finite space among those that were tried the fewest times."""
    from optuna.samplers import RandomSampler

    sampler = RandomSampler(seed=seed)
    study = _study(search, sampler)
    trial = study.ask()
    frozen = study.trials[trial.number]
    least = min(tried.values(), default=0) if len(tried) == space.combinations(search.space) else 0

    def draw(name: str, dimension: Dimension) -> Any:
        return _decoded(dimension, sampler.sample_independent(study, frozen, name, _distribution(dimension)))

    for _ in range(_DRAWS):
        drawn = _values(search.space, draw)
        if tried[space.key(drawn)] <= least:
            return drawn
    return next(values for values in _grid(search.space) if tried[space.key(values)] <= least)


def _tpe(search: Search, seed: int, ended: Sequence[Trial], begun: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Values by a tree-structured Parzen estimator over the trials so far.

    Source: Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization".
    """
    from optuna.samplers import TPESampler
    from optuna.trial import TrialState, create_trial

    # Trials under way count as bad ones, so that trials which run at the same time have different values.
    study = _study(search, TPESampler(seed=seed, constant_liar=search.concurrency > 1))

    def distributions(values: Mapping[str, Any]) -> dict[str, BaseDistribution]:
        dimensions = space.dimensions_of(search.space, values)
        return {name: _distribution(dimension) for name, dimension in dimensions.items()}

    states = {"finished": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "failed": TrialState.FAIL}
    for trial in ended:
        value = trial.metrics.get(search.metric, math.nan)
        curve = [entry[search.metric] for entry in trial.history]
        state = TrialState.FAIL if math.isnan(value) else states[trial.state]
        study.add_trial(
            create_trial(
                state=state,
                value=None if state is TrialState.FAIL else value,
                params=_encoded(search.space, trial.values),
                distributions=distributions(trial.values),
                intermediate_values=dict(enumerate(curve, 1)),
            )
        )
    for values in begun:
        params = _encoded(search.space, values)
        study.add_trial(create_trial(state=TrialState.RUNNING, params=params, distributions=distributions(values)))
    if "" in space.branches(search.space):
        params = study.ask(distributions({})).params
        return {name: _decoded(dimension, params[name]) for name, dimension in search.space.items()}
    asked = study.ask()
    return _values(search.space, lambda name, dimension: _decoded(dimension, _suggested(asked, name, dimension)))


def _suggested(trial: OptunaTrial, name: str, dimension: Dimension) -> Any:
    """What Optuna suggests for a dimension that not every trial has."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    match distribution := _distribution(dimension):
        case CategoricalDistribution():
            return trial.suggest_categorical(name, distribution.choices)
        case FloatDistribution():
            return trial.suggest_float(name, distribution.low, distribution.high, log=distribution.log)
        case IntDistribution():
            return trial.suggest_int(name, distribution.low, distribution.high, log=distribution.log)
        case _:
            raise AssertionError(f"no dimension has the distribution {distribution}")


def _of_open_branch(
    search: Search,
    branches: Mapping[str, Mapping[str, Dimension]],
    values: dict[str, Any],
    earlier: Sequence[str],
    seed: int,
) -> dict[str, Any]:
    """Values at random of a backbone that has untried ones, in place of values that were tried; those again where none has.

    The estimator would else train the best backbone again and again when it has tried all that its few values allow.
    """
    tried = Counter(json.loads(each)[BACKBONE] for each in set(earlier))
    counts = {name: space.combinations(fields) for name, fields in branches.items()}
    untried = tuple(name for name, count in counts.items() if count is None or tried[name] < count)
    if not untried:
        return values
    own = Counter(each for each in earlier if json.loads(each)[BACKBONE] in untried)
    return _random(replace(search, space={**search.space, BACKBONE: BackboneChoice(untried)}), seed, own)


def _values(dimensions: Mapping[str, Dimension], draw: Callable[[str, Dimension], Any]) -> dict[str, Any]:
    """Values drawn one after another: where backbones are searched, first the backbone, then its fields."""
    values: dict[str, Any] = {}
    if "" not in space.branches(dimensions):
        values[BACKBONE] = draw(BACKBONE, dimensions[BACKBONE])
    fields = space.dimensions_of(dimensions, values)
    return values | {name: draw(name, dimension) for name, dimension in fields.items() if name not in values}


def _study(search: Search, sampler: BaseSampler) -> Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        direction="maximize" if GREATER_IS_BETTER[search.metric] else "minimize", sampler=sampler
    )


def _distribution(dimension: Dimension) -> BaseDistribution:
    """The dimension as Optuna takes it; choices and stepped ranges by index, so that values of any type are possible."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    match dimension:
        case Choice(values):
            return CategoricalDistribution(tuple(range(len(values))))
        case LogUniform(low, high):
            return FloatDistribution(low, high, log=True)
        case Uniform(low, high, None):
            return FloatDistribution(low, high)
        case Int(low, high, _, True):
            return IntDistribution(low, high, log=True)
        case _:
            return IntDistribution(0, len(space.grid(dimension)) - 1)


def _by_index(dimension: Dimension) -> bool:
    return space.size(dimension) is not None and not (isinstance(dimension, Int) and dimension.log)


def _decoded(dimension: Dimension, drawn: Any) -> Any:
    """The value of which Optuna drew the index, or the number itself, as the journal can hold it."""
    return options.toml_value(space.grid(dimension)[int(drawn)]) if _by_index(dimension) else drawn


def _encoded(dimensions: Mapping[str, Dimension], values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: [space.key(options.toml_value(each)) for each in space.grid(dimension)].index(space.key(values[name]))
        if _by_index(dimension)
        else values[name]
        for name, dimension in space.dimensions_of(dimensions, values).items()
    }


def _grid(dimensions: Mapping[str, Dimension]) -> Iterator[dict[str, Any]]:
    """Every combination, the last dimension fastest; where backbones are searched, one of each in turn."""
    grids = [_grid_of(backbone, fields) for backbone, fields in space.branches(dimensions).items()]
    for values in itertools.chain.from_iterable(itertools.zip_longest(*grids)):
        if values is not None:
            yield values


def _grid_of(backbone: str, fields: Mapping[str, Dimension]) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*map(space.grid, fields.values())):
        own = dict(zip(fields, map(options.toml_value, values), strict=True))
        yield {BACKBONE: backbone, **own} if backbone else own


def _derived(seed: int, number: int) -> int:
    """A seed for one trial's draw, unlike those of other trials and other recipes' seeds."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{number}".encode()).digest()[:4], "big")
