"""A run from top to bottom: read `carry_out` and you know the product.

load data → search and fine-tune → select → promotion tests → register → roll out
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from ftkit import options, pairs, plugins, report
from ftkit.bundle import bundle as bundles
from ftkit.bundle.bundle import Bundle
from ftkit.bundle.model_card import card
from ftkit.contracts import Data, Deployer, Emit, Exporting, Outcome, Platform, Registry, Trial, capable, events
from ftkit.contracts.backbones import declared
from ftkit.disclosure import without_secrets
from ftkit.errors import FtkitError
from ftkit.evaluation.selection import best_trial, spreads
from ftkit.plugins.calls import call
from ftkit.recipe.loader import Plan
from ftkit.runs import ledger as ledgers
from ftkit.runs import preferred, provenance, resuming, source_files, teacher, warm_start
from ftkit.runs.ledger import Ledger, staged
from ftkit.runs.preparation import adapted_backbone, foresee, inspected, loaded, parted
from ftkit.stages import deciding, preference, release, search_results

Search = Callable[[Plan, Ledger, Emit], Sequence[Trial]]
"""Runs the trials of a plan and writes each into the ledger: the part of a run that a platform provides."""


def run(plan: Plan, emit: Emit) -> Outcome:
    """Carry out a plan on its platform; `emit` and every installed observer get the events, without secrets.

    Raises: FtkitError; KeyboardInterrupt, after what had begun was undone.
    """
    observers = plugins.load()

    def emit_to_all(event: events.Event) -> None:
        shown = without_secrets(event)
        emit(shown)
        observers.tell(shown)

    outcome = call(Platform.run, plan.platform, plan, emit_to_all)
    search_results.check_outcome(plan, outcome)
    return outcome


def carry_out(plan: Plan, emit: Emit, search: Search) -> Outcome:
    """All stages of a run on this machine, with the trials run by `search`.

    Every stage writes its results into the ledger before the next one begins, and reads from it what an interrupted run had finished.
    """
    begun = time.monotonic()
    with under_way(plan, emit) as ledger:
        if plan.registry is not None:
            call(
                Registry.champion, plan.registry
            )  # fails before the search if the registry is out of reach, not after it
        if plan.deploy is not None:
            call(Deployer.describe, plan.deploy)  # so does an endpoint that is out of reach
        warm_start.take(plan, ledger)  # and an earlier run that has nothing to start from
        data = load_data(plan, ledger, emit)
        trials = run_trials(plan, ledger, emit, search)
        best, bundle = select(plan, ledger, emit, data, trials)
        record = release.decide(plan, ledger, emit, trials, best, bundle)
        outcome = release.go_live(plan, ledger, emit, bundle, record)
        finish(ledger, emit, outcome, begun)
        return outcome


@contextmanager
def under_way(plan: Plan, emit: Emit) -> Iterator[Ledger]:
    """The ledger of the run to continue, or of a new one, locked for this process; a failure is written into it."""
    ledger, resumed = ledgers.begin(plan.name, plan.text, fresh=plan.fresh)
    with ledger.held(), _record_failure(ledger, emit):
        ledger.adopt(plan.text)
        emit(events.RunStarted(ledger.run, str(ledger.folder), str(plan.path or plan.name), resumed))
        if resumed:
            _tell_changes(ledger, emit)
        else:
            ledger.append("environment", **provenance.described())
            if sentence := resuming.passed_over(plan, ledger):
                emit(events.Noticed(sentence))
        yield ledger


def _tell_changes(ledger: Ledger, emit: Emit) -> None:
    """Warn of what is no longer as it was when the run began, and write it into the journal."""
    if sentences := resuming.changes(ledger):
        ledger.append("changed", sentences=sentences)
    for sentence in sentences:
        emit(events.Noticed(sentence, warning=True))


def finish(ledger: Ledger, emit: Emit, outcome: Outcome, begun: float) -> None:
    """Write the report and emit the end of the run; `begun` is the time of its begin by the monotonic clock."""
    report.announce(ledger, emit)
    emit(events.RunFinished(ledger.run, outcome.promoted, outcome.exit_code, time.monotonic() - begun))
    if ledger.finished:
        ledger.append("closed")


@contextmanager
def _record_failure(ledger: Ledger, emit: Emit) -> Iterator[None]:
    """Write into the journal why a run broke off, for `ftkit runs`, and write the report of what it had finished."""
    try:
        yield
    except FtkitError as error:
        with suppress(FtkitError):  # a journal that cannot be written must not hide the reason
            ledger.append("failed", error=error.what)
            if ledger.trials():
                report.announce(ledger, emit)
        raise


def load_data(plan: Plan, ledger: Ledger, emit: Emit) -> Data:
    """Load and split the rows, or read those of an interrupted run; the test split stays closed."""
    stored = ledger.holds_data
    with staged(ledger, "data", emit, reused=stored):
        if not stored:
            with source_files.recorded(plan, ledger, emit):
                data = loaded(plan.dataset, plan.seed, emit)
            data, kept_back = parted(plan, data)
            ledger.store_data(inspected(plan, data), kept_back if plan.decision.promises else None)
        data = ledger.data(("train", "valid"))
        emit(events.DataLoaded(data.report, data.task))
        teacher.fetch(plan, ledger, emit)
        foresee(plan, data)
    return data


def run_trials(plan: Plan, ledger: Ledger, emit: Emit, search: Search) -> Sequence[Trial]:
    """Run the trials and repeats that are still missing. Raises: SearchError when no trial finished."""
    if ledger.fact("selected"):
        with staged(ledger, "search", emit, reused=True):
            return ledger.trials()
    with staged(ledger, "search", emit):
        trials = search(plan, ledger, emit)
        search_results.check(plan, ledger, trials)
        return trials


def select(plan: Plan, ledger: Ledger, emit: Emit, data: Data, trials: Sequence[Trial]) -> tuple[Trial, Bundle]:
    """The finished trial that is best on the validation split, repeats considered, and its bundle."""
    selected = ledger.fact("selected")
    repeats = spreads(trials, plan.search.metric)
    with staged(ledger, "select", emit, reused=selected is not None):
        if selected:
            deciding.check_unchanged(plan, ledger)
            best = release.selected(ledger, trials)
            bundle = bundles.verify(ledger.folder / "bundle")
        else:
            best = best_trial(trials, plan.search.metric)
            if plan.search.prefer:
                chosen = preference.choose(plan, plan.search.prefer, ledger, data, trials).chosen
                best = next(trial for trial in trials if trial.number == chosen)
            bundle = _write_bundle(plan, ledger, data, trials, best)
            bundle.probabilities([*sample_texts(data), ""])  # raises unless it is the model that was trained
            ledger.append(
                "selected", number=best.number, bundle=bundle.hash, spreads=[asdict(each) for each in repeats]
            )
            for trial in trials:
                shutil.rmtree(ledger.trial_folder(trial.number) / "model", ignore_errors=True)
        emit(events.BestSelected(best, plan.search.metric, repeats, preferred.read(ledger)))
    return best, bundle


def _write_bundle(plan: Plan, ledger: Ledger, data: Data, trials: Sequence[Trial], best: Trial) -> Bundle:
    from ftkit._version import __version__

    winner: Any
    winner, fields = plan.drawn(best.values)
    values = options.convert(type(winner), fields, partial=True)  # they come from the journal as JSON
    winner = adapted_backbone(replace(winner, **values), data)
    configuration = best.number if best.repeats is None else best.repeats
    confirmed = next((each for each in spreads(trials, plan.search.metric) if each.number == configuration), None)
    reason = selection.sentence if (selection := preferred.read(ledger)) else ""
    section = {"use": winner.name, **options.to_table(winner)}
    model = ledger.trial_folder(best.number) / "model"
    rule = deciding.rule(plan, ledger, data, winner, model)
    exporting = winner if capable(winner, Exporting) and call(Exporting.engines, winner) else None
    return bundles.write(
        ledger.folder / "bundle",
        model=model,
        classes=data.classes,
        task=data.task,
        fields=data.fields,
        rule=rule,
        backbone=section,
        recipe=ledger.recipe,
        card=card(
            name=plan.name,
            classes=data.classes,
            task=data.task,
            backbone=section,
            data=data.report,
            metric=plan.search.metric,
            trials=trials,
            best=best,
            description=declared(winner),
            preferred=reason,
            rule=rule,
        ),
        sample_texts=sample_texts(data),
        export=(lambda folder: call(Exporting.export, exporting, folder)) if exporting else None,
        engines=call(Exporting.engines, exporting) if exporting else (),
        about={
            "ftkit": __version__,
            "name": plan.name,
            "run": ledger.run,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "trial": {
                "number": best.number,
                "values": options.toml_value(best.values),
                "seed": best.seed,
                **({"repeats": best.repeats} if best.repeats is not None else {}),
            },
            "metric": plan.search.metric,
            "validation": dict(best.metrics),
            **({"preferred": reason} if reason else {}),
            **({"confirmed": asdict(confirmed)} if confirmed else {}),
            "data": data.report.fingerprint,
        },
    )


def sample_texts(data: Data, most: int = 3, characters: int = 280) -> list[str]:
    """A short validation text of each of the first classes, for smoke tests."""
    samples: dict[Any, str] = {}
    for text, label in zip(data.valid.texts, data.valid.labels, strict=True):
        if label not in samples and len(samples) < most:
            samples[label] = pairs.changed(text, lambda side: " ".join(side[:characters].split()) or side)
    return [samples[label] for label in sorted(samples)]
