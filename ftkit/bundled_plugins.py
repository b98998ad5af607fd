"""Which of ftkit's own plugins offers a component, so that an error can name a plugin that is not installed.

The list is read off the plugins. A checkout has their sources beside the package; a wheel carries the list that its build made.
"""

from __future__ import annotations

import functools
import json
import re
import tomllib
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

PUBLISHED = False
"""Whether an index has ftkit and its plugins: set it on the day of the first release, and every message names the index."""

CORE = "ftkit"

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


def how_to_install(requirement: str) -> str:
    """The command that installs a requirement, such as `ftkit-bert` or `ftkit[engines]`.

    ftkit's own distributions come from the checkout that this is, or else as they are published today.
    """
    root = Path(__file__).parent.parent
    name, extras = re.match(r"([\w.-]*)(\[[\w,. -]*\])?", requirement).groups("")  # type: ignore[union-attr]  # it matches any text
    if (root / "plugins" / name / "pyproject.toml").is_file():
        folders = [f"plugins/{each}" for each in (*_own_requirements(root, name), name)]
    elif name == CORE and (root / "plugins").is_dir():
        folders = ["."]
    else:
        quoted = requirement if requirement == name else f"'{requirement}'"
        if unpublished(name):
            return f"pip install --find-links DIST {quoted}, where DIST is the folder with the wheels of ftkit"
        return f"pip install {quoted}"
    folders[-1] = f"'{folders[-1]}{extras}'" if extras else folders[-1]
    return f"pip install {' '.join(f'-e {folder}' for folder in folders)}"


def unpublished(distribution: str) -> bool:
    """Whether a distribution is one of ftkit's own, and so on no index today: what an index has under its name is somebody else's."""
    extras = metadata.requires(CORE) or ()  # the extra `all` names every plugin
    own = {CORE, *(re.split(r"[^\w-]", each)[0] for each in extras if each.startswith(f"{CORE}-"))}
    return not PUBLISHED and distribution in own


def _own_requirements(root: Path, distribution: str) -> list[str]:
    """The plugins of a checkout that another one of it requires."""
    table = tomllib.loads((root / "plugins" / distribution / "pyproject.toml").read_text(encoding="utf-8"))
    required = (re.split(r"[^\w-]", requirement)[0] for requirement in table["project"]["dependencies"])
    return [name for name in required if (root / "plugins" / name).is_dir()]
