"""Loads the library and says what its functions take; all of them check what they are given."""

from __future__ import annotations

import ctypes
import functools
import os
import platform
from collections.abc import Callable, Mapping
from ctypes import POINTER, c_char_p, c_float, c_int, c_int32, c_uint64, c_void_p
from pathlib import Path
from typing import Any

INTERFACE = 1
"""What `ftkit_native_interface` returns: another number is a library of another version."""

ERRORS = {
    1: "its sizes are impossible",
    2: "a weight has another size than the others allow",
    3: "a weight is missing",
    4: "there is not enough memory",
    5: "the texts do not make up the tokens",
    6: "a token is not in the vocabulary",
    7: "a token has a type that the model does not know",
    8: "a text is longer than the model reads",
    9: "this processor does not run these kernels",
    10: "the library was called wrongly",
}
"""Why a function refused what it was given, by what it returned."""

_FUNCTIONS: Mapping[str, tuple[Any, list[Any]]] = {
    "interface": (c_int, []),
    "kernels": (c_char_p, [c_char_p]),
    "model": (c_int, [POINTER(c_int32), c_int, c_float, c_float, c_char_p, POINTER(c_void_p)]),
    "put": (c_int, [c_void_p, c_int, c_int, c_void_p, c_uint64]),
    "finish": (c_int, [c_void_p]),
    "free": (None, [c_void_p]),
    "scratch": (c_void_p, []),
    "free_scratch": (None, [c_void_p]),
    "pool": (c_void_p, []),
    "work": (None, [c_void_p, c_int]),
    "stop": (None, [c_void_p]),
    "free_pool": (None, [c_void_p]),
    "logits": (c_int, [*[c_void_p] * 3, c_int, *[c_void_p] * 3, c_int, c_int, c_void_p, c_uint64]),
}


PATH = "FTKIT_NATIVE_LIBRARY"
"""The environment variable that names another library: for tests."""


class Unavailable(RuntimeError):
    """The library cannot be used here; the message says why."""


class Refused(ValueError):
    """The library refused what it was given; the message says why."""


@functools.cache
def library() -> Mapping[str, Callable[..., Any]]:
    """The functions of the library, by their names without `ftkit_native_`. Raises: Unavailable."""
    path = Path(os.environ.get(PATH) or Path(__file__).with_name("_library.so"))
    if not path.is_file():
        system = f"{platform.system()} on {platform.machine()}"
        raise Unavailable(
            f"ftkit-native was installed without its library ({system}): it exists for Linux on x86-64, and sources need a C++ compiler"
        )
    try:
        loaded = ctypes.CDLL(str(path))
        functions = {name: loaded[f"ftkit_native_{name}"] for name in _FUNCTIONS}
    except (OSError, AttributeError) as error:
        raise Unavailable(f"the library of ftkit-native cannot be loaded: {error}") from error
    for name, (result, arguments) in _FUNCTIONS.items():
        functions[name].restype, functions[name].argtypes = result, arguments
    if functions["interface"]() != INTERFACE:
        raise Unavailable("the library of ftkit-native is of another version: install it again")
    return functions


def kernels(name: str = "") -> str:
    """The kernels that this processor runs best, or `name` where it runs those; empty where there are none. Raises: Unavailable."""
    return library()["kernels"](name.encode()).decode()


def require() -> None:
    """Raises: Unavailable unless models can be computed here."""
    if not kernels():
        raise Unavailable("this processor lacks AVX2, which ftkit-native needs")


def check(result: int) -> None:
    """Raises: Refused, MemoryError for what a function returned."""
    if result:
        problem = ERRORS.get(result, f"error {result}")
        raise MemoryError(problem) if result == 4 else Refused(problem)
