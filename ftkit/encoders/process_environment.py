"""Environment variables for a process that trains or serves an encoder; they work only if its parent sets them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache

THREAD_WAITING = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000"}
"""A thread that waits for the others spins for some twenty microseconds and then releases its core.

A training step has thousands of short matrix products, and threads wait for a moment after each: without any spinning,
waking them makes a step a third longer. Spinning as long as the default does made training six times slower where
another process had one of two cores. Source: GNU libgomp manual, OMP_WAIT_POLICY and GOMP_SPINCOUNT;
benchmarks/README.md has the figures.
"""


def set_thread_waiting() -> None:
    """Set `THREAD_WAITING` in this process, if torch is not loaded yet; the user's own settings stay."""
    if "torch" not in sys.modules:
        os.environ.update(_thread_waiting())


def process_environment(threads: int, *, serving: bool = False) -> dict[str, str]:
    """What to add to the environment of a process that may use `threads` cores for its matrix products.

    The activations of a training step are larger than the threshold from which glibc maps memory for each allocation.
    So each step has its pages mapped, zeroed and given back: higher thresholds made training up to 1.4 times as fast
    and change no result, tcmalloc (where it is installed) made it faster still. Variables that the user has set stay.

    A server (`serving`) does without tcmalloc: it gains nothing from it, and OpenVINO crashes in its presence. It does without the
    tokenizer's own threads as well: of the few texts that wait at a time, waking them cost more than reading.

    Source: glibc's manual, "Memory Allocation Tunables"; PyTorch's performance tuning guide, on memory allocators.
    """
    if threads < 1:
        raise ValueError("threads must be at least 1")
    variables = {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        **_thread_waiting(),
        # With one core the tokenizer's own threads would only compete for it, and warn in every forked process.
        "TOKENIZERS_PARALLELISM": "true" if threads > 1 and not serving else "false",
    }
    if sys.platform == "linux":
        if not serving and (library := _tcmalloc()):
            preloaded = os.environ.get("LD_PRELOAD", "")
            if library not in preloaded.split(":"):
                variables["LD_PRELOAD"] = f"{preloaded}:{library}".lstrip(":")
        else:
            variables |= {
                # The largest that glibc takes; larger blocks than this keep their own mapping.
                "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
                "MALLOC_TRIM_THRESHOLD_": str(2**30),
                "MALLOC_TOP_PAD_": str(64 * 2**20),
            }
    return {key: value for key, value in variables.items() if key == "LD_PRELOAD" or key not in os.environ}


def _thread_waiting() -> dict[str, str]:
    """`THREAD_WAITING`, unless the user has set one of its variables."""
    return {} if THREAD_WAITING.keys() & os.environ.keys() else THREAD_WAITING


@cache
def _tcmalloc() -> str | None:
    """The path of tcmalloc's shared library, or None; a name alone could make the loader warn in every process."""
    import ctypes.util

    soname = ctypes.util.find_library("tcmalloc_minimal") or ctypes.util.find_library("tcmalloc")
    ldconfig = shutil.which("ldconfig") or shutil.which("ldconfig", path="/sbin:/usr/sbin")
    if not soname or not ldconfig:
        return None
    listing = subprocess.run([ldconfig, "-p"], capture_output=True, text=True, check=False).stdout
    for line in listing.splitlines():
        name, _, path = line.partition(" => ")
        if name.split()[:1] == [soname] and os.path.exists(path.strip()):
            return path.strip()
    return None
