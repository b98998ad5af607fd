"""The steps after the search, decision and rollout, by the stages of the runner; they end where only the client can continue."""

from __future__ import annotations

from typing import Any, Literal

from ftkit import runner
from ftkit.bundle import bundle as bundles
from ftkit.contracts import Emit, Local, Registry, capable
from ftkit.contracts.events import Noticed
from ftkit.contracts.plan import Plan
from ftkit.plugins.calls import call
from ftkit.runs import provenance
from ftkit.runs.ledger import Ledger
from ftkit.stages import release

ClientPart = Literal["", "decide", "deploy"]
"""The stage from which on only the client can carry out a plan; empty if the steps can carry out all of it."""


def client_part(plan: Plan) -> ClientPart:
    """The part of a plan that the steps leave to the client, because the registry or the deployer is on its machine."""
    if _is_local(plan.registry):
        return "decide"
    return "deploy" if _is_local(plan.deploy) else ""


def step_overrides(plan: Plan) -> dict[str, str]:
    """Overrides that remove the components of a plan that only the client can use, so that the steps do not need their plugins."""
    components = {"registry": plan.registry, "deploy": plan.deploy}
    return {f"{section}.use": "none" for section, component in components.items() if _is_local(component)}


def decide(plan: Plan, ledger: Ledger, emit: Emit, search: runner.Search, left: ClientPart = "") -> None:
    """From the trials to the decision and, if promoted, into the registry; `left` is the part that the client does.

    Raises: FtkitError.
    """
    if ledger.fact("environment") is None:
        ledger.append("environment", **provenance.described())
    if plan.registry is not None and left != "decide":
        call(Registry.champion, plan.registry)  # fails before any repeat is trained if the registry is out of reach
    data = runner.load_data(plan, ledger, emit)
    trials = runner.run_trials(plan, ledger, emit, search)
    best, bundle = runner.select(plan, ledger, emit, data, trials)
    if left == "decide":
        emit(Noticed("The registry is on the client, the machine of the command, so the promotion tests run there."))
        return
    release.decide(plan, ledger, emit, trials, best, bundle)


def deploy(plan: Plan, ledger: Ledger, emit: Emit, left: ClientPart = "") -> None:
    """Roll out a promoted bundle and write the end of the run into the ledger. Raises: FtkitError."""
    if left:
        emit(Noticed("The rest of the run is done on the client, the machine of the command."))
        return
    release.go_live(plan, ledger, emit, bundles.verify(ledger.folder / "bundle"), release.decided(ledger))


def _is_local(component: Any) -> bool:
    return capable(component, Local) and call(Local.local, component)
