"""The capability of a deployer whose endpoint looks after a rollout itself."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable


@runtime_checkable
class Guarding(Protocol):
    """A deployer whose endpoint watches over a rollout. Nothing requires it: without it, nobody undoes one whose client is gone."""

    def guarded(self, deployment: str) -> AbstractContextManager[None]:
        """A context for the time of a rollout of a deployment: a process that ends in it, and a second rollout, are dealt with.

        When the process ends without leaving the context, the endpoint puts the traffic back as it was at its beginning, and removes the
        deployment. Raises: DeployError while another rollout is under way.
        """
        ...
