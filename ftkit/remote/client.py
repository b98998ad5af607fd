"""The machine where the command was given, while a service carries out the plan: it submits, watches, and brings the run home."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from ftkit import runner
from ftkit.bundle import bundle as bundles
from ftkit.contracts import Emit, Endpoint, Outcome, Version
from ftkit.contracts.events import Event, Noticed, TrialFinished
from ftkit.contracts.plan import Plan
from ftkit.errors import FtkitError, SearchError, StageError
from ftkit.remote.decision import left_over
from ftkit.remote.transfer import take_over
from ftkit.runs.ledger import Ledger
from ftkit.stages import known_endpoints, release


class Pipeline(Protocol):
    """A plan as a service carries it out: what a platform brings.

    What `submit` and `find` return is written into the journal: texts by which the other verbs find the pipeline again, from another
    process, too; no secret.
    """

    def submit(self, run: str) -> Mapping[str, str]:
        """Have the service begin; `run` is the run's identifier, to be found again by. Raises: FtkitError."""
        ...

    def find(self, run: str) -> Mapping[str, str] | None:
        """The pipeline that an interrupted `submit` of this run had begun, or None. Raises: FtkitError."""
        ...

    def follow(self, submitted: Mapping[str, str], emit: Emit) -> str:
        """Tell what the steps do until the pipeline has ended; returns why it did not end well, or nothing.

        Raises: FtkitError when the service cannot be asked any more; the pipeline then goes on without being watched.
        """
        ...

    def fetch(self, submitted: Mapping[str, str], folder: Path) -> Path:
        """Bring what `remote.pack` left last into an empty folder and return where it lies. Raises: FtkitError."""
        ...


def attend(plan: Plan, emit: Emit, pipeline: Pipeline) -> Outcome:
    """Carry out a plan by a service, and end as a run on this machine does.

    Interrupted, the pipeline goes on, and the same command attends it again. One that failed is submitted anew.
    Raises: FtkitError; StageError when the pipeline failed.
    """
    begun = time.monotonic()
    with runner.under_way(plan, emit) as ledger:
        if ledger.fact("selected") is None:
            submitted = _submitted(ledger, emit, pipeline)
            _follow(ledger, emit, pipeline, submitted)
            with tempfile.TemporaryDirectory(prefix="ftkit-") as folder:
                take_over(ledger, pipeline.fetch(submitted, Path(folder)))
        outcome = _come_home(plan, ledger, emit)
        runner.finish(ledger, emit, outcome, begun)
        return outcome


def _submitted(ledger: Ledger, emit: Emit, pipeline: Pipeline) -> Mapping[str, str]:
    """The pipeline of this run: the one that is under way, or a new one."""
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
    """Pass on what the pipeline tells, noting trials that ended, until it is over. Raises: StageError when it failed."""

    def tell(event: Event) -> None:
        if isinstance(event, TrialFinished) and event.trial not in ledger.trials():
            ledger.record_trial(event.trial)
        emit(event)

    try:
        why = pipeline.follow(submitted, tell)
    except KeyboardInterrupt:
        emit(Noticed("The pipeline goes on without being watched: the same command attends it again."))
        raise
    if why:
        ledger.append("ended", why=why)
        trials = ledger.trials()
        hopeless = bool(trials) and not any(each.state == "finished" for each in trials)
        raise (SearchError if hopeless else StageError)(
            why,
            where=submitted.get("where", ledger.run),
            hint="Fix the cause, then give the same command: it submits the pipeline again.",
        )


def _come_home(plan: Plan, ledger: Ledger, emit: Emit) -> Outcome:
    """The outcome of what the steps did, after doing here what they left over."""
    if not left_over(plan) and ledger.finished:
        return _outcome(plan, ledger)

    def quiet(event: Event) -> None:
        """What the steps have told already."""

    def never(*_: Any) -> Any:
        raise AssertionError("what was selected is not searched again")

    data = runner.load_data(plan, ledger, quiet)
    trials = runner.run_trials(plan, ledger, quiet, never)
    best, bundle = runner.select(plan, ledger, quiet, data, trials)
    record = release.decide(plan, ledger, emit, trials, best, bundle)
    return release.go_live(plan, ledger, emit, bundle, record)


def _outcome(plan: Plan, ledger: Ledger) -> Outcome:
    """The outcome of a run whose last stage was carried out elsewhere."""
    record = release.decided(ledger)
    bundles.verify(ledger.folder / "bundle")
    deployed = ledger.fact("deployed")
    endpoint: Endpoint | None = None
    if plan.deploy is not None:
        known_endpoints.remember(plan.deploy)
        try:
            endpoint = plan.deploy.describe()
        except FtkitError:  # it is live, whether or not this machine can reach it
            endpoint = Endpoint(plan.deploy.endpoint, "") if deployed else None
    return release.outcome(
        ledger,
        record,
        version=_described(plan, release.registered(plan, ledger)) if record.passing else None,
        endpoint=endpoint,
        deployment=deployed["deployment"] if deployed else "",
    )


def _described(plan: Plan, version: Version | None) -> Version | None:
    """A version as its registry describes it now, if it can be reached."""
    if version is None or plan.registry is None:
        return version
    try:
        versions = plan.registry.versions()
    except FtkitError:  # the decision stands, whether or not this machine can reach the registry
        return version
    return next((each for each in versions if each.version == version.version), version)
