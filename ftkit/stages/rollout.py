"""The blue/green rollout, as one sequence of steps over the six verbs of a deployer; it knows no cloud and no process.

    prepare → create at 0 % → wait until ready → smoke test → (copies → bake) → (canary step → bake)* → 100 % → bake → retire the old

If anything fails before the last bake ends, or the rollout is interrupted, the traffic is put back as it was and the new deployment
is removed. The rollout has succeeded when the new deployment has stayed healthy under all traffic until the end of the last bake.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Mapping
from dataclasses import replace

from ftkit import formatting
from ftkit.bundle.bundle import Bundle, cleared
from ftkit.contracts import Comparing, Deployer, Emit, Endpoint, Guarding, Mirroring, Paced, capable
from ftkit.contracts.events import CopiesCompared, DeploymentChanged, Noticed, TrafficMoved
from ftkit.contracts.settings import Rollout, duration
from ftkit.errors import DeployError, FtkitError
from ftkit.plugins.calls import call
from ftkit.redaction import redacted
from ftkit.stages import rollout_checks
from ftkit.stages.judging import HeldError, Judge, UnhealthyError
from ftkit.stages.shares import held_at, scaled, with_new, without

LOG_LINES = 30
READY_TIMEOUT = 600.0
POLL = 0.2
_MORE_TIME = "Longer `bake` or `patience`, or fewer `least_requests`, give the rollout more to judge by."


def roll_out(
    deployer: Deployer, bundle: Bundle, deployment: str, settings: Rollout, emit: Emit, replaced: Collection[str] = ()
) -> Endpoint:
    """Put a bundle live as `deployment` and remove the deployments that were there before.

    Called again after an interruption, it continues: a deployment of this name that has all the traffic and is healthy is kept; any
    other one of this name is deleted and created again.
    Raises: DeployError with the log of the deployment, or for a bundle that was not let through; the interruption itself. The
    traffic is then as it was before. BundleError for a bundle that was changed.
    """
    cleared(bundle.folder)
    step = _Step(deployer, bundle, deployment, settings, emit)
    before = call(Deployer.prepare, deployer)
    guard = call(Guarding.guarded, deployer, deployment) if capable(deployer, Guarding) else contextlib.nullcontext()
    with guard:
        before = _go_live(step, call(Deployer.prepare, deployer) if capable(deployer, Guarding) else before)
    _retire(step, before, replaced)
    return call(Deployer.describe, deployer) or call(Deployer.prepare, deployer)


def _go_live(step: _Step, before: Endpoint) -> Endpoint:
    """Every step until the new deployment is live; returns the endpoint as it was. Raises: DeployError, all put back."""
    deployer, deployment, settings = step.deployer, step.deployment, step.settings
    if before.traffic == {deployment: 100} and _is_healthy(step, before):
        step.report("was live already")
        return before
    held = held_at(before, deployment, step.bundle.hash, settings)
    before = without(before, deployment) if held else _clear_leftover(step, before)
    try:
        if held:
            step.created = step.moved = True
            step.report("goes on", f"from {held} % of the traffic")
        else:
            step.create()
        step.wait_until_ready()
        if not held:
            step.check_created()
        step.smoke()
        if before.traffic and not held and capable(deployer, Mirroring) and call(Mirroring.mirror, deployer):
            step.mirror(deployer, before.traffic)
        for percent in (each for each in settings.canary if before.traffic and each >= held):
            step.bake(with_new(before.traffic, deployment, percent))
        step.bake({deployment: 100}, public=True)
    except HeldError:
        raise
    except BaseException as error:  # an interruption must not leave a half-finished rollout either
        failure = _roll_back(step, before, error)
        if failure is error:
            raise
        raise failure from error
    return before


class _Step:
    """The steps of a rollout; `created` and `moved` say whether a rollback must delete the deployment and put traffic back."""

    def __init__(self, deployer: Deployer, bundle: Bundle, deployment: str, settings: Rollout, emit: Emit) -> None:
        self.deployer = deployer
        self.bundle = bundle
        self.deployment = deployment
        self.settings = settings
        self.emit = emit
        paced = deployer if capable(deployer, Paced) else None
        self.ready_timeout = settings.ready_timeout or (call(Paced.ready_timeout, paced) if paced else READY_TIMEOUT)
        self.poll = settings.poll or (call(Paced.poll, paced) if paced else POLL)
        self.judge = Judge(deployer, deployment, settings, emit)
        self.created = False
        self.moved = False

    @property
    def where(self) -> str:
        return f"{self.deployer.endpoint}/{self.deployment}"

    def report(self, step: str, detail: str = "", deployment: str = "") -> None:
        self.emit(DeploymentChanged(self.deployer.endpoint, deployment or self.deployment, step, detail))

    def create(self) -> None:
        self.created = True  # before the call, which may fail half-way
        call(Deployer.create, self.deployer, self.deployment, self.bundle.folder)
        self.report("created")

    def wait_until_ready(self) -> None:
        begun, shown_reason = time.monotonic(), ""
        while (health := call(Deployer.health, self.deployer, self.deployment)).state != "ready":
            if health.state == "failed":
                raise DeployError(f"the deployment failed to start: {health.reason}{_tail(health.log)}", self.where)
            if time.monotonic() - begun > self.ready_timeout:
                raise DeployError(
                    f"not ready after {self.ready_timeout:g} s: {health.reason or 'no reason given'}"
                    f"{_tail(call(Deployer.logs, self.deployer, self.deployment, LOG_LINES))}",
                    self.where,
                    "Raise ready_timeout of the rollout if the model needs longer to load.",
                )
            if health.reason != shown_reason:
                self.report("is starting", shown_reason := health.reason)
            time.sleep(self.poll)
        self.report("became ready", f"after {time.monotonic() - begun:.1f} s")

    def check_created(self) -> None:
        """Raises: DeployError unless the endpoint lists the deployment as it was to be created."""
        try:
            rollout_checks.check_created(self.deployer, self.deployment, self.bundle.hash, self.poll)
        except DeployError:
            self.moved = True  # whatever it did, a rollback must put the traffic back
            raise

    def smoke(self, public: bool = False) -> None:
        """Send the sample request to the deployment itself, or, if `public`, to the endpoint as callers do."""
        answer = call(Deployer.invoke, self.deployer, self.bundle.sample_request, None if public else self.deployment)
        if problem := rollout_checks.wrong_answer_of(self.bundle, answer):
            raise DeployError(
                f"the smoke test failed: {problem}{_tail(call(Deployer.logs, self.deployer, self.deployment, LOG_LINES))}",
                self.where,
            )
        self.report("passed the smoke test", f"{len(answer)} texts")

    def move(self, shares: Mapping[str, int]) -> None:
        self.moved = True
        call(Deployer.set_traffic, self.deployer, shares)
        rollout_checks.check_traffic(self.deployer, shares, self.poll)
        self.emit(TrafficMoved(self.deployer.endpoint, dict(shares)))

    def delete(self, reason: str, deployment: str = "") -> None:
        """Remove a deployment, by default the new one, and see that it is gone. Raises: DeployError."""
        name = deployment or self.deployment
        call(Deployer.delete, self.deployer, name)
        if rollout_checks.remaining(self.deployer, [name], self.poll):
            raise DeployError("delete returned, and the endpoint still has it", self.where)
        self.report("removed" if reason else "retired", reason, name)

    def regret(self, failure: BaseException, sentence: str) -> None:
        """Say what a rollback could not undo, as a warning and with the error that is raised."""
        sentence = redacted(sentence)
        self.emit(Noticed(sentence, warning=True))
        if isinstance(failure, FtkitError):
            failure.hint = f"{failure.hint}\n{sentence}".strip()
        else:
            failure.add_note(sentence)

    def mirror(self, deployer: Mirroring, shares: Mapping[str, int]) -> None:
        """Send the deployment copies of the live traffic for the time of a bake; no caller gets its answers."""
        self.moved = True  # `set_traffic` in a rollback ends the copies as well
        call(Mirroring.mirror_to, deployer, self.deployment)
        self.report("gets copies", f"of {call(Mirroring.mirror, deployer)} % of the traffic")
        if capable(deployer, Comparing):  # another target may count no copies, and would be waited for in vain
            self.judge.begin(shares)
        try:
            self._watch(shares)
        finally:  # also when they are why the deployment is not healthy
            if capable(deployer, Comparing) and (compared := call(Comparing.compared, deployer)) is not None:
                self.emit(CopiesCompared(self.deployer.endpoint, self.deployment, replace(compared, flips=())))
        self.smoke()
        call(Mirroring.mirror_to, deployer, None)

    def bake(self, shares: Mapping[str, int], public: bool = False) -> None:
        """Move the traffic, watch the deployment under its share of it, then repeat the smoke test."""
        self.judge.begin(shares)
        self.move(shares)
        self.judge.moved()
        self._watch(shares)
        self.smoke(public)

    def _watch(self, shares: Mapping[str, int]) -> None:
        """Look at the deployment's health and at its judge, until the time of a step is over."""
        ends = time.monotonic() + self.settings.bake + self.judge.delay
        while True:
            health = call(Deployer.health, self.deployer, self.deployment)
            if health.state != "ready":
                log = health.log or call(Deployer.logs, self.deployer, self.deployment, LOG_LINES)
                raise DeployError(f"the deployment did not stay healthy: {health.reason}{_tail(log)}", self.where)
            self.judge.look()
            patience = self.judge.patience if self.judge.undecided() else 0.0
            remaining = ends + patience - time.monotonic()
            if remaining <= 0:
                break
            time.sleep(min(self.poll, remaining))
        match self.judge.end():
            case "back":
                raise UnhealthyError(
                    f"the new deployment could not be judged: {self.judge.doubt}", self.where, _MORE_TIME
                )
            case "hold":
                raise HeldError(
                    f"the rollout stops at {formatting.traffic(shares)}: {self.judge.doubt}",
                    self.where,
                    f"Nothing was changed back. The same command goes on from here, and `ftkit endpoint delete {self.deployer.endpoint}"
                    f" --deployment {self.deployment}` ends it. {_MORE_TIME}",
                )


def _is_healthy(step: _Step, before: Endpoint) -> bool:
    """Whether the live deployment of this name has this very bundle and passes the smoke test."""
    live = next(each for each in before.deployments if each.name == step.deployment)
    if live.bundle_hash not in ("", step.bundle.hash):
        return False
    try:
        if call(Deployer.health, step.deployer, step.deployment).state == "starting":  # after a restart of the machine
            step.wait_until_ready()
        step.smoke()
    except DeployError as error:
        step.emit(
            Noticed(f"the live deployment {step.deployment} does not answer and is created again: {error.what}", True)
        )
        return False
    return True


def _clear_leftover(step: _Step, before: Endpoint) -> Endpoint:
    """Remove a deployment of this name that an interrupted run left behind, and return the endpoint without it."""
    if all(each.name != step.deployment for each in before.deployments):
        return before
    if step.deployment in before.traffic:
        others = {name: share for name, share in before.traffic.items() if name != step.deployment}
        step.move(scaled(others, 100))
    step.delete("left by an interrupted run")
    return call(Deployer.prepare, step.deployer)


def _roll_back(step: _Step, before: Endpoint, error: BaseException) -> BaseException:
    """Put traffic back, remove the deployment, and return the error to raise; it says what could not be undone."""
    failure = error
    if isinstance(error, Exception) and (changed := rollout_checks.changed(step.bundle)):
        failure = changed  # whatever came of it
    elif isinstance(error, Exception) and not isinstance(error, FtkitError):
        failure = DeployError(f"the rollout failed: {type(error).__name__}: {error}", step.where)
    try:
        step.judge.broken_off()
        if step.moved:
            step.move(before.traffic)
    except Exception as rollback_error:
        step.regret(failure, f"Traffic could not be put back to {before.traffic or 'none'}: {_what(rollback_error)}.")
    try:
        if step.created:
            step.delete("the rollout did not succeed")
    except Exception as rollback_error:
        sentence = f"The deployment {step.deployment} could not be removed: {_what(rollback_error)}."
        step.regret(failure, f"{sentence} {rollout_checks.costs(step.deployer.endpoint, step.deployment)}")
    return failure


def _retire(step: _Step, before: Endpoint, replaced: Collection[str]) -> None:
    """Remove the deployments from before the rollout; a failure is only a warning, since the new deployment is live.

    With `keep`, those that had traffic, now or before an earlier call, stay: `ftkit.stages.keeping` looks after them.
    """
    kept = {*before.traffic, *replaced} if duration(step.settings.keep) else ()
    for old in before.deployments:
        if old.name == step.deployment or old.name in kept:
            continue
        try:
            step.delete("", old.name)
        except Exception as error:
            sentence = f"The old deployment {old.name} could not be removed: {_what(error)}. {rollout_checks.costs(step.deployer.endpoint, old.name)}"
            step.emit(Noticed(sentence, warning=True))


def _what(error: Exception) -> str:
    return error.what if isinstance(error, FtkitError) else f"{type(error).__name__}: {error}"


def _tail(log: str) -> str:
    """The end of a log, to be appended to a sentence; empty for an empty log."""
    lines = "".join(f"\n  | {line}" for line in log.strip().splitlines()[-LOG_LINES:])
    return lines and f"\n  its log ends:{lines}"
