"""From a decision to live traffic: the promotion record, the registry, the rollout, and a person's own promotion.

`runner.carry_out` releases what the tests let through; `promote` releases by hand: a run that was let through before, or one
that a person lets through against its tests, whose name and reason then stand in the record.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from ftkit import report
from ftkit.bundle import bundle as bundles
from ftkit.bundle import promotion_record as records
from ftkit.bundle.bundle import Bundle
from ftkit.bundle.promotion_record import Record
from ftkit.contracts import Emit, Endpoint, Lineage, Outcome, Trial, Version, events
from ftkit.contracts.monitoring import deployment_name
from ftkit.contracts.plan import Plan
from ftkit.errors import UsageError
from ftkit.evaluation.prediction_profile import profile
from ftkit.runs import ledger as ledgers
from ftkit.runs.ledger import Ledger, staged
from ftkit.stages import gate, known_endpoints
from ftkit.stages.gate import Tested
from ftkit.stages.rollout import roll_out


def record(plan: Plan, ledger: Ledger, bundle: Bundle) -> Record:
    """Write what the gate decided beside the bundle, as the journal has it; the same journal gives the same bytes."""
    from ftkit._version import __version__

    fact = ledger.fact("tested")
    assert fact is not None
    champion = None
    if fact["champion"] and plan.registry is not None:
        champion = {"model": plan.registry.model, "version": fact["champion_version"], "bundle": fact["champion"]}
    data = ledger.data(())
    report = data.report
    answers = ledger.predictions().get("candidate")
    made = Record(
        bundle=bundle.hash,
        run=ledger.run,
        name=plan.name,
        recipe=records.sha256(plan.text),
        tests=fact["tests"],
        data=report.fingerprint,
        rows=sum(report.counts["test"].values()),
        verdicts=gate.told(ledger, None).verdicts,
        metrics=fact["metrics"],
        champion=champion,
        promoted=fact["promoted"],
        sentence=fact["sentence"],
        by=fact["by"],
        at=fact["at"],
        ftkit=__version__,
        profile=profile(answers, data.classes) if answers is not None and len(answers) else None,
    )
    if (said := ledger.fact("overridden")) and said["bundle"] == bundle.hash and not made.promoted:
        made = made.overridden(said["reason"], said["by"], said["at"])
    records.write(bundle.folder, made)
    return made


def release(
    plan: Plan, ledger: Ledger, emit: Emit, bundle: Bundle, lineage: Lineage
) -> tuple[Version | None, Endpoint | None, str]:
    """Register a bundle that was let through, give it the traffic, and make it the champion."""
    version = register(plan, ledger, emit, bundle, lineage)
    return go_live(plan, ledger, emit, bundle, version)


def go_live(
    plan: Plan, ledger: Ledger, emit: Emit, bundle: Bundle, version: Version | None
) -> tuple[Version | None, Endpoint | None, str]:
    """Give a registered bundle the traffic, and then make it the champion."""
    endpoint, deployment = deploy(plan, ledger, emit, bundle, version)
    if plan.registry is not None and version is not None:
        version = plan.registry.promote(version.version)
    return version, endpoint, deployment


def register(plan: Plan, ledger: Ledger, emit: Emit, bundle: Bundle, lineage: Lineage) -> Version | None:
    """Store the bundle and its record as the challenger; it becomes champion when it has taken the traffic."""
    if plan.registry is None:
        return None
    with staged(ledger, "register", emit):
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
    with staged(ledger, "deploy", emit):
        began = datetime.fromisoformat(ledger.facts("started")[0]["at"])
        deployment = deployment_name(version.version if version else None, began)
        known_endpoints.remember(plan.deploy)
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


def promote(run: str, emit: Emit, override: str | None = None) -> Outcome:
    """Release a run's model by hand: one that its tests let through, or, with the reason for it, one that they did not.

    The reason goes into the promotion record with the name of whoever gave it. Interrupted, the same call goes on.
    Raises: UsageError when the run has no decision yet, was not let through, or has nothing to override; FtkitError.
    """
    from ftkit.recipe import loader

    begun = time.monotonic()
    ledger = ledgers.find(run)
    with ledger.held():
        if (ledger.fact("tested") or {}).get("bundle") is None or not (ledger.folder / "bundle").is_dir():
            raise UsageError(
                "this run has not come to a decision, so there is nothing to promote",
                where=str(ledger.folder),
                hint="Give its `ftkit run` command again: it goes on where it was.",
            )
        plan = loader.loads((ledger.folder / "recipe.toml").read_text(encoding="utf-8"))
        bundle = bundles.verify(ledger.folder / "bundle")
        decided = _let_through(plan, ledger, bundle, bundle.record or record(plan, ledger, bundle), override)
        emit(events.RunStarted(ledger.run, str(ledger.folder), ledger.run, not ledger.finished))
        champion = plan.registry.champion() if plan.registry is not None else None
        if champion is not None and champion.bundle_hash not in (bundle.hash, (decided.champion or {}).get("bundle")):
            against = f"version {decided.champion['version']}" if decided.champion else "none"
            said = f"The champion has changed since the tests: it is version {champion.version} now and was {against} then."
            emit(events.Noticed(said, warning=True))
        said = decided.sentence
        if decided.override:
            said = f"Promoted against its tests by {decided.override.by}: {decided.override.reason}"
        emit(events.PromotionDecided(True, said))
        trials = ledger.trials()
        best = next(each for each in trials if each.number == (ledger.fact("selected") or {})["number"])
        tested = replace(gate.told(ledger, champion), promoted=True, sentence=said)
        kin = track(plan, ledger, trials, best, bundle, tested)
        version, endpoint, deployment = release(plan, ledger, emit, bundle, kin)
        outcome = conclude(ledger, trials, best, bundle, tested, version, endpoint, deployment)
        report.tell(ledger, emit)
        emit(events.RunFinished(ledger.run, True, outcome.exit_code, time.monotonic() - begun))
        return outcome


def _let_through(plan: Plan, ledger: Ledger, bundle: Bundle, decided: Record, override: str | None) -> Record:
    """The record with which the bundle may go out. Raises: UsageError."""
    reason = (override or "").strip()
    if decided.promoted and override is not None:
        raise UsageError(
            "there is nothing to override: the tests let this model through",
            where=str(ledger.folder),
            hint=f"`ftkit promote {ledger.run}` releases it.",
        )
    if not decided.passing:
        if override is None:
            raise UsageError(
                f"this model was not let through. {decided.sentence}",
                where=str(ledger.folder),
                hint=f'To take it all the same: ftkit promote {ledger.run} --override "why". Name and reason go into its record.',
            )
        if not reason:
            raise UsageError("an override needs a reason", hint='Say why: --override "why".')
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        ledger.append("overridden", bundle=bundle.hash, reason=reason, by=records.whoever(), at=at)
        return record(plan, ledger, bundle)
    if decided.override and override is not None and reason != decided.override.reason:
        raise UsageError(
            f"{decided.override.by} has let this model through already: {decided.override.reason}",
            where=str(ledger.folder),
            hint=f"`ftkit promote {ledger.run}` goes on with that.",
        )
    return decided


def track(
    plan: Plan, ledger: Ledger, trials: Sequence[Trial], best: Trial, bundle: Bundle, tested: Tested | None = None
) -> Lineage:
    """Tell the registry where the model comes from, as far as it is known; returns that lineage."""
    kin = lineage(plan, ledger, trials, best, bundle, tested)
    if plan.registry is not None:
        plan.registry.track(kin)
    return kin


def lineage(
    plan: Plan, ledger: Ledger, trials: Sequence[Trial], best: Trial, bundle: Bundle, tested: Tested | None = None
) -> Lineage:
    """Where the model comes from, for the registry."""
    return Lineage(
        run=ledger.run,
        recipe=plan.text,
        data=ledger.data(()).report,
        metric=plan.search.metric,
        trials=trials,
        best=best.number,
        verdicts=tested.verdicts if tested else (),
        metrics=tested.metrics if tested else {},
        bundle_hash=bundle.hash,
        folder=ledger.folder,
    )


def conclude(
    ledger: Ledger,
    trials: Sequence[Trial],
    best: Trial,
    bundle: Bundle,
    tested: Tested,
    version: Version | None,
    endpoint: Endpoint | None,
    deployment: str,
) -> Outcome:
    """Write down that the run came to its end, and how; a decision that tests left open leaves the run open, too."""
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
    if tested.errors and not tested.promoted:
        said = f"{tested.sentence} Fix the tests and give the same command: it goes on with the trained model."
        ledger.append("failed", error=said)
    else:
        ledger.append("finished", promoted=outcome.promoted, exit_code=outcome.exit_code)
    return outcome
