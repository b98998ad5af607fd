"""What follows the search, carried out elsewhere: decision and rollout by the runner's own stages, stopping where only the
client can go on."""

from __future__ import annotations

from typing import Any, Literal

from ftkit import runner
from ftkit.bundle import bundle as bundles
from ftkit.contracts import Emit, Local, Trial, Version
from ftkit.contracts.events import Noticed
from ftkit.contracts.plan import Plan
from ftkit.errors import FtkitError, LedgerError
from ftkit.runs import provenance
from ftkit.runs.ledger import Ledger
from ftkit.stages import gate, release
from ftkit.stages.gate import Tested

Left = Literal["", "decide", "deploy"]
"""From where on only the machine of the command can carry out a plan; empty where steps elsewhere can do all of it."""


def left_over(plan: Plan) -> Left:
    """What the steps must leave to the client, because a registry or a deployer is on its machine."""
    if _stays(plan.registry):
        return "decide"
    return "deploy" if _stays(plan.deploy) else ""


def travelling(plan: Plan) -> dict[str, str]:
    """Overrides that take out of a plan what no step can use, so that no step needs its plugin either."""
    there = {"registry": plan.registry, "deploy": plan.deploy}
    return {f"{section}.use": "none" for section, component in there.items() if _stays(component)}


def decide(plan: Plan, ledger: Ledger, emit: Emit, search: runner.Search, left: Left = "") -> None:
    """From the trials to the decision, and into the registry what was promoted; `left` is what the client does.

    Raises: FtkitError.
    """
    if ledger.fact("environment") is None:
        ledger.append("environment", **provenance.described())
    if plan.registry is not None and left != "decide":
        plan.registry.champion()  # an unreachable registry is found out before any repeat is trained
    data = runner.load_data(plan, ledger, emit)
    trials = runner.run_trials(plan, ledger, emit, search)
    best, bundle = runner.select(plan, ledger, emit, data, trials)
    if left == "decide":
        emit(Noticed("The registry is on the machine of the command, so the promotion tests are heard there."))
        return
    release.track(plan, ledger, trials, best, bundle)
    tested = runner.test(plan, ledger, emit, bundle)
    kin = release.track(plan, ledger, trials, best, bundle, tested)
    if tested.promoted:
        release.register(plan, ledger, emit, bundle, kin)


def deploy(plan: Plan, ledger: Ledger, emit: Emit, left: Left = "") -> None:
    """Roll out what was promoted, and write down that the run came to its end. Raises: FtkitError."""
    if left:
        emit(Noticed("What is left of the run is done on the machine of the command."))
        return
    trials, best, tested = decided(plan, ledger)
    bundle = bundles.verify(ledger.folder / "bundle")
    version: Version | None = None
    if tested.promoted:
        version, endpoint, deployment = release.go_live(plan, ledger, emit, bundle, registered(plan, ledger))
    else:
        if tested.champion is not None and plan.registry is not None:
            plan.registry.fetch(tested.champion.version, ledger.folder / "champion")
        endpoint, deployment = release.keep_live(plan, ledger, emit, tested.champion)
    release.conclude(ledger, trials, best, bundle, tested, version, endpoint, deployment)


def decided(plan: Plan, ledger: Ledger) -> tuple[list[Trial], Trial, Tested]:
    """Trials, winner and decision as a ledger has them. Raises: LedgerError when it has none."""
    fact, selected = ledger.fact("tested"), ledger.fact("selected")
    if fact is None or selected is None:
        raise LedgerError(
            "the run has not come to a decision", where=str(ledger.folder), hint="Give the same command: it goes on."
        )
    trials = ledger.trials()
    best = next(each for each in trials if each.number == selected["number"])
    return trials, best, gate.told(ledger, _version(plan, ledger, fact["champion_version"], fact["champion"]))


def registered(plan: Plan, ledger: Ledger) -> Version | None:
    """The version that this run registered, as its registry describes it now."""
    fact = ledger.fact("registered")
    return _version(plan, ledger, fact["version"], (ledger.fact("tested") or {})["bundle"]) if fact else None


def _version(plan: Plan, ledger: Ledger, version: str | None, bundle: str | None) -> Version | None:
    if plan.registry is None or version is None:
        return None
    try:
        found = next((each for each in plan.registry.versions() if each.version == version), None)
    except FtkitError:  # the decision stands, whether the registry can be reached from here or not
        found = None
    return found or Version(plan.registry.model, version, bundle_hash=bundle or "")


def _stays(component: Any) -> bool:
    return isinstance(component, Local) and component.local
