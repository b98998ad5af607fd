"""A pipeline as `ftkit plan` shows it, made without an SDK and without asking a service."""

from __future__ import annotations

from collections.abc import Collection

from ftkit.contracts.plan import Plan
from ftkit.errors import FtkitError
from ftkit.remote import snapshot
from ftkit.remote.decision import client_part


def here(plan: Plan) -> str:
    """What is left to the machine of the command."""
    return {
        "decide": "the promotion tests, the registry and the rollout: this machine has the registry",
        "deploy": "the rollout: the endpoint is on this machine",
        "": "nothing: the steps do all of it",
    }[client_part(plan)]


def decision(plan: Plan) -> str:
    """What the step that decides does."""
    selection = "the best trial becomes the bundle"
    if plan.search.confirm:
        selection = "the best trials again with other seeds, the best mean becomes the bundle"
    if client_part(plan) == "decide":
        return selection
    tests = ", ".join(each.name for each in plan.promote) or "none"
    registry = f", then {plan.registry.name} as {plan.registry.model}" if plan.registry else ""
    return f"{selection}; promotion tests: {tests}{registry}"


def rollout(plan: Plan) -> str:
    """What the step that deploys does."""
    if client_part(plan):
        return "nothing: this machine does it"
    return f"to {plan.deploy.endpoint} by {plan.deploy.name}" if plan.deploy else "nowhere"


def environment(plan: Plan, image: str, client_only: Collection[str] = ()) -> str:
    """What is installed for the steps, and what goes along as wheels."""
    try:
        needed = snapshot.needs(plan, client_only)
    except FtkitError as error:
        return error.what
    wheels = ", ".join(f"{each.name} {each.version}" for each in needed.sources)
    return f"Python {snapshot.python()} on {image}, {len(needed.pins)} packages pinned as they are installed here" + (
        f"; as wheels in the snapshot: {wheels}" if wheels else ""
    )
