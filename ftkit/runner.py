"""A run from top to bottom: read `carry_out` and you know the product.

load data → search and fine-tune → select → promotion tests → register → roll out
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime

from ftkit import bundle as bundles
from ftkit import endpoints, events, gate, metrics, options, plugins
from ftkit import ledger as ledgers
from ftkit.bundle import Bundle
from ftkit.card import card
from ftkit.contracts import Data, Emit, Endpoint, Lineage, Outcome, Trial, Version
from ftkit.errors import FtkitError, SearchError
from ftkit.events import stage
from ftkit.ledger import Ledger
from ftkit.recipe import Plan
from ftkit.rollout import roll_out

Search = Callable[[Plan, Ledger, Emit], Sequence[Trial]]
"""Runs the trials of a plan and writes each into the ledger: what a platform brings."""


def run(plan: Plan, emit: Emit) -> Outcome:
    """Carry out a plan where it says, telling `emit` and every installed observer.

    Raises: FtkitError; KeyboardInterrupt after everything begun was put back.
    """
    observers = plugins.load()

    def tell(event: events.Event) -> None:
        emit(event)
        observers.tell(event)

    return plan.platform.run(plan, tell)


def carry_out(plan: Plan, emit: Emit, search: Search) -> Outcome:
    """All stages of a run on this machine, with the trials run by `search`.

    Every stage writes what it finished into the ledger before the next begins, and takes from there what an
    interrupted run had finished.
    """
    begun = time.monotonic()
    ledger, resumed = ledgers.begin(plan.name, plan.text, fresh=plan.fresh)
    with ledger.held(), _failure_noted(ledger):
        emit(events.RunStarted(ledger.run, str(ledger.folder), str(plan.path or plan.name), resumed))
        if plan.registry is not None:
            plan.registry.champion()  # an unreachable registry is found out before the search, not after it
        data = load_data(plan, ledger, emit)
        trials = run_trials(plan, ledger, emit, search)
        best, bundle = select(plan, ledger, emit, data, trials)
        tested = test(plan, ledger, emit, bundle)
        lineage = _lineage(plan, ledger, data, trials, best, bundle, tested)
        if plan.registry is not None:
            plan.registry.track(lineage)  # once more, now with verdicts and test metrics
        version, endpoint, deployment = None, None, ""
        if tested.promoted:
            version = register(plan, ledger, emit, bundle, lineage)
            endpoint, deployment = deploy(plan, ledger, emit, bundle, version)
            if plan.registry is not None and version is not None:
                version = plan.registry.promote(version.version)
        else:
            endpoint, deployment = keep_live(plan, ledger, emit, tested.champion)
        outcome = Outcome(
            run=ledger.run,
            folder=ledger.folder,
            promoted=tested.promoted,
            best=best,
            trials=trials,
            verdicts=tested.verdicts,
            metrics=tested.metrics,
            bundle=bundle.folder,
            version=version,
            champion=tested.champion,
            endpoint=endpoint,
            deployment=deployment,
        )
        ledger.append("finished", promoted=outcome.promoted, exit_code=outcome.exit_code)
        emit(events.RunFinished(ledger.run, outcome.promoted, outcome.exit_code, time.monotonic() - begun))
        return outcome


@contextmanager
def _failure_noted(ledger: Ledger) -> Iterator[None]:
    """Write down why a run broke off, so that `ftkit runs` can say it later."""
    try:
        yield
    except FtkitError as error:
        with suppress(FtkitError):  # a journal that takes no more must not hide the reason
            ledger.append("failed", error=error.what)
        raise


def load_data(plan: Plan, ledger: Ledger, emit: Emit) -> Data:
    """Load and split the rows, or take them from an interrupted run; the test split stays closed."""
    kept = ledger.fact("data") is not None
    with stage("data", emit, reused=kept):
        if not kept:
            ledger.store_data(plan.dataset.load(plan.seed, emit))
        data = ledger.data(("train", "valid"))
        emit(events.DataLoaded(data.report))
    return data


def run_trials(plan: Plan, ledger: Ledger, emit: Emit, search: Search) -> Sequence[Trial]:
    """Run the trials that are still missing. Raises: SearchError when none came to a result."""
    if ledger.fact("selected"):
        with stage("search", emit, reused=True):
            return ledger.trials()
    with stage("search", emit):
        return search(plan, ledger, emit)


def select(plan: Plan, ledger: Ledger, emit: Emit, data: Data, trials: Sequence[Trial]) -> tuple[Trial, Bundle]:
    """The finished trial that is best on the validation split, written as a bundle."""
    kept = ledger.fact("selected")
    with stage("select", emit, reused=kept is not None):
        if kept:
            best = next(trial for trial in trials if trial.number == kept["number"])
            bundle = bundles.verify(ledger.folder / "bundle")
        else:
            best = best_of(trials, plan.search.metric)
            bundle = _write_bundle(plan, ledger, data, trials, best)
            ledger.append("selected", number=best.number, bundle=bundle.hash)
            for trial in trials:
                shutil.rmtree(ledger.trial_folder(trial.number) / "model", ignore_errors=True)
            if plan.registry is not None:
                plan.registry.track(_lineage(plan, ledger, data, trials, best, bundle))
        emit(events.BestSelected(best, plan.search.metric))
    return best, bundle


def best_of(trials: Sequence[Trial], metric: str) -> Trial:
    """The finished trial with the best validation metric, the earliest of equals. Raises: SearchError."""
    best: Trial | None = None
    for trial in sorted(trials, key=lambda each: each.number):
        if trial.state == "finished" and (
            best is None or metrics.better(metric, trial.metrics[metric], best.metrics[metric])
        ):
            best = trial
    if best is None:
        raise SearchError(
            f"none of the {len(trials)} trials finished, so there is nothing to promote",
            mend="`ftkit runs` shows why each ended; their logs are in the run's folder.",
        )
    return best


def test(plan: Plan, ledger: Ledger, emit: Emit, bundle: Bundle) -> gate.Tested:
    """Open the test split, score candidate and champion on it, and hear every promotion test."""
    with stage("test", emit):
        tested = gate.judge(plan, ledger, bundle, emit)
    emit(events.PromotionDecided(tested.promoted, tested.sentence))
    return tested


def register(plan: Plan, ledger: Ledger, emit: Emit, bundle: Bundle, lineage: Lineage) -> Version | None:
    """Store the bundle as the challenger; it becomes champion when it has taken the traffic."""
    if plan.registry is None:
        return None
    with stage("register", emit):
        version = plan.registry.register(bundle.folder, lineage)
        ledger.append("registered", version=version.version)
        emit(events.ModelRegistered(version))
    return version


def deploy(
    plan: Plan, ledger: Ledger, emit: Emit, bundle: Bundle, version: Version | None
) -> tuple[Endpoint | None, str]:
    """Roll the bundle out blue/green. Raises: DeployError with traffic where it was."""
    if plan.deploy is None:
        return None, ""
    with stage("deploy", emit):
        stamp = f"{datetime.fromisoformat(ledger.facts('started')[0]['at']):%Y%m%d-%H%M%S}"
        deployment = f"v{version.version}-{stamp}" if version else f"d-{stamp}"
        endpoints.remember(plan.deploy)
        endpoint = roll_out(plan.deploy, bundle, deployment, plan.rollout, emit)
        ledger.append("deployed", endpoint=endpoint.name, deployment=deployment)
    return endpoint, deployment


def keep_live(plan: Plan, ledger: Ledger, emit: Emit, champion: Version | None) -> tuple[Endpoint | None, str]:
    """See that the defended champion answers: an endpoint that was taken down gets it back."""
    if plan.deploy is None:
        return None, ""
    endpoint = plan.deploy.describe()
    if endpoint is not None and not endpoint.url:
        endpoint = plan.deploy.prepare()  # it has its deployments, and was stopped with the machine
    if champion is None or (endpoint is not None and endpoint.traffic):
        return endpoint, ""
    emit(
        events.Noticed(
            f"Nothing answers at {plan.deploy.endpoint}: the champion, version {champion.version}, goes live."
        )
    )
    return deploy(plan, ledger, emit, bundles.verify(ledger.folder / "champion"), champion)


def _write_bundle(plan: Plan, ledger: Ledger, data: Data, trials: Sequence[Trial], best: Trial) -> Bundle:
    from ftkit import __version__

    values = options.convert(type(plan.backbone), best.values, partial=True)  # the journal keeps them as JSON
    winner = replace(plan.backbone, **values)  # type: ignore[type-var]
    section = {"use": winner.name, **options.to_table(winner)}
    return bundles.write(
        ledger.folder / "bundle",
        model=ledger.trial_folder(best.number) / "model",
        classes=data.classes,
        backbone=section,
        recipe=plan.text,
        card=card(
            name=plan.name,
            classes=data.classes,
            backbone=section,
            data=data.report,
            metric=plan.search.metric,
            trials=trials,
            best=best,
        ),
        sample_texts=sample_texts(data),
        about={
            "ftkit": __version__,
            "name": plan.name,
            "run": ledger.run,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "trial": {"number": best.number, "values": options.plain(best.values), "seed": best.seed},
            "metric": plan.search.metric,
            "validation": dict(best.metrics),
            "data": data.report.fingerprint,
        },
    )


def sample_texts(data: Data, most: int = 3, characters: int = 280) -> list[str]:
    """A short validation text of each of the first classes: what a smoke test sends."""
    found: dict[int, str] = {}
    for text, label in zip(data.valid.texts, data.valid.labels, strict=True):
        if label not in found and len(found) < most:
            found[label] = " ".join(text[:characters].split()) or text
    return [found[label] for label in sorted(found)]


def _lineage(
    plan: Plan,
    ledger: Ledger,
    data: Data,
    trials: Sequence[Trial],
    best: Trial,
    bundle: Bundle,
    tested: gate.Tested | None = None,
) -> Lineage:
    return Lineage(
        run=ledger.run,
        recipe=plan.text,
        data=data.report,
        metric=plan.search.metric,
        trials=trials,
        best=best.number,
        verdicts=tested.verdicts if tested else (),
        metrics=tested.metrics if tested else {},
        bundle_hash=bundle.hash,
        folder=ledger.folder,
    )
