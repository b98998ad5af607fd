"""Network faults and error answers: a fault strikes a number of matching requests."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from tests.azure.messages import Response, answer, refusal


@dataclass
class Fault:
    """Strikes requests of a `method` (or of several: `PUT|POST`) to a `place`, a regular expression for `host/path`.

    The first `after` of them pass; the next `times` are struck.
    """

    method: str
    place: str
    response: Response | None = None
    """The answer, in place of the service's."""
    cut: Literal["", "upload", "answer"] = ""
    """Cut the connection: in the middle of the upload, or once the service has done its work, before it answers."""
    times: int = 1
    after: int = 0
    then: Callable[[], None] | None = None
    """Called when the fault strikes; for a cut answer, once the service has done its work."""
    struck: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def strikes(self, method: str, host: str, path: str) -> bool:
        """Whether the fault strikes this request; every call counts as one request."""
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
    """Status 429, with the seconds after which to try again."""
    return refusal(429, "TooManyRequests", "The request was throttled.", {"Retry-After": str(seconds)})


def server_error() -> Response:
    """Status 500, without a reason."""
    return refusal(500, "InternalServerError", "An internal server error occurred.")


def quota_exceeded(family: str = "Standard DSv2 Family vCPUs") -> Response:
    """The answer of Azure Resource Manager when a subscription has no cores of a family left."""
    return refusal(
        400,
        "OutOfQuota",
        f"Not enough quota available for {family} in SubscriptionId. Current usage/limit: 100/100. Additional needed: 4.",
    )


def sign_in_refused(code: int, message: str) -> Response:
    """What Microsoft Entra answers to credentials that it does not take."""
    return answer(
        {"error": "invalid_client", "error_description": f"AADSTS{code}: {message}", "error_codes": [code]}, 401
    )


def storage_refused(code: str, message: str, status: int = 403) -> Response:
    """What blob storage answers to a request that it does not allow."""
    body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Response(status, body.encode(), {"x-ms-error-code": code, "Content-Type": "application/xml"})
