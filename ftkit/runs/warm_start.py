"""What a search takes from an earlier run, as `[search] start_from` asks for: trials from which its sampler learns.

They are written into the journal of the run that takes them, so that it goes on as it began when the other run is gone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields

from ftkit.contracts import Trial, space
from ftkit.contracts.plan import Plan
from ftkit.contracts.settings import Search
from ftkit.errors import UsageError
from ftkit.evaluation.selection import searched_trials
from ftkit.formatting import count
from ftkit.runs import ledger as ledgers
from ftkit.runs import status
from ftkit.runs.ledger import Ledger

FACT = "started-from"
"""The fact of the journal that says what was taken, after one fact for each trial."""
TRIAL = "earlier-trial"


@dataclass(frozen=True)
class Fit:
    """The trials of an earlier run that fit a search, and how many do not, by reason."""

    run: str
    fingerprint: str
    """Of the data of that run; empty if it has none."""
    backbone: str
    trials: Sequence[Trial]
    left_out: Mapping[str, int]


def take(plan: Plan, ledger: Ledger) -> None:
    """Write what the search takes into the journal, unless it is there. Raises: UsageError where there is nothing to take."""
    if plan.search.start_from is None or ledger.fact(FACT):
        return
    earlier = fitting(plan)
    for trial in earlier.trials:
        ledger.append(TRIAL, trial=asdict(trial))
    ledger.append(
        FACT,
        run=earlier.run,
        fingerprint=earlier.fingerprint,
        backbone=earlier.backbone,
        trials=[trial.number for trial in earlier.trials],
        left_out=dict(earlier.left_out),
    )


def taken(ledger: Ledger) -> list[Trial]:
    """The trials that the search of this run has taken from an earlier one, by their numbers there."""
    numbers = (ledger.fact(FACT) or {}).get("trials", ())
    known = {field.name for field in fields(Trial)}
    latest = {entry["trial"]["number"]: entry["trial"] for entry in ledger.facts(TRIAL)}
    return [Trial(**{key: latest[number][key] for key in known & latest[number].keys()}) for number in numbers]


def combinations(trials: Sequence[Trial]) -> int:
    """How many different values the trials that were taken have: a grid does not try them again."""
    return len({space.key(trial.values) for trial in trials})


def notices(plan: Plan, ledger: Ledger) -> Iterator[tuple[str, bool]]:
    """What the user should know of what was taken: sentences, and whether each is a warning."""
    if (fact := ledger.fact(FACT)) is None:
        return
    text = f"The sampler starts from {count(len(fact['trials']), 'trial')} of {fact['run']}"
    yield (f"{text}; left out: {_listed(fact['left_out'])}." if fact["left_out"] else f"{text}."), False
    here = (ledger.fact("data") or {}).get("fingerprint", "")
    if fact["fingerprint"] != here:
        yield f"{fact['run']} was trained on other data: what was good there need not be good here.", True
    if fact["backbone"] != (here := ", ".join(each.name for each in plan.every_backbone)):
        yield f"{fact['run']} has trained the backbone {fact['backbone']!r}, and this recipe trains {here!r}.", True


def fitting(plan: Plan) -> Fit:
    """The trials of the earlier run that fit the search of a plan. Raises: UsageError if there is none, or no such run."""
    search = plan.search
    earlier = _found(str(search.start_from))
    trials = searched_trials(earlier.trials())
    if not trials:
        raise _refused(
            f"{earlier.run} has no trials", "Name a run of which trials have ended: `ftkit runs` lists them."
        )
    metric = status.metric(earlier)
    reasons = [_misfit(search, metric, trial) for trial in trials]
    fit = Fit(
        run=earlier.run,
        fingerprint=str((earlier.fact("data") or {}).get("fingerprint", "")),
        backbone=", ".join(status.backbones(earlier)),
        trials=[trial for trial, reason in zip(trials, reasons, strict=True) if not reason],
        left_out=Counter(reason for reason in reasons if reason),
    )
    if not fit.trials:
        raise _refused(
            f"no trial of {fit.run} fits this search: {_listed(fit.left_out)}",
            f"Search {', '.join(search.space) or 'the same fields'} by {search.metric} in ranges that hold its values.",
        )
    if search.sampler == "grid" and combinations(fit.trials) == space.combinations(search.space):
        raise _refused(f"{fit.run} has tried every combination of the grid", "Add values to search.space.")
    return fit


def _misfit(search: Search, metric: str, trial: Trial) -> str:
    """Why a search by another recipe learns nothing from a trial; empty if it does."""
    if metric != search.metric:
        return f"judged by {metric}"
    if trial.state == "failed":
        return "failed"
    value = trial.metrics.get(search.metric)
    if value is None or not math.isfinite(value):
        return f"without a value of {metric}"
    dimensions = space.dimensions_of(search.space, trial.values)
    if trial.values.keys() != dimensions.keys():
        return "of other fields"
    if not all(space.holds(dimension, trial.values[name]) for name, dimension in dimensions.items()):
        return "outside this space"
    return ""


def _found(run: str) -> Ledger:
    try:
        return ledgers.find(run)
    except UsageError as error:
        raise UsageError(f"search.start_from: {error.what}", where=error.where, hint=error.hint) from error


def _refused(what: str, hint: str) -> UsageError:
    return UsageError(what, where="search.start_from", hint=f"{hint} Or remove start_from.")


def _listed(left_out: Mapping[str, int]) -> str:
    return ", ".join(f"{number:,} {reason}" for reason, number in left_out.items())
