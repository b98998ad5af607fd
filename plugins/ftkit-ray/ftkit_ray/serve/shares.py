"""Which deployment gets the next request: shares in a detached actor, which tells every router at once.

The shares are in the endpoint's files as well, so that the actor knows them when its node was lost and it begins again. They are not
Serve's own configuration of the router: with a new one, Serve starts new replicas, and requests wait for seconds.

The actor also counts what the routers say of the requests that they have passed on; these counts are gone when it begins again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from ftkit.serving import live_counts
from ftkit.serving.live_counts import LiveCounts
from ftkit_ray.serve.files import EndpointFiles

NAMESPACE = "ftkit"
LOST_AFTER = 5.0
"""Seconds in which a router must confirm new shares; one that does not is gone."""
WAIT = 30.0
"""Seconds after which a router asks again where nothing has changed."""


class Shares:
    """The percent of each deployment of one endpoint, which routers know it, and what each deployment did lately."""

    def __init__(self, files: EndpointFiles) -> None:
        self._files = files
        self._shares = files.traffic()
        self._version = 0
        self._known: dict[str, int] = {}
        """The version that each router has."""
        self._changed = asyncio.Condition()
        self._counts: dict[str, LiveCounts] = {}

    async def count(self, requests: Sequence[tuple[str, float, str]]) -> None:
        """Count requests that a router has passed on: the deployment, the seconds, and the kind of error, if any."""
        for deployment, seconds, error in requests:
            self._counts.setdefault(deployment, LiveCounts()).request(seconds, error)

    async def measures(self, seconds: float) -> dict[str, dict[str, Any]]:
        """What each deployment did over the last seconds, as JSON objects."""
        return {name: live_counts.to_json(counts.measures(seconds)) for name, counts in self._counts.items()}

    async def change(self, shares: Mapping[str, int]) -> None:
        """New shares; returns when every router goes by them. Raises: OSError when they cannot be written: then nothing changes."""
        self._files.set_traffic(shares)
        async with self._changed:
            self._shares = dict(shares)
            self._version += 1
            version = self._version
            self._changed.notify_all()
            with contextlib.suppress(asyncio.TimeoutError):
                all_know = self._changed.wait_for(lambda: min(self._known.values(), default=version) >= version)
                await asyncio.wait_for(all_know, LOST_AFTER)
            self._known = {router: known for router, known in self._known.items() if known >= version}

    async def current(self) -> dict[str, int]:
        """The shares as they are."""
        return self._shares

    async def newer(self, router: str, version: int) -> tuple[int, dict[str, int]]:
        """The shares and their version as soon as it is not `version`, or after `WAIT` seconds; the router goes by `version` now."""
        async with self._changed:
            self._known[router] = version
            self._changed.notify_all()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._changed.wait_for(lambda: self._version != version), WAIT)
            return self._version, self._shares


def shares_of(endpoint: str, files: EndpointFiles) -> Any:
    """The actor of an endpoint, made where there is none."""
    import ray

    return (
        ray.remote(Shares)
        .options(
            name=f"shares of {endpoint}",
            namespace=NAMESPACE,
            lifetime="detached",
            get_if_exists=True,
            num_cpus=0,
            max_restarts=-1,
            max_task_retries=3,
            max_concurrency=1000,
        )
        .remote(files)
    )


def forget(endpoint: str) -> None:
    """End the actor of an endpoint that is taken down."""
    import ray

    with contextlib.suppress(ValueError):
        ray.kill(ray.get_actor(f"shares of {endpoint}", namespace=NAMESPACE))
