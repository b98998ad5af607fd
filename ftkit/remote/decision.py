"""What follows the search, carried out elsewhere: decision and rollout by the runner's own stages, stopping where only the
client can go on."""

from __future__ import annotations

from typing import Any, Literal

from ftkit import runner
from ftkit.bundle import bundle as bundles
from ftkit.contracts import Emit, Local
from ftkit.contracts.events import Noticed
from ftkit.contracts.plan import Plan
from ftkit.runs import provenance
from ftkit.runs.ledger import Ledger
from ftkit.stages import release

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
        emit(Noticed("The registry is on the machine of the command, so the promotion tests run there."))
        return
    release.decide(plan, ledger, emit, trials, best, bundle)


def deploy(plan: Plan, ledger: Ledger, emit: Emit, left: Left = "") -> None:
    """Roll out what was promoted, and write down that the run came to its end. Raises: FtkitError."""
    if left:
        emit(Noticed("What is left of the run is done on the machine of the command."))
        return
    release.go_live(plan, ledger, emit, bundles.verify(ledger.folder / "bundle"), release.decided(ledger))


def _stays(component: Any) -> bool:
    return isinstance(component, Local) and component.local
