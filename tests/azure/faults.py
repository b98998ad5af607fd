"""What goes wrong on the wire: a fault waits for a request and strikes it a number of times."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from tests.azure.messages import Response, refusal


@dataclass
class Fault:
    """One thing that goes wrong.

    It strikes requests whose method is `method` (or any of `PUT|POST`) and whose host and path, as `host/path`, `place` is
    found in as a regular expression, after letting `after` of them pass.
    """

    method: str
    place: str
    response: Response | None = None
    """What is answered, without the service being asked."""
    cut: Literal["", "upload", "answer"] = ""
    """Cut the connection: in the middle of the upload, or once the service has done its work, before it answers."""
    times: int = 1
    after: int = 0
    then: Callable[[], None] | None = None
    """Called when it strikes; for a cut answer, once the service has done its work."""
    struck: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def strikes(self, method: str, host: str, path: str) -> bool:
        """Whether this request is to be struck now; every call counts."""
        if method not in self.method.split("|") and self.method != "*":
            return False
        if not re.search(self.place, host + path):
            return False
        with self._lock:
            if self.after > 0:
                self.after -= 1
                return False
            if self.struck >= self.times:
                return False
            self.struck += 1
            return True


def too_many_requests(seconds: int = 1) -> Response:
    """Status 429, with the time after which to come back."""
    return refusal(429, "TooManyRequests", "The request was throttled.", {"Retry-After": str(seconds)})


def server_error() -> Response:
    """Status 500, which says nothing."""
    return refusal(500, "InternalServerError", "An internal server error occurred.")


def quota_exceeded(family: str = "Standard DSv2 Family vCPUs") -> Response:
    """What Azure Resource Manager says when a subscription has no cores left of a kind."""
    return refusal(
        400,
        "OutOfQuota",
        f"Not enough quota available for {family} in SubscriptionId. Current usage/limit: 100/100. Additional needed: 4.",
    )
