"""Trials that ran elsewhere as the search of a plan: written into the ledger, their models fetched, their repeats trained here."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ftkit import files
from ftkit.contracts import Emit, Trial, events
from ftkit.contracts.plan import Plan
from ftkit.errors import SearchError, StageError
from ftkit.evaluation import selection
from ftkit.remote.trial_step import train
from ftkit.runner import Search
from ftkit.runs.ledger import Ledger


@dataclass(frozen=True)
class Arrived:
    """A trial as a service tells of it."""

    trial: Trial
    data: str = ""
    """Fingerprint of the rows it trained on; empty where it left none."""


Fetch = Callable[[Trial, Path], None]
"""Brings a finished trial's outputs, those of `trial`, into an empty folder. Raises: FtkitError."""


def gathered(trials: Sequence[Arrived], fetch: Fetch) -> Search:
    """The search of a plan whose trials ran elsewhere; the repeats of `[search] confirm` are trained in this process."""

    def search(plan: Plan, ledger: Ledger, emit: Emit) -> Sequence[Trial]:
        _take(plan, ledger, trials)
        if not any(trial.state == "finished" for trial in ledger.trials()):
            raise _nothing(ledger.trials())
        _fetch(plan, ledger, fetch)
        _repeat(plan, ledger, emit)
        return ledger.trials()

    return search


def _take(plan: Plan, ledger: Ledger, trials: Sequence[Arrived]) -> None:
    """Write down every trial that is not in the ledger yet. Raises: StageError when rows or metrics are not those of the plan."""
    ours = (ledger.fact("data") or {})["fingerprint"]
    known = {trial.number for trial in ledger.trials()}
    for each in sorted(trials, key=lambda one: one.trial.number):
        trial = each.trial
        if trial.number in known:
            continue
        if each.data not in ("", ours) and trial.state == "finished":
            raise StageError(
                f"trial {trial.number} was trained on other rows than those that the tests will see",
                where=f"data {each.data[:12]}, not {ours[:12]}",
                hint="The source of the data has changed meanwhile: give the command with --fresh.",
            )
        if trial.state == "finished" and plan.search.metric not in trial.metrics:
            trial = replace(trial, state="failed", error=f"it reported no {plan.search.metric}")
        folder = ledger.trial_folder(trial.number)
        ledger.record_trial(replace(trial, folder=str(folder.relative_to(ledger.folder))))


def _fetch(plan: Plan, ledger: Ledger, fetch: Fetch) -> None:
    """Bring the models that may become the bundle."""
    trials = ledger.trials()
    for number in sorted(selection.trials_to_keep(plan.search, trials)):
        trial = next(each for each in trials if each.number == number)
        folder = ledger.trial_folder(number)
        if trial.repeats is None and not (folder / "model").is_dir():
            with files.atomic_folder(folder) as partial:
                fetch(trial, partial)
                if not (partial / "model").is_dir():
                    raise SearchError(
                        f"the model of trial {number} did not come back from the service",
                        hint="Its run there shows what it left; give the same command to fetch it again.",
                    )


def _repeat(plan: Plan, ledger: Ledger, emit: Emit) -> None:
    """Train the best configurations again with other seeds, one after another, and keep only models that may still win."""
    repeats = selection.planned_repeats(plan.search, plan.seed, ledger.trials())
    if not repeats:
        return
    ended = {trial.number for trial in ledger.trials()}
    done = sum(each.number in ended for each in repeats)
    repeated = tuple(dict.fromkeys(each.repeats for each in repeats))
    emit(events.ConfirmationStarted(repeated, len(repeats) // len(repeated), len(repeats), done))
    data = ledger.data(("train", "valid"))
    for each in repeats:
        if each.number in ended:
            continue
        folder = ledger.trial_folder(each.number)
        ledger.record_trial(
            train(
                plan,
                data,
                folder,
                number=each.number,
                values=each.values,
                seed=each.seed,
                repeats=each.repeats,
                emit=emit,
                place=str(folder.relative_to(ledger.folder)),
            )
        )
        trials = ledger.trials()
        needed = selection.trials_to_keep(plan.search, trials)
        for trial in trials:
            if trial.number not in needed:
                shutil.rmtree(ledger.trial_folder(trial.number) / "model", ignore_errors=True)


def _nothing(trials: Sequence[Trial]) -> SearchError:
    failed = [trial for trial in trials if trial.state == "failed"]
    last = f"; the last failure: {failed[-1].error}" if failed else ""
    return SearchError(
        f"none of the {len(trials)} trials finished{last}",
        hint="The service keeps their logs. Fix the cause, then run again with --fresh.",
    )
