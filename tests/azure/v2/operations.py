"""Long-running operations, which clients poll until they have ended.

Source: Microsoft, "Track asynchronous Azure operations".
"""

from __future__ import annotations

import threading
import traceback
import uuid
from collections.abc import Callable
from typing import Any

from tests.azure.messages import Request, Response, answer, refusal
from tests.azure.routes import route
from tests.azure.workspace import MANAGEMENT, PROVIDER, REGION, SUBSCRIPTION, WORKSPACE_ID, Managed, now

PACE = {"x-ms-retry-after-ms": "50"}
"""When to poll again. The service sends `Retry-After: 1`; the SDK also understands this header, which is faster."""


class OperationFailed(Exception):
    """An operation failed; its client gets the code and the message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Operations(Managed):
    """Operations in progress; each does its work in a thread of its own."""

    prefix = f"/subscriptions/{SUBSCRIPTION}/providers/{PROVIDER}/locations/{REGION}"

    def __init__(self) -> None:
        self._done: dict[str, threading.Event] = {}
        self._ended: dict[str, dict[str, Any]] = {}

    def begin(self, request: Request, work: Callable[[], None], status: int, resource: Any = None) -> Response:
        """Start an operation and answer with the address at which to poll it."""
        name = str(uuid.uuid4())
        self._done[name] = threading.Event()
        threading.Thread(target=self._carry_out, args=(name, work), daemon=True).start()
        version = request.query["api-version"]
        place = f"https://{MANAGEMENT}{self.prefix}/{{}}/oc:{WORKSPACE_ID}:{name}?api-version={version}"
        location = (
            f"https://{request.host}{request.target}"
            if request.method == "PUT"
            else place.format("mfeOperationResults")
        )
        headers = {"Azure-AsyncOperation": place.format("mfeOperationsStatus"), "Location": location, **PACE}
        return answer(resource, status, headers)

    def wait(self, seconds: float = 60) -> None:
        """Wait until every operation has ended."""
        for event in list(self._done.values()):
            assert event.wait(seconds), "an operation of the loopback does not end"

    def _carry_out(self, name: str, work: Callable[[], None]) -> None:
        try:
            work()
            self._ended[name] = {"status": "Succeeded"}
        except OperationFailed as failure:
            self._ended[name] = {"status": "Failed", "error": {"code": failure.code, "message": str(failure)}}
        except Exception:
            message = traceback.format_exc()
            self._ended[name] = {"status": "Failed", "error": {"code": "LoopbackFailed", "message": message}}
        finally:
            self._done[name].set()

    @route("GET", "/mfeOperationsStatus/{operation}")
    def status(self, request: Request, operation: str) -> Response:
        name = operation.rpartition(":")[2]
        if name not in self._done:
            return refusal(404, "NotFound", f"no operation {name}")
        if not self._done[name].is_set():
            return answer({"id": request.path, "name": name, "status": "InProgress", "startTime": now()}, headers=PACE)
        ended = {"startTime": now(), "endTime": now(), "percentComplete": 100.0, **self._ended[name]}
        return answer({"id": request.path, "name": name, **ended})

    @route("GET", "/mfeOperationResults/{operation}")
    def result(self, request: Request, operation: str) -> Response:
        done = self._done.get(operation.rpartition(":")[2])
        return Response(202, headers=PACE) if done and not done.is_set() else Response(204)
