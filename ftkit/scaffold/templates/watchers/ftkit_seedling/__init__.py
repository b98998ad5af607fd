"""A watcher of live requests for ftkit: it logs those that are slow, and how many there were."""

from __future__ import annotations

import logging
import os

from ftkit import hookimpl
from ftkit.contracts.monitoring import Served, ServedRequest, Watcher

log = logging.getLogger(__name__)

LIMIT = "FTKIT_SEEDLING"
"""The environment variable with the seconds after which a request is slow."""


class SlowRequests:
    """Counts the requests of a deployment. A watcher is called for one after another, and no caller waits for it."""

    def __init__(self, deployment: str, limit: float) -> None:
        self.deployment = deployment
        self.limit = limit
        self.requests = self.slow = 0

    def tell(self, request: ServedRequest) -> None:
        """Take a request that was answered or refused; its texts stay here."""
        self.requests += 1
        if request.seconds > self.limit:
            self.slow += 1
            log.warning("%s: %d texts took %.1f s", self.deployment, len(request.labels), request.seconds)

    def close(self) -> None:
        """Sum up, because the deployment ends."""
        log.info("%s: %d of %d requests were slow", self.deployment, self.slow, self.requests)


@hookimpl
def watchers(served: Served) -> list[Watcher]:
    """The watcher of a deployment; none where the endpoint only says that no deployment can answer."""
    limit = float(os.environ.get(LIMIT, "0.5"))
    return [SlowRequests(served.deployment, limit)] if served.deployment else []
