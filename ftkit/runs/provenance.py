"""The machine and the software of a run: stored in its journal, because results are read long after the machine is gone."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Any

from ftkit import hardware, plugins
from ftkit._version import __version__

MATTER = ("torch", "transformers", "tokenizers", "accelerate", "safetensors", "numpy", "scipy", "pandas")
"""Distributions that results depend on, in addition to ftkit and its plugins."""


def described() -> dict[str, Any]:
    """Python, system, processor, memory, graphics cards, and versions of distributions; imports none of them."""
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
    distributions = {component.plugin.split(" ")[0] for component in plugins.load().offers}
    versions = {"ftkit": __version__}
    for name in sorted(distributions | set(MATTER)):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
