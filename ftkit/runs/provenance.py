"""What a run was carried out on: kept in its journal, because results are read long after the machine is gone."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any

from ftkit import hardware, plugins
from ftkit._version import __version__

MATTER = ("torch", "transformers", "tokenizers", "accelerate", "safetensors", "numpy", "scipy", "pandas")
"""Distributions that results depend on, beside ftkit's own and those that bring plugins."""


def described() -> dict[str, Any]:
    """Python, system, processor, memory, graphics cards and the versions of what matters; loads none of it."""
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": hardware.processor(),
        "bf16_units": hardware.bf16_units(),
        "cores": hardware.cores(),
        "memory_mb": hardware.memory(),
        "gpus": hardware.gpus(),
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    owners = {each.plugin.split(" ")[0] for each in plugins.load().found}
    versions = {"ftkit": __version__}
    for name in sorted(owners | set(MATTER)):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
