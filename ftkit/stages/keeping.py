"""After a rollout: the old deployment stays warm for a while, is put back when the new one turns bad, and is retired when it has not.

The ledger of the run that deployed has what is kept, so that any process can look after it: one of its own that outlives the run, on this
machine; anywhere, `ftkit endpoint watch`. `ftkit endpoint rollback` puts the old deployment back by hand.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ftkit import formatting, report
from ftkit.contracts import Deployer, Emit, Endpoint, Guarding, Local, Registry, capable
from ftkit.contracts.events import DeploymentChanged, Noticed, TrafficMoved
from ftkit.contracts.plan import Plan
from ftkit.contracts.settings import Rollout, duration
from ftkit.errors import DeployError, UsageError
from ftkit.plugins.calls import call
from ftkit.recipe import loader
from ftkit.runs import decision
from ftkit.runs import ledger as ledgers
from ftkit.runs.ledger import Ledger
from ftkit.stages import rollout_checks
from ftkit.stages.judging import Judge, UnhealthyError
from ftkit.stages.shares import without

REPLACED, KEPT, CLOSED = "replaced", "kept", "kept-closed"
"""Facts: the traffic that a rollout takes over, what is kept of it, and how that ended."""
LOG = "watch.log"
"""What the process that looks after it has to say, in the run's folder."""


@dataclass(frozen=True)
class Kept:
    """Old deployments that stay, without traffic, after a rollout."""

    ledger: Ledger
    endpoint: str
    deployment: str
    """The new one."""
    before: Mapping[str, int]
    """The traffic before the rollout."""
    until: datetime

    @property
    def seconds(self) -> float:
        """How much longer; 0 when the time is over."""
        return max((self.until - datetime.now(UTC)).total_seconds(), 0.0)


def replaced(ledger: Ledger, deployer: Deployer, deployment: str) -> Mapping[str, int]:
    """The traffic that a new deployment takes over: as it was before the first attempt, of those deployments that are still there.

    It is written down, since after an attempt that was killed when the new one had all traffic, nobody else knows it.
    """
    described = call(Deployer.describe, deployer)
    before = without(described, deployment).traffic if described else {}
    earlier = next((fact for fact in reversed(ledger.facts(REPLACED)) if fact["deployment"] == deployment), None)
    if earlier and described and not before:
        there = {each.name for each in described.deployments}
        return {name: share for name, share in earlier["before"].items() if name in there}
    if earlier is None or earlier["before"] != before:
        ledger.append(REPLACED, deployment=deployment, before=dict(before))
    return before


def begin(plan: Plan, ledger: Ledger, emit: Emit, before: Mapping[str, int], deployment: str) -> None:
    """Write down what is kept, and have a process of its own look after it where the endpoint is on this machine."""
    deployer, seconds = plan.deploy, duration(plan.rollout.keep) or 0.0
    if deployer is None or not seconds or not before or deployment in before:
        return
    names = formatting.listing(list(before), 3)
    kept = latest(deployer.endpoint)
    if kept is None or kept.deployment != deployment:  # else an attempt that was killed has written it down
        until = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
        ledger.append(KEPT, endpoint=deployer.endpoint, deployment=deployment, before=dict(before), until=until)
    back = f"`ftkit endpoint rollback {deployer.endpoint}` puts it back"
    if capable(deployer, Local) and call(Local.local, deployer):
        with (ledger.folder / LOG).open("ab") as log:
            subprocess.Popen(
                [sys.executable, "-P", "-m", "ftkit", "endpoint", "watch", deployer.endpoint],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        emit(Noticed(f"{names} stays for {plan.rollout.keep}, without traffic; {back}."))
        return
    watch = f"`ftkit endpoint watch {deployer.endpoint}`, here or as a scheduled job, looks after it and retires it"
    emit(Noticed(f"{names} stays, without traffic, and costs money: {watch}; {back}.", warning=True))


def latest(endpoint: str) -> Kept | None:
    """What is kept at an endpoint, by the runs of this machine; None if nothing is."""
    for ledger in ledgers.runs():
        fact = ledger.fact(KEPT)
        if fact is None or fact["endpoint"] != endpoint:
            continue
        if any(closed["at"] > fact["at"] for closed in ledger.facts(CLOSED)):
            return None
        until = datetime.fromisoformat(fact["until"])
        return Kept(ledger, endpoint, fact["deployment"], fact["before"], until)
    return None


def watch(deployer: Deployer, emit: Emit) -> bool:
    """Look after what is kept until its time is over, then retire it; returns False when it was put back instead.

    Where another process looks after it already, nothing is done. Raises: UsageError when nothing is kept; DeployError.
    """
    import filelock

    kept = _kept(deployer)
    try:
        with filelock.FileLock(kept.ledger.folder / ".watch.lock", timeout=0):
            return _watch(kept, deployer, emit)
    except filelock.Timeout:
        emit(Noticed("Another process looks after it already."))
        return True


def _watch(kept: Kept, deployer: Deployer, emit: Emit) -> bool:
    plan = loader.loads(kept.ledger.recipe)
    settings = plan.rollout
    judge = Judge(deployer, kept.deployment, settings, emit)
    judge.begin({kept.deployment: 100}, memory=3600.0)
    unhealthy = ""
    while kept.seconds:
        current = latest(deployer.endpoint)
        if current is None or current.ledger.run != kept.ledger.run:  # put back by hand, or a later rollout
            return True
        try:
            described = call(Deployer.describe, deployer)
            if unhealthy:
                put_back(deployer, emit, unhealthy)
                return False
            if described is None or not any(each.name == kept.deployment for each in described.deployments):
                kept.ledger.append(CLOSED, how="the endpoint is gone")
                return True
            health = call(Deployer.health, deployer, kept.deployment)
            if health.state == "failed":
                raise UnhealthyError(f"the deployment did not stay healthy: {health.reason}", deployer.endpoint)
            judge.look()
        except UnhealthyError as error:
            unhealthy = error.what
            continue
        except DeployError as error:
            what = "The old deployment cannot be put back yet" if unhealthy else "The endpoint cannot be looked at"
            emit(Noticed(f"{what}: {error.what}.", warning=True))
        time.sleep(min(_pause(settings), kept.seconds))
    _retire(deployer, kept, emit)
    kept.ledger.append(CLOSED, how="retired")
    report.announce(kept.ledger, emit)
    return True


def put_back(deployer: Deployer, emit: Emit, reason: str) -> None:
    """Give the traffic back to what had it before, name its version champion again, and write down why.

    Raises: UsageError when nothing is kept; DeployError, with nothing changed, also while a rollout to the endpoint is under way.
    """
    kept = _kept(deployer)
    alone = (
        call(Guarding.guarded, deployer, kept.deployment) if capable(deployer, Guarding) else contextlib.nullcontext()
    )
    with alone:
        _give_back(deployer, emit, kept)
    plan = loader.loads(kept.ledger.recipe)
    record = decision.read(kept.ledger)
    if plan.registry is not None and record is not None and record.champion:
        version = call(Registry.promote, plan.registry, record.champion["version"])
        emit(Noticed(f"Version {version.version} of {version.model} is the champion again."))
    kept.ledger.append(CLOSED, how="put back", reason=reason)
    emit(DeploymentChanged(deployer.endpoint, kept.deployment, "gave its traffic back", reason))
    report.announce(kept.ledger, emit)


def _give_back(deployer: Deployer, emit: Emit, kept: Kept) -> None:
    described = call(Deployer.describe, deployer)
    there = {each.name for each in described.deployments} if described else set()
    if missing := [name for name in kept.before if name not in there]:
        raise UsageError(
            f"{formatting.listing(missing, 3)} is gone, so it cannot be put back",
            where=deployer.endpoint,
            hint="`ftkit models` lists the versions; `ftkit promote RUN` deploys the model of an earlier run again.",
        )
    call(Deployer.set_traffic, deployer, dict(kept.before))
    rollout_checks.check_traffic(deployer, kept.before, poll=1.0)
    emit(TrafficMoved(deployer.endpoint, dict(kept.before)))


def _kept(deployer: Deployer) -> Kept:
    kept = latest(deployer.endpoint)
    if kept is None:
        raise UsageError(
            f"no old deployment is kept at the endpoint {deployer.endpoint!r}",
            hint='`keep = "1h"` in [rollout] of a recipe keeps the old deployment for an hour after a rollout.',
        )
    return kept


def _retire(deployer: Deployer, kept: Kept, emit: Emit) -> None:
    described: Endpoint | None = call(Deployer.describe, deployer)
    for name in _idle(described, kept.before):
        call(Deployer.delete, deployer, name)
        emit(DeploymentChanged(deployer.endpoint, name, "retired"))


def _idle(described: Endpoint | None, names: Mapping[str, int]) -> Sequence[str]:
    """Those of these deployments that are still there and get no traffic."""
    deployments = described.deployments if described else ()
    return [each.name for each in deployments if each.name in names and not each.traffic]


def _pause(settings: Rollout) -> float:
    return max(settings.poll or 0.0, 1.0)
