"""`ftkit models`: list registered models."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ftkit import formatting
from ftkit.commands import PATH, as_json, print_json
from ftkit.display import terminal

if TYPE_CHECKING:
    pass

AT_ONCE = 256
"""Texts that are read before they are classified, so that a stream gets its answers while it is read."""


@click.command()
@click.argument("recipes", metavar="[RECIPE...]", nargs=-1, type=PATH)
@click.option("--registry", "name", metavar="NAME", help="Only registries of this kind, such as mlflow.")
@as_json
def models(recipes: Sequence[Path], name: str | None, json_: bool) -> None:
    """List the registered versions of every model, with aliases, test metrics and the run that made each.

    Reads the registries of the given recipes, by default those of all runs of this machine.
    """
    from ftkit.commands.sources import registries
    from ftkit.contracts import Registry
    from ftkit.errors import FtkitError
    from ftkit.plugins.calls import call

    versions: list[dict[str, Any]] = []
    errors: list[str] = []
    for registry in registries(recipes):
        if name not in (None, registry.name):
            continue
        try:
            versions += [
                {"registry": registry.name, **terminal.machine(each)} for each in call(Registry.versions, registry)
            ]
        except FtkitError as error:  # one registry that cannot be reached must not hide the others
            errors.append(f"the registry {registry.name} of {registry.model}: {error.what}")
    if json_:
        print_json(versions)
    elif not versions and not errors:
        terminal.write(
            "No model has been registered yet: a recipe with a [registry] section registers what it promotes."
        )
    elif versions:
        rows = [
            (
                each["model"],
                each["version"],
                ", ".join(each["aliases"]),
                formatting.metrics({key: value for key, value in each["metrics"].items() if value is not None}),
                each["run"],
                each["created"][:16].replace("T", " "),
            )
            for each in versions
        ]
        terminal.table(("model", "version", "aliases", "test metrics", "run", "created (UTC)"), rows)
    for error_message in errors:
        terminal.write(f"not listed: {error_message}", sys.stderr)
