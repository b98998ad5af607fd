"""Which of ftkit's own plugins offers a component, so that an error can name a plugin that is not installed.

The list is read off the plugins. A checkout has their sources beside the package; a wheel carries the list that its build made.
"""

from __future__ import annotations

import functools
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LIST = "bundled_plugins.json"
"""The list's file in the package of a wheel."""

_NAME = re.compile(r"^    name(?:: ClassVar\[str\])? = \"([^\"]+)\"$", re.MULTILINE)
"""Where a component says its name."""


_METHODS = re.compile(r"^    def (publish|package)\(", re.MULTILINE)
"""Optional methods that an error may recommend a component for."""

_SUCCESSOR = re.compile(r"^    successor: ClassVar\[str\] = ", re.MULTILINE)


@functools.cache
def bundled_plugins() -> Mapping[str, str]:
    """The distribution that offers each component of ftkit's own plugins, by the component's name."""
    return {name: offer["plugin"] for name, offer in _offers().items()}


@functools.cache
def _offers() -> Mapping[str, dict[str, Any]]:
    package = Path(__file__).parent
    try:
        return json.loads((package / LIST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return offered(package.parent / "plugins")


def able(method: str) -> list[str]:
    """The components of ftkit's own plugins that have an optional method, by name, without those that another one replaces."""
    return [name for name, offer in _offers().items() if method in offer["methods"]]


def offered(folder: Path) -> dict[str, dict[str, Any]]:
    """Each component in a folder of distributions: its `plugin`, and the optional `methods` it has; empty where there is none."""
    offers: dict[str, dict[str, Any]] = {}
    for distribution in sorted(folder.glob("ftkit-*")):
        for path in sorted(distribution.glob("ftkit_*/**/*.py")):
            text = path.read_text(encoding="utf-8")
            methods = [] if _SUCCESSOR.search(text) else _METHODS.findall(text)
            for name in _NAME.findall(text):
                known = offers.setdefault(name, {"plugin": distribution.name, "methods": []})
                known["methods"] += methods
    return offers


def how_to_install(distribution: str) -> str:
    """How to install one of ftkit's own plugins: from the checkout that this is, or else from an index."""
    plugins = Path(__file__).parent.parent / "plugins"
    try:
        text = (plugins / distribution / "pyproject.toml").read_text(encoding="utf-8")
    except OSError:
        return f"pip install {distribution}"
    required = (re.split(r"[^\w-]", requirement)[0] for requirement in tomllib.loads(text)["project"]["dependencies"])
    own = [name for name in required if (plugins / name).is_dir()]
    return f"pip install {' '.join(f'-e plugins/{name}' for name in [*own, distribution])}"
