"""From a trained bundle to live traffic: the decision, the registry, the rollout, and promotion by a person.

`decide` and `go_live` are the two halves, both for a run on this machine and for the steps of a service. `promote` releases by hand:
a run that its tests let through, or one that a person lets through against them; the record then has the name and the reason.
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
from ftkit.contracts import Deployer, Emit, Endpoint, Lineage, Outcome, Registry, Trial, Version, events
from ftkit.contracts.monitoring import deployment_name
from ftkit.contracts.plan import Plan
from ftkit.disclosure import without_secrets
from ftkit.errors import LedgerError, UsageError
from ftkit.plugins.calls import call
from ftkit.runs import decision, source_files, status
from ftkit.runs import ledger as ledgers
from ftkit.runs.ledger import Ledger, staged
from ftkit.stages import gate, keeping, known_endpoints, rollout_facts
from ftkit.stages.rollout import roll_out


def decide(
    plan: Plan, ledger: Ledger, emit: Emit, trials: Sequence[Trial], best: Trial, bundle: Bundle
) -> PromotionRecord:
    """Run the promotion tests, write the record into the bundle, and register the bundle if it passes. Raises: FtkitError."""
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
    """Give a registered bundle the traffic and make it the champion, or check that the champion answers; then end the run.

    Raises: DeployError; the traffic is then as it was before.
    """
    version = None
    if record.passing:
        version = registered(plan, ledger)
        endpoint, deployment = deploy(plan, ledger, emit, bundle, version)
        if plan.registry is not None and version is not None:
            version = call(Registry.promote, plan.registry, version.version)
    else:
        endpoint, deployment = keep_live(plan, ledger, emit, champion(record))
    result = outcome(ledger, record, version=version, endpoint=endpoint, deployment=deployment)
    if record.undecided and not record.passing:  # tests broke off, so the run stays unfinished and can be continued
        ledger.append(
            "failed",
            error=f"{record.sentence} Fix the tests and give the same command: it goes on with the trained model.",
        )
    else:
        ledger.append("finished", promoted=result.promoted, exit_code=result.exit_code)
    return result


def outcome(
    ledger: Ledger,
    record: PromotionRecord,
    *,
    version: Version | None = None,
    endpoint: Endpoint | None = None,
    deployment: str = "",
) -> Outcome:
    """How a run ended: the facts of its ledger, the decision, and where the bundle was registered and deployed."""
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
    """The record of the gate's decision. Raises: LedgerError when the run has not come to a decision."""
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
    best = next((trial for trial in trials if trial.number == fact["number"]), None)
    if best is None:
        raise LedgerError(
            f"the run selected trial {fact['number']}, and its journal has no such trial",
            where=str(ledger.folder / "journal.jsonl"),
            hint="Restore the journal from a copy, or give the command with --fresh.",
        )
    return best


def champion(record: PromotionRecord) -> Version | None:
    """The version that the candidate was compared with."""
    entry = record.champion
    return Version(entry["model"], entry["version"], bundle_hash=entry["bundle"]) if entry else None


def registered(plan: Plan, ledger: Ledger) -> Version | None:
    """The version that this run registered according to its journal, or None."""
    fact = ledger.fact("registered")
    if fact is None or plan.registry is None:
        return None
    return Version(plan.registry.model, fact["version"], bundle_hash=decided(ledger).bundle, run=ledger.run)


def register(plan: Plan, ledger: Ledger, emit: Emit, bundle: Bundle, lineage: Lineage) -> None:
    """Store the bundle and its record as the challenger; it becomes the champion once it has all the traffic."""
    if plan.registry is None:
        return
    with staged(ledger, "register", emit):
        version = call(Registry.register, plan.registry, bundle.folder, lineage)
        ledger.append("registered", version=version.version)
        emit(events.ModelRegistered(version))


def deploy(
    plan: Plan, ledger: Ledger, emit: Emit, bundle: Bundle, version: Version | None
) -> tuple[Endpoint | None, str]:
    """Roll the bundle out blue/green. Raises: DeployError; the traffic is then as it was before."""
    if plan.deploy is None:
        return None, ""
    with staged(ledger, "deploy", emit):
        began = datetime.fromisoformat(ledger.facts("started")[0]["at"])
        deployment = deployment_name(version.version if version else None, began)
        known_endpoints.remember(plan.deploy)
        before = keeping.replaced(ledger, plan.deploy, deployment)
        tell = rollout_facts.written_down(ledger, emit)
        endpoint = roll_out(plan.deploy, bundle, deployment, plan.rollout, tell, replaced=before)
        ledger.append("deployed", endpoint=endpoint.name, deployment=deployment)
        keeping.begin(plan, ledger, emit, before, deployment)
    return endpoint, deployment


def keep_live(plan: Plan, ledger: Ledger, emit: Emit, defended: Version | None) -> tuple[Endpoint | None, str]:
    """Check that the endpoint of the defended champion answers, and deploy the champion again if it does not."""
    if plan.deploy is None:
        return None, ""
    endpoint = call(Deployer.describe, plan.deploy)
    if endpoint is not None and not endpoint.url:
        endpoint = call(Deployer.prepare, plan.deploy)  # it was stopped with the machine and still has its deployments
    if defended is None or plan.registry is None or (endpoint is not None and endpoint.traffic):
        return endpoint, ""
    emit(
        events.Noticed(
            f"Nothing answers at {plan.deploy.endpoint}: the champion, version {defended.version}, goes live."
        )
    )
    bundle = bundles.verify(call(Registry.fetch, plan.registry, defended.version, ledger.folder / "champion"))
    return deploy(plan, ledger, emit, bundle, defended)


def promote(run: str, emit: Emit, override: str | None = None) -> Outcome:
    """Release a run's model by hand: one that its tests let through, or, with a reason, one that they did not.

    The promotion record gets the reason and the person's name. After an interruption, the same call continues.
    Raises: UsageError when the run has no decision yet, was not let through, or has nothing to override; FtkitError.
    """
    from ftkit.recipe import loader

    begun = time.monotonic()
    ledger = ledgers.find(run)
    with ledger.held():
        record = decision.read(ledger)
        if record is not None and not (ledger.folder / "bundle").is_dir():
            raise UsageError(**status.no_model(ledger))
        if record is None:
            raise UsageError(
                "this run has not come to a decision, so there is nothing to promote",
                where=str(ledger.folder),
                hint="Give its `ftkit run` command again: it continues the run.",
            )
        plan = loader.loads(ledger.recipe)
        bundle = bundles.verify(ledger.folder / "bundle")
        record = _let_through(ledger, bundle.record or record, override)
        promotion_record.write(bundle.folder, record)
        emit(events.RunStarted(ledger.run, str(ledger.folder), ledger.run, not ledger.finished))
        _warn_of_new_champion(plan, record, emit)
        for change in source_files.changes(ledger):
            emit(events.Noticed(f"{change}; the model is of what they were then."))
        emit(events.PromotionDecided(True, record.conclusion))
        trials = ledger.trials()
        lineage = track(plan, ledger, trials, selected(ledger, trials), bundle, record)
        register(plan, ledger, emit, bundle, lineage)
        result = go_live(plan, ledger, emit, bundle, record)
        report.announce(ledger, emit)
        emit(events.RunFinished(ledger.run, True, result.exit_code, time.monotonic() - begun))
        ledger.append("closed")
        return result


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
                hint=f'To promote it all the same: ftkit promote {ledger.run} --override "why". Name and reason go into its record.',
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
    """Warn when the present champion is not the one that the candidate was compared with."""
    now = call(Registry.champion, plan.registry) if plan.registry is not None else None
    then = champion(record)
    if now is None or now.bundle_hash in (record.bundle, then.bundle_hash if then else None):
        return
    before = f"version {then.version}" if then else "none"
    change = f"The champion has changed since the tests: it is version {now.version} now and was {before} then."
    emit(events.Noticed(change, warning=True))


def track(
    plan: Plan,
    ledger: Ledger,
    trials: Sequence[Trial],
    best: Trial,
    bundle: Bundle,
    record: PromotionRecord | None = None,
) -> Lineage:
    """Give the registry the lineage of the model as far as it is known, and return it; it holds no secrets."""
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
        call(Registry.track, plan.registry, lineage)
    return lineage
