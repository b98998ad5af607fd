"""A model that is open: logits of texts, given as their tokens."""

from __future__ import annotations

import ctypes
import os
import queue
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit_native import threads as pools
from ftkit_native import weights
from ftkit_native.library import Refused, Unavailable, check, kernels, library
from ftkit_native.weights import Damaged, Form

if TYPE_CHECKING:
    import numpy as np

KERNELS = "FTKIT_NATIVE_KERNELS"
"""The environment variable that chooses among the kernels that a processor runs: for tests and measurements."""


class Model:
    """Weights in memory, as the kernels of this processor read them. Threads may share it."""

    def __init__(self, form: Form, handle: ctypes.c_void_p) -> None:
        self.form = form
        self._handle = handle
        self._scratches: queue.LifoQueue[ctypes.c_void_p] = queue.LifoQueue()
        """Memory of calls that are over, each for one call at a time."""
        # Not at the end of the process: a thread that is still computing then would lose its memory.
        weakref.finalize(self, _free, handle, self._scratches).atexit = False  # type: ignore[misc]  # a property, which typeshed takes for a field

    def logits(
        self, ids: np.ndarray, starts: np.ndarray, types: np.ndarray | None = None, *, threads: int = 1
    ) -> np.ndarray:
        """Logits, (texts, classes), of texts whose tokens lie end to end.

        `starts`, (texts + 1,), says where each text begins, and last where the tokens end. Raises: ValueError for texts
        that the model does not read; MemoryError.
        """
        import numpy as np

        ids, starts = _integers(ids), _integers(starts)
        types = None if types is None else _integers(types)
        if not len(starts) or (types is not None and len(types) != len(ids)):
            raise Refused("the texts do not make up the tokens")
        logits = np.empty((len(starts) - 1, self.form.classes), np.float32)
        threads = max(1, min(threads, pools.MOST))
        pool = pools.pool(threads) if threads > 1 else None
        scratch = self._scratch()
        try:
            check(
                library()["logits"](
                    self._handle, scratch, pool, threads, _pointer(ids), None if types is None else _pointer(types),
                    _pointer(starts), len(starts) - 1, len(ids), _pointer(logits), logits.size,
                )
            )  # fmt: skip
        finally:
            self._scratches.put(scratch)
        return logits

    def _scratch(self) -> ctypes.c_void_p:
        try:
            return self._scratches.get_nowait()
        except queue.Empty:
            scratch = ctypes.c_void_p(library()["scratch"]())
            if not scratch.value:
                raise MemoryError("there is not enough memory") from None
            return scratch


def open_model(path: Path) -> Model:
    """Open what `export` wrote; a file that is open already is not read again.

    Raises: Unavailable where the library does not work; Damaged; OSError; MemoryError.
    """
    status = path.stat()
    key = (str(path.resolve()), status.st_mtime_ns, status.st_size, status.st_ino, os.environ.get(KERNELS, ""))
    model = _open.get(key)
    if model is None:
        model = _open[key] = _read(path, key[-1])
    return model


_open: weakref.WeakValueDictionary[Sequence[object], Model] = weakref.WeakValueDictionary()


def _read(path: Path, wanted: str) -> Model:
    if not kernels(wanted):
        raise Unavailable(
            f"this processor does not run the kernels {wanted!r}" if wanted else "this processor lacks AVX2"
        )
    form, arrays = weights.read(path)
    shape = form.shape()
    handle = ctypes.c_void_p()
    try:
        check(
            library()["model"](
                (ctypes.c_int32 * len(shape))(*shape),
                len(shape),
                form.epsilon,
                form.scale,
                wanted.encode(),
                ctypes.byref(handle),
            )
        )
    except Refused as error:
        raise Damaged(f"its metadata are not those of a model: {error}") from error
    model = Model(form, handle)
    weights.hand_over(handle, arrays)
    return model


def _free(handle: ctypes.c_void_p, scratches: queue.LifoQueue[ctypes.c_void_p]) -> None:
    while not scratches.empty():
        library()["free_scratch"](scratches.get_nowait())
    library()["free"](handle)


def _integers(values: np.ndarray) -> np.ndarray:
    """As the library reads them. Raises: Refused."""
    import numpy as np

    values = np.asarray(values)
    if (
        values.ndim != 1
        or values.dtype.kind not in "iu"
        or (values.size and not 0 <= values.min() <= values.max() < 2**31)
    ):
        raise Refused("tokens, types and places must be whole numbers from 0 to below 2 ** 31, in one dimension")
    return np.ascontiguousarray(values, np.int32)


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)
