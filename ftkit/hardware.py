"""What computes on this machine, told without loading anything."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any


def hardware() -> dict[str, Any]:
    """What computes here: results do not depend on it, how long they take does."""
    return {"processor": processor(), "cores": cores(), "gpus": gpus()}


def cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


def processor() -> str:
    """The processor's name, as the system tells it."""
    for line in _lines(Path("/proc/cpuinfo")):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def bf16_units() -> list[str]:
    """What the processor multiplies bf16 with, as Linux names it: training takes that format where there is any."""
    flags = next((line for line in _lines(Path("/proc/cpuinfo")) if line.startswith(("flags", "Features"))), "")
    return sorted({"amx_bf16", "avx512_bf16", "bf16"} & set(flags.partition(":")[2].split()))


def memory() -> int | None:
    """Megabytes of memory, or None where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    except (OSError, ValueError, AttributeError):
        return None


def gpus() -> list[str]:
    """Names of NVIDIA cards, as the driver tells them without loading anything."""
    found = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    return [
        line.partition(":")[2].strip() for path in found for line in _lines(path) if line.lower().startswith("model")
    ]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
