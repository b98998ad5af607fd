"""The plugins that ftkit knows of: a short list of those that exist, which comes with ftkit and makes docs/directory.md."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LIST = Path(__file__).with_name("directory.toml")

NOT_ENDORSED = (
    "That a plugin is listed says that it exists and was found to install and to pass its own tests when it was added. "
    "It is no endorsement: a plugin is code that runs with your rights, so look at it, and at who wrote it, before you install it."
)


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One plugin of the list."""

    name: str
    """Its distribution."""
    kinds: Sequence[str]
    """The hooks that it has."""
    link: str
    """Where it is: an address, or a folder of ftkit's own repository."""
    api: int
    """The number of the plugin API that it requires."""
    about: str
    """What it is for, in a sentence."""


def listed() -> list[Listed]:
    """All plugins of the list, by name."""
    entries = tomllib.loads(LIST.read_text(encoding="utf-8"))["plugin"]
    return sorted((Listed(**entry) for entry in entries), key=lambda each: each.name)
