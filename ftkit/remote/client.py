"""The client, the machine where the command was given: it submits a plan to a service, follows the pipeline, and fetches the run."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from ftkit import runner, scratch
from ftkit.bundle import bundle as bundles
from ftkit.contracts import Deployer, Emit, Endpoint, Outcome, Registry, Version
from ftkit.contracts.events import Event, Noticed, TrialFinished
from ftkit.contracts.plan import Plan
from ftkit.errors import FtkitError, SearchError, StageError
from ftkit.plugins.calls import call
from ftkit.remote.decision import client_part
from ftkit.remote.transfer import take_over
from ftkit.runs.ledger import Ledger
from ftkit.stages import known_endpoints, release


class Pipeline(Protocol):
    """A plan as a pipeline of a service: implemented by a platform.

    The mapping that `submit` and `find` return is written into the journal: texts by which the other methods find the pipeline again,
    also from another process. It must hold no secret.
    """

    def submit(self, run: str) -> Mapping[str, str]:
        """Start the pipeline; `find` must find it again by `run`, the run's identifier. Raises: FtkitError."""
        ...

    def find(self, run: str) -> Mapping[str, str] | None:
        """The pipeline that an interrupted `submit` of this run had started, or None. Raises: FtkitError."""
        ...

    def follow(self, submitted: Mapping[str, str], emit: Emit) -> str:
        """Emit the events of the steps until the pipeline has ended; returns why it failed, or an empty text.

        Raises: FtkitError when the service does not answer any more; the pipeline then continues without the client.
        """
        ...

    def fetch(self, submitted: Mapping[str, str], folder: Path) -> Path:
        """Download the last folder of `remote.pack` into an empty folder and return its path. Raises: FtkitError."""
        ...


def attend(plan: Plan, emit: Emit, pipeline: Pipeline) -> Outcome:
    """Carry out a plan as a pipeline of a service, and end as a run on this machine does.

    After an interruption the pipeline continues, and the same command follows it again. One that failed is submitted again.
    Raises: FtkitError; StageError when the pipeline failed.
    """
    begun = time.monotonic()
    with runner.under_way(plan, emit) as ledger:
        if ledger.fact("selected") is None:
            submitted = _submitted(ledger, emit, pipeline)
            _follow(ledger, emit, pipeline, submitted)
            with scratch.folder() as folder:
                take_over(ledger, pipeline.fetch(submitted, folder))
        outcome = _finish(plan, ledger, emit)
        runner.finish(ledger, emit, outcome, begun)
        return outcome


def _submitted(ledger: Ledger, emit: Emit, pipeline: Pipeline) -> Mapping[str, str]:
    """The pipeline of this run: the one that was submitted already, or a new one."""
    last = next(
        (each for each in reversed(ledger.entries) if each["fact"] in ("submitting", "submitted", "ended")), None
    )
    if last is not None and last["fact"] == "submitted":
        return last["pipeline"]
    submitted = pipeline.find(ledger.run) if last is not None and last["fact"] == "submitting" else None
    if submitted is None:
        ledger.append("submitting")
        submitted = pipeline.submit(ledger.run)
    ledger.append("submitted", pipeline=dict(submitted))
    return submitted


def _follow(ledger: Ledger, emit: Emit, pipeline: Pipeline, submitted: Mapping[str, str]) -> None:
    """Emit the pipeline's events and record its trials until it has ended. Raises: StageError when it failed."""

    def record_and_emit(event: Event) -> None:
        if isinstance(event, TrialFinished) and event.trial not in ledger.trials():
            ledger.record_trial(event.trial)
        emit(event)

    try:
        failure = pipeline.follow(submitted, record_and_emit)
    except KeyboardInterrupt:
        emit(Noticed("The pipeline continues without this command; give it again to follow the pipeline."))
        raise
    if failure:
        ledger.append("ended", why=failure)
        trials = ledger.trials()
        none_finished = bool(trials) and not any(trial.state == "finished" for trial in trials)
        raise (SearchError if none_finished else StageError)(
            failure,
            where=submitted.get("where", ledger.run),
            hint="Fix the cause, then give the same command: it submits the pipeline again.",
        )


def _finish(plan: Plan, ledger: Ledger, emit: Emit) -> Outcome:
    """The outcome of the run, after the stages that the steps left to the client."""
    if not client_part(plan) and ledger.finished:
        return _outcome(plan, ledger)

    def quiet(event: Event) -> None:
        """Drops events that the steps have emitted already."""

    def no_search(*_: Any) -> Any:
        raise AssertionError("a trial was selected already, so there is no search")

    data = runner.load_data(plan, ledger, quiet)
    trials = runner.run_trials(plan, ledger, quiet, no_search)
    best, bundle = runner.select(plan, ledger, quiet, data, trials)
    record = release.decide(plan, ledger, emit, trials, best, bundle)
    return release.go_live(plan, ledger, emit, bundle, record)


def _outcome(plan: Plan, ledger: Ledger) -> Outcome:
    """The outcome of a run whose last stage was a step of the pipeline."""
    record = release.decided(ledger)
    bundles.verify(ledger.folder / "bundle")
    deployed = ledger.fact("deployed")
    endpoint: Endpoint | None = None
    if plan.deploy is not None:
        known_endpoints.remember(plan.deploy)
        try:
            endpoint = call(Deployer.describe, plan.deploy)
        except FtkitError:  # the endpoint is live even if the client cannot reach it
            endpoint = Endpoint(plan.deploy.endpoint, "") if deployed else None
    return release.outcome(
        ledger,
        record,
        version=_described(plan, release.registered(plan, ledger)) if record.passing else None,
        endpoint=endpoint,
        deployment=deployed["deployment"] if deployed else "",
    )


def _described(plan: Plan, version: Version | None) -> Version | None:
    """The version with its present description in the registry, if that can be reached."""
    if version is None or plan.registry is None:
        return version
    try:
        versions = call(Registry.versions, plan.registry)
    except FtkitError:  # the version is registered even if the client cannot reach the registry
        return version
    return next((each for each in versions if each.version == version.version), version)
