"""Joins a cluster without leaving Ray's mark on this process: what it reads of the environment, and the handlers of signals."""

from __future__ import annotations

import importlib
import signal
import threading
from typing import Any


def join(**settings: Any) -> None:
    """Begin Ray's client with these settings of `ray.init`. Raises: as that does.

    Ray sees the environment as it is now: it read how to sign in when it was imported, or when it was connected before. It sets handlers of
    signals, which would keep ftkit from ending in order: those of before are put back.
    """
    import ray

    internals: Any = importlib.import_module("ray._raylet")
    internals.Config.initialize("")
    internals.AuthenticationTokenLoader.instance().reset_cache()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        ray.init(**settings, log_to_driver=False, configure_logging=False)
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                if handler is not None:  # one that no Python code has set
                    signal.signal(number, handler)
