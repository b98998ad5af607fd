"""What a plugin is called: its component, its distribution, its package and its class, all made of one name."""

from __future__ import annotations

import builtins
import importlib.util
import keyword
import re
from dataclasses import dataclass
from importlib import metadata

from ftkit.errors import UsageError

LONGEST = 30
"""Characters of a name: lines of the templates with a longer one would be broken."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Names:
    """All names of a plugin whose component has this one."""

    component: str

    @property
    def distribution(self) -> str:
        """What pip installs."""
        return f"ftkit-{self.component}"

    @property
    def package(self) -> str:
        """What Python imports."""
        return f"ftkit_{self.module}"

    @property
    def module(self) -> str:
        """The component's name as Python could import it."""
        return self.component.replace("-", "_")

    @property
    def title(self) -> str:
        """The component's class."""
        return "".join(part.capitalize() for part in self.component.split("-"))


def checked(name: str, hook: str, text: str) -> Names:
    """The names of a new plugin, none of them taken; `text` is what its class will stand in.

    Raises: UsageError.
    """
    names = Names(name.removeprefix("ftkit-"))
    if not _NAME.fullmatch(names.component) or len(names.component) > LONGEST:
        raise UsageError(
            f"{name[: 2 * LONGEST]!r} is no name for a plugin",
            hint=f"Use at most {LONGEST} small letters and digits, with dashes between words, such as word-counts.",
        )
    title = names.title
    if keyword.iskeyword(title) or title in vars(builtins) or re.search(rf"\b{title}\b", text):
        hint = f"Its class would be called {title}, and so is something else in its modules. Choose another name."
        raise UsageError(f"the name {name!r} cannot be used", hint=hint)
    if owner := _owner(names, hook):
        raise UsageError(f"the name {name!r} is taken by {owner}", hint="Choose another name.")
    return names


def _owner(names: Names, hook: str) -> str:
    """What has one of these names already; empty if nothing has."""
    from ftkit import plugins
    from ftkit.bundled_plugins import bundled_plugins

    kinds = {"engines": "backbones"}.get(hook, hook)
    for offer in plugins.load().offers:
        if offer.name == names.component and offer.kind in (kinds, plugins.NAMED_ALIKE.get(kinds)):
            return offer.plugin
    if owner := bundled_plugins().get(names.component):
        return f"a component of {owner}"
    try:
        installed = metadata.distribution(names.distribution)
        return f"{installed.name} {installed.version}, which is installed"
    except metadata.PackageNotFoundError:
        pass
    found = importlib.util.find_spec(names.package)
    return f"the package {names.package}, which Python can import" if found else ""
