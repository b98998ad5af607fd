"""Variables for a process that trains or serves an encoder: they act before Python starts, so its parent sets them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache

PATIENT = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000"}
"""A thread that waits for the others spins for some twenty microseconds and then gives its core away.

A training step has thousands of short products, after each of which threads wait for a moment: woken anew each time, they make a
step a third longer. Spinning as long as the default does made training six times slower where another process had one of two
cores. Source: GNU libgomp manual, OMP_WAIT_POLICY and GOMP_SPINCOUNT; benchmarks/README.md has the figures.
"""


def be_patient() -> None:
    """The same for this process, if torch is not loaded yet; a choice of the user's is left alone."""
    if "torch" not in sys.modules:
        os.environ.update(_patient())


def process_environment(threads: int, *, preload: bool = True) -> dict[str, str]:
    """What to add to the environment of a process that may use `threads` cores for its matrix products.

    An activation of a training step is larger than glibc's threshold for memory of its own, so that each step maps
    its pages anew, has them zeroed, and gives them back: raising the thresholds made training up to 1.4 times as fast at
    no change of meaning, tcmalloc (where it is installed) more. Variables the user has set are left alone. A server goes without
    tcmalloc (`preload`): it gains nothing by it, and OpenVINO crashes beside it.

    Source: glibc's manual, "Memory Allocation Tunables"; PyTorch's performance tuning guide, on memory allocators.
    """
    if threads < 1:
        raise ValueError("threads must be at least 1")
    wanted = {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        **_patient(),
        # The tokenizer's own threads would be a second pool on the same cores, and warn in every forked process.
        "TOKENIZERS_PARALLELISM": "true" if threads > 1 else "false",
    }
    if sys.platform == "linux":
        if preload and (library := _tcmalloc()):
            preloaded = os.environ.get("LD_PRELOAD", "")
            if library not in preloaded.split(":"):
                wanted["LD_PRELOAD"] = f"{preloaded}:{library}".lstrip(":")
        else:
            wanted |= {
                # The largest that glibc takes; larger blocks than this keep their own mapping.
                "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
                "MALLOC_TRIM_THRESHOLD_": str(2**30),
                "MALLOC_TOP_PAD_": str(64 * 2**20),
            }
    return {key: value for key, value in wanted.items() if key == "LD_PRELOAD" or key not in os.environ}


def _patient() -> dict[str, str]:
    """`PATIENT`, unless the user has said how threads are to wait."""
    return {} if PATIENT.keys() & os.environ.keys() else PATIENT


@cache
def _tcmalloc() -> str | None:
    """The path of tcmalloc's shared library, or None; a name alone would make the loader complain in every child."""
    import ctypes.util

    soname = ctypes.util.find_library("tcmalloc_minimal") or ctypes.util.find_library("tcmalloc")
    ldconfig = shutil.which("ldconfig") or shutil.which("ldconfig", path="/sbin:/usr/sbin")
    if not soname or not ldconfig:
        return None
    listed = subprocess.run([ldconfig, "-p"], capture_output=True, text=True, check=False).stdout
    for line in listed.splitlines():
        name, _, path = line.partition(" => ")
        if name.split()[:1] == [soname] and os.path.exists(path.strip()):
            return path.strip()
    return None
