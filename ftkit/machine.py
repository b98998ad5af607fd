"""What a run was carried out on: kept in its journal, because results are read long after the machine is gone."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

MATTER = ("torch", "transformers", "tokenizers", "accelerate", "safetensors", "numpy", "scipy", "pandas")
"""Distributions that results depend on, beside ftkit's own and those that bring plugins."""


def described() -> dict[str, Any]:
    """Python, system, processor, memory, graphics cards and the versions of what matters; loads none of it."""
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": _processor(),
        "bf16_units": _bf16_units(),
        "cores": cores(),
        "memory_mb": _memory(),
        "gpus": _gpus(),
        "versions": _versions(),
    }


def hardware() -> dict[str, Any]:
    """What computes here: results do not depend on it, how long they take does."""
    return {"processor": _processor(), "cores": cores(), "gpus": _gpus()}


def cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


def _processor() -> str:
    for line in _lines(Path("/proc/cpuinfo")):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _bf16_units() -> list[str]:
    """What the processor multiplies bf16 with, as Linux names it: training takes that format where there is any."""
    flags = next((line for line in _lines(Path("/proc/cpuinfo")) if line.startswith(("flags", "Features"))), "")
    return sorted({"amx_bf16", "avx512_bf16", "bf16"} & set(flags.partition(":")[2].split()))


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    except (OSError, ValueError, AttributeError):
        return None


def _gpus() -> list[str]:
    """Names of NVIDIA cards, as the driver tells them without loading anything."""
    found = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    return [
        line.partition(":")[2].strip() for path in found for line in _lines(path) if line.lower().startswith("model")
    ]


def _versions() -> dict[str, str]:
    from ftkit import __version__, plugins

    owners = {each.plugin.split(" ")[0] for each in plugins.load().found}
    found = {"ftkit": __version__}
    for name in sorted(owners | set(MATTER)):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
