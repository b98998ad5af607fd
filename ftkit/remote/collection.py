"""Trials of a service as the search of a plan: they are written into the ledger, the best models are fetched and trained again."""

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
from ftkit.remote.trial_step import seed, train
from ftkit.runner import Search
from ftkit.runs import cost
from ftkit.runs.ledger import Ledger


@dataclass(frozen=True)
class ServiceTrial:
    """A trial that a service ran."""

    trial: Trial
    data: str = ""
    """Fingerprint of the rows that it was trained on; empty if it left none."""


Fetch = Callable[[Trial, Path], None]
"""Downloads the folder that `remote.trial` left for a finished trial into an empty folder. Raises: FtkitError."""


def collected(trials: Sequence[ServiceTrial], fetch: Fetch, limit: str = "", checkpoints: Path | None = None) -> Search:
    """The search of a plan whose trials a service ran; the repeats of `[search] confirm` are trained in this process.

    `limit` is the option of the platform, if it has one, by which the service may end a search early: trials that it did not begin
    then count as failed. Without it, a search of too few trials is an error. `checkpoints` is a folder that outlives this machine,
    where the recipe asks for checkpoints: a repeat that was interrupted goes on from there.
    """

    def search(plan: Plan, ledger: Ledger, emit: Emit) -> Sequence[Trial]:
        _record(plan, ledger, trials)
        if limit:
            _record_missing(plan, ledger, emit, limit)
        if not any(trial.state == "finished" for trial in ledger.trials()):
            raise _none_finished(ledger.trials())
        _fetch(plan, ledger, fetch)
        _repeat(plan, ledger, emit, checkpoints)
        return ledger.trials()

    return search


def _record(plan: Plan, ledger: Ledger, trials: Sequence[ServiceTrial]) -> None:
    """Record every trial that is not in the ledger yet. Raises: StageError when one was trained on other rows than the plan's."""
    fingerprint = (ledger.fact("data") or {})["fingerprint"]
    recorded = {trial.number for trial in ledger.trials()}
    for entry in sorted(trials, key=lambda entry: entry.trial.number):
        trial = entry.trial
        if trial.number in recorded:
            continue
        if entry.data not in ("", fingerprint) and trial.state == "finished":
            raise StageError(
                f"trial {trial.number} was trained on other rows than those of the promotion tests",
                where=f"data {entry.data[:12]}, not {fingerprint[:12]}",
                hint="The source of the data has changed meanwhile: give the command with --fresh.",
            )
        if trial.state == "finished" and plan.search.metric not in trial.metrics:
            trial = replace(trial, state="failed", error=f"it reported no {plan.search.metric}")
        folder = ledger.trial_folder(trial.number)
        ledger.record_trial(replace(trial, folder=str(folder.relative_to(ledger.folder))))


def _record_missing(plan: Plan, ledger: Ledger, emit: Emit, limit: str) -> None:
    """Record as failed the trials that the service did not begin, and warn of them."""
    recorded = {trial.number for trial in ledger.trials()}
    missing = cost.trials(plan) - sum(trial.repeats is None for trial in ledger.trials())
    if missing <= 0:
        return
    emit(
        events.Noticed(
            f"The service began {len(recorded)} trials and not {cost.trials(plan)}: see {limit}.", warning=True
        )
    )
    for number in [each for each in range(cost.trials(plan)) if each not in recorded][:missing]:
        error = f"the service ended its search before this trial began ({limit})"
        ledger.record_trial(Trial(number, {}, seed(plan, number), "failed", error=error))


def _fetch(plan: Plan, ledger: Ledger, fetch: Fetch) -> None:
    """Fetch the models that may become the bundle. Raises: SearchError when one is missing."""
    trials = ledger.trials()
    for number in sorted(selection.trials_to_keep(plan.search, trials)):
        trial = next(trial for trial in trials if trial.number == number)
        folder = ledger.trial_folder(number)
        if trial.repeats is None and not (folder / "model").is_dir():
            with files.atomic_folder(folder) as partial:
                fetch(trial, partial)
                if not (partial / "model").is_dir():
                    raise SearchError(
                        f"the service has no model of trial {number}",
                        hint="Look at the files of its run there; give the same command to fetch it again.",
                    )


def _repeat(plan: Plan, ledger: Ledger, emit: Emit, checkpoints: Path | None) -> None:
    """Train the best configurations again with other seeds, one after another, and keep only models that may still win."""
    repeats = selection.planned_repeats(plan.search, plan.seed, ledger.trials())
    if not repeats:
        return
    ended = {trial.number for trial in ledger.trials()}
    done = sum(repeat.number in ended for repeat in repeats)
    repeated = tuple(dict.fromkeys(repeat.repeats for repeat in repeats))
    emit(events.ConfirmationStarted(repeated, len(repeats) // len(repeated), len(repeats), done))
    data = ledger.data(("train", "valid"))
    for repeat in repeats:
        if repeat.number in ended:
            continue
        folder = ledger.trial_folder(repeat.number)
        ledger.record_trial(
            train(
                plan,
                data,
                folder,
                number=repeat.number,
                values=repeat.values,
                seed=repeat.seed,
                repeats=repeat.repeats,
                emit=emit,
                place=str(folder.relative_to(ledger.folder)),
                checkpoints=checkpoints and checkpoints / str(repeat.number),
            )
        )
        trials = ledger.trials()
        needed = selection.trials_to_keep(plan.search, trials)
        for trial in trials:
            if trial.number not in needed:
                shutil.rmtree(ledger.trial_folder(trial.number) / "model", ignore_errors=True)


def _none_finished(trials: Sequence[Trial]) -> SearchError:
    failed = [trial for trial in trials if trial.state == "failed"]
    last = f"; the last failure: {failed[-1].error}" if failed else ""
    return SearchError(
        f"none of the {len(trials)} trials finished{last}",
        hint="Their logs are on the service. Fix the cause, then run again with --fresh.",
    )
