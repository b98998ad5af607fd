"""The threads that share a call: one pool in a process, made when a call first asks for it."""

from __future__ import annotations

import ctypes
import os
import threading

from ftkit_native.library import library

MOST = 64
"""Threads of a call, at most: the library's MAX_SLOTS."""

_lock = threading.Lock()
_pool: ctypes.c_void_p | None = None
_started = 1
"""Threads of a call with the pool: those of the pool, and the caller's own."""


def pool(threads: int) -> ctypes.c_void_p:
    """The pool, with threads for calls of so many.

    Python starts them, and each then stays in the library, outside the interpreter's lock: the library needs no threads of
    its own. They end with the process.
    """
    global _pool, _started
    with _lock:
        if _pool is None:
            _pool = ctypes.c_void_p(library()["pool"]())
            if not _pool.value:
                _pool = None
                raise MemoryError("there is not enough memory")
        while _started < min(threads, MOST):
            arguments = (_pool, _started)
            threading.Thread(
                target=library()["work"], args=arguments, name=f"ftkit-native-{_started}", daemon=True
            ).start()
            _started += 1
        return _pool


def _forget() -> None:
    """In a forked process, which has none of the threads; the old pool stays as it is."""
    global _pool, _started, _lock
    _pool, _started, _lock = None, 1, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
