"""How a rollout divides the traffic of an endpoint among its deployments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ftkit.contracts import Endpoint
from ftkit.contracts.settings import Rollout


def with_new(before: Mapping[str, int], deployment: str, percent: int) -> dict[str, int]:
    """`percent` for the new deployment, the rest divided among the others as before."""
    return {**scaled(before, 100 - percent), deployment: percent}


def without(before: Endpoint, deployment: str) -> Endpoint:
    """The endpoint as it was before this deployment got a share of the traffic."""
    others = scaled({name: share for name, share in before.traffic.items() if name != deployment}, 100)
    remaining = (
        replace(each, traffic=others.get(each.name, 0)) for each in before.deployments if each.name != deployment
    )
    return replace(before, deployments=tuple(remaining))


def scaled(shares: Mapping[str, int], total: int) -> dict[str, int]:
    """The shares scaled to sum to `total`, rounded by largest remainder; empty for no shares."""
    whole = sum(shares.values())
    if not whole:
        return {}
    scaled = {name: share * total // whole for name, share in shares.items()}
    short = sorted(shares, key=lambda name: (-(shares[name] * total % whole), name))
    for name in short[: total - sum(scaled.values())]:
        scaled[name] += 1
    return {name: share for name, share in scaled.items() if share}


def held_at(before: Endpoint, deployment: str, bundle_hash: str, settings: Rollout) -> int:
    """The share of the traffic at which an earlier call has stopped for want of requests to judge by; 0 where none has."""
    live = next((each for each in before.deployments if each.name == deployment), None)
    share = before.traffic.get(deployment, 0)
    goes_on = live is not None and live.bundle_hash == bundle_hash and settings.doubt == "hold"
    return share if goes_on and share in settings.canary else 0
