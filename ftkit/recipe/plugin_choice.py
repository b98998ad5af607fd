"""`[run] plugins`: the distributions whose plugins a recipe lets take part; it is read before any plugin is imported."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from ftkit.bundled_plugins import bundled_plugins, how_to_install
from ftkit.errors import Problem, RecipeError
from ftkit.formatting import capital, listing
from ftkit.plugins import Plugins, canonical
from ftkit.recipe.components import dotted
from ftkit.recipe.document import Document
from ftkit.recipe.toml_lines import Key

KEY: Key = ("run", "plugins")


def chosen_plugins(document: Document) -> tuple[str, ...] | None:
    """The names in the recipe; None where it does not choose, and all that are installed take part.

    Raises: RecipeError for anything but a list of names, since then nobody knows which plugins may be imported.
    """
    section = document.values.get("run")
    if not isinstance(section, dict) or "plugins" not in section:
        return None
    names = section["plugins"]
    if not isinstance(names, list) or not all(isinstance(each, str) and each.strip() for each in names):
        hint = 'List distributions, as `ftkit plugins` names them: plugins = ["ftkit-bert", "ftkit-local"].'
        raise RecipeError([Problem(document.where(KEY), dotted(KEY), "must be a list of names of plugins", hint)])
    return tuple(names)


def absent_plugins(document: Document, plugins: Plugins) -> Iterator[Problem]:
    """The names in the recipe that no installed plugin has: elsewhere, where a run has parts, not all of them need be."""
    installed = plugins.distributions()
    for index, name in enumerate(chosen_plugins(document) or ()):
        if canonical(name) in installed:
            continue
        if name in bundled_plugins().values():
            hint = f"{capital(how_to_install(name))}."
        elif near := difflib.get_close_matches(name, installed, 1):
            hint = f"Did you mean {near[0]!r}?"
        else:
            hint = f"Installed: {listing(installed, 20)}."
        key: Key = (*KEY, index)
        yield Problem(document.where(key), dotted(key), f"no plugin {name!r} is installed", hint)
