"""From a trained bundle to live traffic: the decision, the registry, the rollout, and a person's own promotion.

`decide` and `go_live` are the two halves, for a run on this machine and for steps elsewhere alike. `promote` releases by hand: a
run that its tests let through, or one that a person lets through against them, whose name and reason then stand in the record.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime

from ftkit import report
from ftkit.bundle import bundle as bundles
from ftkit.bundle import promotion_record
from ftkit.bundle.bundle import Bundle
from ftkit.bundle.promotion_record import PromotionRecord
from ftkit.contracts import Emit, Endpoint, Lineage, Outcome, Trial, Version, events
from ftkit.contracts.monitoring import deployment_name
from ftkit.contracts.plan import Plan
from ftkit.disclosure import without_secrets
from ftkit.errors import LedgerError, UsageError
from ftkit.runs import decision
from ftkit.runs import ledger as ledgers
from ftkit.runs.ledger import Ledger, staged
from ftkit.stages import gate, known_endpoints
from ftkit.stages.rollout import roll_out


def decide(
    plan: Plan, ledger: Ledger, emit: Emit, trials: Sequence[Trial], best: Trial, bundle: Bundle
) -> PromotionRecord:
    """Run the promotion tests, write the record beside the bundle, and register what may go live. Raises: FtkitError."""
    track(plan, ledger, trials, best, bundle)
    with staged(ledger, "test", emit):
        record = gate.judge(plan, ledger, bundle, emit)
        promotion_record.write(bundle.folder, record)
    emit(events.PromotionDecided(record.passing, record.conclusion))
    lineage = track(plan, ledger, trials, best, bundle, record)  # once more, now with verdicts and test metrics
    if record.passing:
        register(plan, ledger, emit, bundle, lineage)
    return record


def go_live(plan: Plan, ledger: Ledger, emit: Emit, bundle: Bundle, record: PromotionRecord) -> Outcome:
    """Give a registered bundle the traffic and make it the champion, or see that the champion answers; then end the run.

    Raises: DeployError with traffic where it was.
    """
    version = None
    if record.passing:
        version = registered(plan, ledger)
        endpoint, deployment = deploy(plan, ledger, emit, bundle, version)
        if plan.registry is not None and version is not None:
            version = plan.registry.promote(version.version)
    else:
        endpoint, deployment = keep_live(plan, ledger, emit, champion(record))
    ended = outcome(ledger, record, version=version, endpoint=endpoint, deployment=deployment)
    if record.undecided and not record.passing:  # the tests left the decision open, and so the run stays open
        ledger.append(
            "failed",
            error=f"{record.sentence} Fix the tests and give the same command: it goes on with the trained model.",
        )
    else:
        ledger.append("finished", promoted=ended.promoted, exit_code=ended.exit_code)
    return ended


def outcome(
    ledger: Ledger,
    record: PromotionRecord,
    *,
    version: Version | None = None,
    endpoint: Endpoint | None = None,
    deployment: str = "",
) -> Outcome:
    """How a run ended, by its ledger, its decision, and what became of the bundle."""
    trials = ledger.trials()
    return Outcome(
        run=ledger.run,
        folder=ledger.folder,
        promoted=record.passing,
        best=selected(ledger, trials),
        trials=trials,
        verdicts=record.verdicts,
        metrics=record.metrics,
        bundle=ledger.folder / "bundle",
        version=version,
        champion=champion(record),
        endpoint=endpoint,
        deployment=deployment,
    )


def decided(ledger: Ledger) -> PromotionRecord:
    """What the gate decided. Raises: LedgerError when the run has not come to a decision."""
    record = decision.read(ledger)
    if record is None:
        raise LedgerError(
            "the run has not come to a decision", where=str(ledger.folder), hint="Give the same command: it goes on."
        )
    return record


def selected(ledger: Ledger, trials: Sequence[Trial]) -> Trial:
    """The trial whose model became the bundle. Raises: LedgerError when none was selected yet."""
    fact = ledger.fact("selected")
    if fact is None:
        raise LedgerError(
            "the run has not selected a trial", where=str(ledger.folder), hint="Give the same command: it goes on."
        )
    return next(trial for trial in trials if trial.number == fact["number"])


def champion(record: PromotionRecord) -> Version | None:
    """The version that the candidate was measured against."""
    named = record.champion
    return Version(named["model"], named["version"], bundle_hash=named["bundle"]) if named else None


def registered(plan: Plan, ledger: Ledger) -> Version | None:
    """The version that this run registered, as far as the journal knows it."""
    fact = ledger.fact("registered")
    if fact is None or plan.registry is None:
        return None
    return Version(plan.registry.model, fact["version"], bundle_hash=decided(ledger).bundle, run=ledger.run)


def register(plan: Plan, ledger: Ledger, emit: Emit, bundle: Bundle, lineage: Lineage) -> None:
    """Store the bundle and its record as the challenger; it becomes champion when it has taken the traffic."""
    if plan.registry is None:
        return
    with staged(ledger, "register", emit):
        version = plan.registry.register(bundle.folder, lineage)
        ledger.append("registered", version=version.version)
        emit(events.ModelRegistered(version))


def deploy(
    plan: Plan, ledger: Ledger, emit: Emit, bundle: Bundle, version: Version | None
) -> tuple[Endpoint | None, str]:
    """Roll the bundle out blue/green. Raises: DeployError with traffic where it was."""
    if plan.deploy is None:
        return None, ""
    with staged(ledger, "deploy", emit):
        began = datetime.fromisoformat(ledger.facts("started")[0]["at"])
        deployment = deployment_name(version.version if version else None, began)
        known_endpoints.remember(plan.deploy)
        endpoint = roll_out(plan.deploy, bundle, deployment, plan.rollout, emit)
        ledger.append("deployed", endpoint=endpoint.name, deployment=deployment)
    return endpoint, deployment


def keep_live(plan: Plan, ledger: Ledger, emit: Emit, defended: Version | None) -> tuple[Endpoint | None, str]:
    """See that the defended champion answers: an endpoint that was taken down gets it back."""
    if plan.deploy is None:
        return None, ""
    endpoint = plan.deploy.describe()
    if endpoint is not None and not endpoint.url:
        endpoint = plan.deploy.prepare()  # it has its deployments, and was stopped with the machine
    if defended is None or plan.registry is None or (endpoint is not None and endpoint.traffic):
        return endpoint, ""
    emit(
        events.Noticed(
            f"Nothing answers at {plan.deploy.endpoint}: the champion, version {defended.version}, goes live."
        )
    )
    bundle = bundles.verify(plan.registry.fetch(defended.version, ledger.folder / "champion"))
    return deploy(plan, ledger, emit, bundle, defended)


def promote(run: str, emit: Emit, override: str | None = None) -> Outcome:
    """Release a run's model by hand: one that its tests let through, or, with the reason for it, one that they did not.

    The reason goes into the promotion record with the name of whoever gave it. Interrupted, the same call goes on.
    Raises: UsageError when the run has no decision yet, was not let through, or has nothing to override; FtkitError.
    """
    from ftkit.recipe import loader

    begun = time.monotonic()
    ledger = ledgers.find(run)
    with ledger.held():
        record = decision.read(ledger)
        if record is None or not (ledger.folder / "bundle").is_dir():
            raise UsageError(
                "this run has not come to a decision, so there is nothing to promote",
                where=str(ledger.folder),
                hint="Give its `ftkit run` command again: it goes on where it was.",
            )
        plan = loader.loads(ledger.recipe)
        bundle = bundles.verify(ledger.folder / "bundle")
        record = _let_through(ledger, bundle.record or record, override)
        promotion_record.write(bundle.folder, record)
        emit(events.RunStarted(ledger.run, str(ledger.folder), ledger.run, not ledger.finished))
        _warn_of_new_champion(plan, record, emit)
        emit(events.PromotionDecided(True, record.conclusion))
        trials = ledger.trials()
        lineage = track(plan, ledger, trials, selected(ledger, trials), bundle, record)
        register(plan, ledger, emit, bundle, lineage)
        ended = go_live(plan, ledger, emit, bundle, record)
        report.announce(ledger, emit)
        emit(events.RunFinished(ledger.run, True, ended.exit_code, time.monotonic() - begun))
        return ended


def _let_through(ledger: Ledger, record: PromotionRecord, override: str | None) -> PromotionRecord:
    """The record with which the bundle may be deployed. Raises: UsageError."""
    reason = without_secrets(override or "").strip()
    if record.promoted and override is not None:
        raise UsageError(
            "there is nothing to override: the tests let this model through",
            where=str(ledger.folder),
            hint=f"`ftkit promote {ledger.run}` releases it.",
        )
    if not record.passing:
        if override is None:
            raise UsageError(
                f"this model was not let through. {record.sentence}",
                where=str(ledger.folder),
                hint=f'To take it all the same: ftkit promote {ledger.run} --override "why". Name and reason go into its record.',
            )
        if not reason:
            raise UsageError("an override needs a reason", hint='Say why: --override "why".')
        decision.write_override(ledger, record.bundle, reason)
        return decided(ledger)
    if record.override and override is not None and reason != record.override.reason:
        raise UsageError(
            f"{record.override.by} has let this model through already: {record.override.reason}",
            where=str(ledger.folder),
            hint=f"`ftkit promote {ledger.run}` goes on with that.",
        )
    return record


def _warn_of_new_champion(plan: Plan, record: PromotionRecord, emit: Emit) -> None:
    """Say when the champion of today is not the one that the tests compared with."""
    today = plan.registry.champion() if plan.registry is not None else None
    then = champion(record)
    if today is None or today.bundle_hash in (record.bundle, then.bundle_hash if then else None):
        return
    before = f"version {then.version}" if then else "none"
    change = f"The champion has changed since the tests: it is version {today.version} now and was {before} then."
    emit(events.Noticed(change, warning=True))


def track(
    plan: Plan,
    ledger: Ledger,
    trials: Sequence[Trial],
    best: Trial,
    bundle: Bundle,
    record: PromotionRecord | None = None,
) -> Lineage:
    """Tell the registry where the model comes from, as far as it is known; returns that lineage, without secrets."""
    lineage = without_secrets(
        Lineage(
            run=ledger.run,
            recipe=plan.text,
            data=ledger.data(()).report,
            metric=plan.search.metric,
            trials=trials,
            best=best.number,
            verdicts=record.verdicts if record else (),
            metrics=record.metrics if record else {},
            bundle_hash=bundle.hash,
            folder=ledger.folder,
        )
    )
    if plan.registry is not None:
        plan.registry.track(lineage)
    return lineage
