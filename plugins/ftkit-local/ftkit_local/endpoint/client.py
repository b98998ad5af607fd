"""Sends requests to a running front over its admin socket."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ftkit.errors import DeployError
from ftkit.files import tail
from ftkit.serving.server import LONGEST_SOCKET, short_folder
from ftkit_local.endpoint.folder import Folder

REFUSED = 409
"""Status of the front's answer when a verb cannot be carried out; its body says what, where and hint."""


class NotRunning(DeployError):
    """The endpoint's front process does not live."""


def ask(folder: Folder, method: str, path: str, body: Any = None, timeout: float = 10.0) -> Any:
    """The front's answer to one request. Raises: NotRunning; DeployError when the front refuses or hangs."""
    import httpx2

    try:
        with (
            _reachable(folder.socket) as socket,
            httpx2.Client(
                transport=httpx2.HTTPTransport(uds=socket, verify=False), base_url="http://front", timeout=timeout
            ) as client,
        ):
            answer = client.request(method, path, json=body)
    except httpx2.TimeoutException as error:
        raise DeployError(
            f"the endpoint's front did not answer within {timeout:g} s{_log_end(folder)}",
            str(folder.root),
            "Take it down with `ftkit endpoint stop`, and run again.",
        ) from error
    except (httpx2.TransportError, OSError) as error:
        raise not_running(folder) from error
    if answer.status_code == REFUSED:
        raise DeployError(**answer.json())
    if answer.is_error:
        raise DeployError(f"the endpoint's front failed on {method} {path}{_log_end(folder)}", str(folder.root))
    return answer.json()


@contextmanager
def watched(folder: Folder, deployment: str) -> Iterator[None]:
    """Have the front watch over a rollout, until this is left or this process ends. Raises: NotRunning; DeployError."""
    import httpx2

    with (
        _reachable(folder.socket) as socket,
        httpx2.Client(
            transport=httpx2.HTTPTransport(uds=socket, verify=False), base_url="http://front", timeout=None
        ) as client,
    ):
        try:
            answer = client.send(
                client.build_request("POST", "/rollout", json={"deployment": deployment, "client": os.getpid()}),
                stream=True,
            )
            if answer.status_code == REFUSED:
                answer.read()
                raise DeployError(**answer.json())
            stream = answer.iter_bytes()  # kept, since the connection ends with it
            next(stream)
        except (httpx2.TransportError, OSError) as error:
            raise not_running(folder) from error
        try:
            yield
        finally:
            with suppress(DeployError):  # without a front, there is nothing to tell
                ask(folder, "DELETE", "/rollout")
            answer.close()


def not_running(folder: Folder) -> NotRunning:
    """The error of an endpoint whose front does not live."""
    return NotRunning(
        "the endpoint is not running", str(folder.root), "Run the recipe again: it brings the endpoint back up."
    )


def _log_end(folder: Folder) -> str:
    lines = tail(folder.front_log, 5)
    return f"; its log ends:\n{lines}" if lines else ""


@contextmanager
def _reachable(socket: Path) -> Iterator[str]:
    """A path that is short enough for a socket, however deep its folder is."""
    if len(os.fsencode(socket)) <= LONGEST_SOCKET:
        yield str(socket)
        return
    with short_folder() as folder:
        link = folder / "to"
        link.symlink_to(socket.parent)
        yield str(link / socket.name)
