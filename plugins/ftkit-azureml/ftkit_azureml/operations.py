"""Operations that this process began and has not waited for: Azure tells the reason of a failure to whoever began it, and to nobody else."""

from __future__ import annotations

import threading
from typing import Any

from ftkit_azureml import refusals

_lock = threading.Lock()
_begun: dict[tuple[Any, ...], Any] = {}


def remember(key: tuple[Any, ...], poller: Any) -> None:
    """Keep the poller of an operation that was begun."""
    with _lock:
        _begun[key] = poller


def forget(key: tuple[Any, ...]) -> None:
    """Drop an operation, because what it was about is gone."""
    with _lock:
        _begun.pop(key, None)


def is_running(key: tuple[Any, ...]) -> bool:
    """Whether an operation that was begun here has not come to its end."""
    with _lock:
        poller = _begun.get(key)
    return poller is not None and not poller.done()


def failure(key: tuple[Any, ...]) -> str:
    """Why an operation that was begun here failed; empty while it runs, when it succeeded, or when nobody here began it."""
    with _lock:
        poller = _begun.get(key)
    if poller is None or not poller.done():
        return ""
    try:
        poller.result()
    except Exception as error:  # whatever the SDK makes of it, it is what Azure said
        what, hint = refusals.reason(error)
        return f"{what} {hint}".strip()
    return ""
