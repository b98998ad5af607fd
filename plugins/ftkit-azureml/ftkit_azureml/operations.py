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


def outcome(key: tuple[Any, ...]) -> tuple[bool, str]:
    """Whether an operation that was begun here still runs, and why it failed once it has ended.

    Both are of one moment: an operation may end while its caller asks. The reason is empty where it succeeded or was not
    begun here.
    """
    with _lock:
        poller = _pollers.get(key)
    if poller is None:
        return False, ""
    if not poller.done():
        return True, ""
    try:
        poller.result()
    except Exception as error:  # of whatever kind the SDK makes it, it says what Azure answered
        what, hint = refusals.explain(error)
        return False, f"{what} {hint}".strip()
    return False, ""
