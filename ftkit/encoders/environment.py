"""Variables for a process that trains or serves an encoder: they act before Python starts, so its parent sets them."""

from __future__ import annotations

import ctypes.util
import os
import shutil
import subprocess
import sys
from functools import cache

PATIENT = {"OMP_WAIT_POLICY": "passive"}
"""A thread that waits for the others gives its core away instead of spinning.

With one core of two taken by another process, spinning made training six times slower; with both free, giving the core away
costs up to a sixth. Source: GNU libgomp manual, OMP_WAIT_POLICY; benchmarks/README.md has the figures.
"""


def be_patient() -> None:
    """The same for this process, if torch is not loaded yet; a choice of the user's is left alone."""
    if "torch" not in sys.modules:
        for key, value in PATIENT.items():
            os.environ.setdefault(key, value)


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
        **PATIENT,
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


@cache
def _tcmalloc() -> str | None:
    """The path of tcmalloc's shared library, or None; a name alone would make the loader complain in every child."""
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
