"""Operations that this process has begun and does not wait for: Azure gives the reason of a failure only to the
process that began it."""

from __future__ import annotations

import threading
from typing import Any

from ftkit_azure import refusals

_lock = threading.Lock()
_pollers: dict[tuple[Any, ...], Any] = {}


def remember(key: tuple[Any, ...], poller: Any) -> None:
    """Keep the poller of an operation that was begun."""
    with _lock:
        _pollers[key] = poller


def forget(key: tuple[Any, ...]) -> None:
    """Drop an operation, because what it was about is gone."""
    with _lock:
        _pollers.pop(key, None)


def is_running(key: tuple[Any, ...]) -> bool:
    """Whether an operation that was begun here has not ended."""
    with _lock:
        poller = _pollers.get(key)
    return poller is not None and not poller.done()


def failure(key: tuple[Any, ...]) -> str:
    """Why an operation that was begun here failed; empty while it runs, when it succeeded, or when it was not begun here."""
    with _lock:
        poller = _pollers.get(key)
    if poller is None or not poller.done():
        return ""
    try:
        poller.result()
    except Exception as error:  # of whatever kind the SDK makes it, it says what Azure answered
        what, hint = refusals.explain(error)
        return f"{what} {hint}".strip()
    return ""
