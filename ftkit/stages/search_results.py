"""Holds what a platform says of its trials to what it wrote into the ledger, before a winner is chosen."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from ftkit.contracts import Outcome, Trial, TrialState, space
from ftkit.contracts.plan import Plan
from ftkit.errors import FtkitError, SearchError, in_one_line
from ftkit.evaluation.selection import best_trial, planned_repeats
from ftkit.options import toml_value
from ftkit.plugins.titles import title
from ftkit.runs import cost, decision, warm_start
from ftkit.runs.ledger import Ledger


def check(plan: Plan, ledger: Ledger, trials: Any) -> None:
    """Check the trials and repeats that a platform returned at the end of its search. Raises: SearchError naming the platform."""
    _raise_first(plan, _mistakes(plan, ledger, trials))
    best = best_trial(trials, plan.search.metric)
    if not (ledger.trial_folder(best.number) / "model").is_dir():
        hint = "`ftkit.stages.trial.fit` saves it in the trial's folder, and `trials_to_keep` names those to keep."
        _raise_first(plan, iter([(f"no model of trial {best.number}, which is the best", hint)]))


def check_outcome(plan: Plan, outcome: Any) -> None:
    """Check what a platform says of a whole run against the run's folder. Raises: SearchError naming the platform."""
    _raise_first(plan, _mistakes_of_outcome(plan, outcome))


def _mistakes(plan: Plan, ledger: Ledger, trials: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(trials, list | tuple) or not all(isinstance(trial, Trial) for trial in trials):
        yield f"{type(trials).__name__} in place of trials", ""
        return
    numbers = Counter(trial.number for trial in trials)
    if twice := [number for number, count in numbers.items() if count > 1]:
        yield f"two trials of number {twice[0]}", ""
    for trial in trials:
        yield from _mistakes_of_trial(plan, trial)
    searched = sum(trial.repeats is None for trial in trials)
    wanted = cost.trials(plan, warm_start.combinations(warm_start.taken(ledger)))
    ended_by_budget = ledger.fact("budget-spent") is not None
    if searched < wanted and not ended_by_budget:
        hint = f"Give --set search.trials={searched} if so many are enough; a failed trial is a trial, too."
        yield f"{searched} of {wanted} trials", hint if searched else ""
    missing = [each for each in planned_repeats(plan.search, plan.seed, trials) if each.number not in numbers]
    if missing and not ended_by_budget:
        hint = "Until its author has mended it, leave the repeats out: --set search.confirm=false."
        yield f"{len(missing)} repeats too few of its best trials", hint
    recorded = {trial.number: trial for trial in ledger.trials()}
    for trial in trials:
        if trial.number not in recorded:
            yield f"trial {trial.number}, which is not in the run's journal", "`Ledger.record_trial` writes it there."
        elif not _same(trial, recorded[trial.number]):
            yield f"trial {trial.number} with other results than the run's journal has", ""
    if left_out := sorted(recorded.keys() - numbers.keys()):
        yield f"no trial {left_out[0]}, which is in the run's journal", ""


def _mistakes_of_trial(plan: Plan, trial: Trial) -> Iterator[tuple[str, str]]:
    metric, name = plan.search.metric, f"trial {trial.number}"
    if type(trial.number) is not int or trial.number < 0:
        yield f"a trial of number {trial.number!r}", "They are counted from 0."
    if trial.state not in get_args(TrialState):
        yield f"{name} in the state {trial.state!r}", f"The states are {', '.join(get_args(TrialState))}."
    if trial.state != "finished":
        return
    if metric not in trial.metrics:
        yield f"{name} as finished without {metric}, the metric that decides", ""
    elif not _is_number(trial.metrics[metric]):
        hint = "If the trial diverged it has failed; if the metric is not defined on these rows, set search.metric to another."
        yield f"{name} as finished with {metric} = {trial.metrics[metric]!r}", hint
    searched = space.dimensions_of(plan.search.space, trial.values)
    if set(trial.values) != set(searched):
        yield f"{name} with values of {_listed(trial.values)}, and the recipe searches {_listed(searched)}", ""


def _mistakes_of_outcome(plan: Plan, outcome: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(outcome, Outcome):
        yield f"{type(outcome).__name__} in place of an outcome", "`ftkit.runner.carry_out` returns one."
        return
    ledger = Ledger(outcome.folder)
    if ledger.fact("started") is None:
        yield f"an outcome whose folder {outcome.folder} holds no run", ""
    yield from _mistakes(plan, ledger, outcome.trials)
    selected = ledger.fact("selected") or {}
    if selected.get("number") != outcome.best.number or outcome.best not in outcome.trials:
        yield f"trial {outcome.best.number} as the best, which the run did not select", ""
    record = decision.read(ledger)
    if outcome.promoted and (record is None or not record.passing):
        yield "a model as promoted that no promotion test let through", ""


def _raise_first(plan: Plan, mistakes: Iterator[tuple[str, str]]) -> None:
    try:
        mistake = next(mistakes, None)
    except FtkitError:
        raise
    except Exception as error:  # of values that are not what their types promise
        mistake = f"trials that cannot be read: {in_one_line(error)}", ""
    if mistake is not None:
        what, hint = mistake
        advice = "Its author can mend it: the tests of ftkit.testing.platforms show where."
        platform = title("platforms", plan.platform)
        raise SearchError(f"{platform} returned {what}", where="[run] of the recipe", hint=hint or advice)


def _same(one: Trial, other: Trial) -> bool:
    """Whether two trials have the same result; errors are stored without secrets, so that they may differ."""
    first, second = ((each.values, each.seed, each.state, each.metrics, each.repeats) for each in (one, other))
    return json.dumps(toml_value(first), sort_keys=True) == json.dumps(toml_value(second), sort_keys=True)


def _is_number(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except TypeError:
        return False


def _listed(names: Sequence[str] | Any) -> str:
    return ", ".join(sorted(map(str, names))) or "nothing"
