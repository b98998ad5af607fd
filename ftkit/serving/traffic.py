"""Picks deployments so that the shares come out exactly, evenly spread over time, or so that a caller stays with one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping


class RoundRobin:
    """Smooth weighted round robin: after as many picks as the weights sum to, each was picked as often as it weighs.

    Source: nginx, commit 52327e0627f4, "Upstream: smooth weighted round-robin balancing".
    """

    def __init__(self) -> None:
        self._credit: dict[str, int] = {}

    def pick(self, weights: Mapping[str, int]) -> str | None:
        """The next one, or None when no weight is above 0."""
        shares = {name: weight for name, weight in weights.items() if weight > 0}
        if not shares:
            return None
        for name, weight in shares.items():
            self._credit[name] = self._credit.get(name, 0) + weight
        best = max(shares, key=lambda name: (self._credit[name], name))
        self._credit[best] -= sum(shares.values())
        return best

    def reset(self) -> None:
        """Begin anew: the weights have changed."""
        self._credit.clear()


def stay(caller: str, weights: Mapping[str, int]) -> str | None:
    """The one that this caller stays with, or None when no weight is above 0.

    Callers are spread by a hash. One that a growing share has reached stays there: the latest name that was added gets the first callers.
    """
    total = sum(weights.values())
    if total <= 0:
        return None
    digest = hashlib.blake2b(caller.encode(), digest_size=8).digest()
    place = int.from_bytes(digest, "big") / 2**64 * total
    for name, weight in reversed(list(weights.items())):
        place -= weight
        if place < 0:
            return name
    return next(name for name, weight in weights.items() if weight > 0)
