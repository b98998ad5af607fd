"""The hardware of this machine, read without importing anything heavy."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any


def hardware() -> dict[str, Any]:
    """What determines the speed of this machine: results do not depend on it, durations do."""
    return {"processor": processor(), "cores": cores(), "gpus": gpus()}


def cores() -> int:
    """Number of cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


def processor() -> str:
    """The processor's name according to the system."""
    for line in _lines(Path("/proc/cpuinfo")):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def bf16_units() -> list[str]:
    """The processor's instructions for bf16, as Linux names them; training uses bf16 where there are any."""
    flags = next((line for line in _lines(Path("/proc/cpuinfo")) if line.startswith(("flags", "Features"))), "")
    return sorted({"amx_bf16", "avx512_bf16", "bf16"} & set(flags.partition(":")[2].split()))


def memory() -> int | None:
    """Megabytes of memory, or None where the system does not report it."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    except (OSError, ValueError, AttributeError):
        return None


def gpus() -> list[str]:
    """Names of the NVIDIA cards according to the driver's files, so that no library is loaded."""
    paths = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    return [
        line.partition(":")[2].strip() for path in paths for line in _lines(path) if line.lower().startswith("model")
    ]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
