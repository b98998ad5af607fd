"""What plugins should no longer use: it warns for two minor releases, and the next one has it no more.

To deprecate a public name: add it to `DEPRECATED` and to the list in docs/public.md, let it still work, and call `warn` where it is used.
When it is removed, `OLDEST_API` rises if a plugin of an older number may use it.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

from ftkit.errors import FtkitDeprecation


class Deprecation(NamedTuple):
    """One name that will go."""

    name: str
    """As a plugin's author writes it, such as `ftkit.contracts.Old` or `Deployer.stop`."""
    since: str
    """The release that warns first."""
    instead: str
    """What to write instead, as a sentence."""

    @property
    def removed_in(self) -> str:
        """The release that no longer has it."""
        major, minor = self.since.split(".")[:2]
        return f"{major}.{int(minor) + 2}"


DEPRECATED: tuple[Deprecation, ...] = ()
"""Everything that is deprecated now."""


def warn(name: str, frames: int = 1) -> None:
    """Warn that a deprecated name is used; `frames` counts the calls between the use and the caller of this function."""
    deprecation = next(each for each in DEPRECATED if each.name == name)
    sentence = f"{name} is deprecated since ftkit {deprecation.since} and will be removed in {deprecation.removed_in}. "
    warnings.warn(FtkitDeprecation(sentence + deprecation.instead), stacklevel=2 + frames)
