"""ftkit: from raw text to live traffic by one recipe.

outcome = ftkit.run("recipes/quickstart.toml", overrides={"search.trials": 2})
ftkit.load(outcome.bundle).predict(["Shares rose after the bank cut its rates."])
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit._version import API, __version__

if TYPE_CHECKING:
    from ftkit.bundle.bundle import Bundle
    from ftkit.contracts import Emit, Outcome
    from ftkit.hookspecs import hookimpl

__all__ = ["API", "__version__", "hookimpl", "load", "run"]


def run(
    recipe: str | Path,
    overrides: Mapping[str, Any] | None = None,
    *,
    fresh: bool = False,
    emit: Emit | None = None,
) -> Outcome:
    """Carry out a recipe and return how the run ended; an interrupted run of the same plan is continued unless `fresh`.

    `overrides` maps dotted keys to values, as `--set` does. `emit` is called with every event; without it, progress is printed as on
    the command line. Raises: FtkitError, with what, where and how to fix.
    """
    from ftkit import runner
    from ftkit.recipe import loader as recipes

    if emit is None:
        from ftkit import display

        emit = display.printer()
    return runner.run(recipes.load(recipe, overrides=overrides, fresh=fresh), emit)


def load(bundle: str | Path) -> Bundle:
    """Open a bundle after verifying all its hashes: `.predict(texts)`, `.probabilities(texts)`, `.classes`.

    Raises: BundleError, or PluginError when its backbone's plugin is not installed.
    """
    from ftkit.bundle.bundle import verify

    return verify(bundle)


def __getattr__(name: str) -> Any:
    """`hookimpl`, imported on first use: its imports took half of the time of `ftkit --help`."""
    if name != "hookimpl":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ftkit.hookspecs import hookimpl

    return hookimpl
