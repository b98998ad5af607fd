"""`ftkit publish`: publish a recipe's pipeline for others to start."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from ftkit.commands import as_json, print_json
from ftkit.commands.run import recipe_options, terminable
from ftkit.display import terminal


@click.command(short_help="Publish a recipe's pipeline.")
@click.argument("path", metavar="RECIPE", type=click.Path(path_type=Path))
@recipe_options
@as_json
def publish(
    path: Path, overrides: Sequence[str], on: str | None, deploy: str | None, offline: bool, json_: bool
) -> None:
    """Publish RECIPE as a pipeline of its platform, for other people or a schedule to start it there.

    Nothing is run. Prints the name of the pipeline at the service, and the address that starts it.
    """
    from ftkit import display
    from ftkit.contracts import Publishing
    from ftkit.errors import UsageError
    from ftkit.recipe import loader as recipes

    plan = recipes.load(path, overrides, on=on, deploy=deploy, offline=offline)
    if not isinstance(plan.platform, Publishing):
        raise UsageError(
            f"the platform {plan.platform.name!r} cannot publish pipelines",
            where=str(path),
            hint=_platforms_that_publish(),
        )
    with display.printer(True, sys.stderr) as printer, terminable():
        published = plan.platform.publish(plan, printer)
    if json_:
        print_json(dict(published))
        return
    terminal.labelled([(name, str(value)) for name, value in published.items()])


def _platforms_that_publish() -> str:
    """What to do instead, by the installed platforms."""
    from ftkit import plugins
    from ftkit.contracts import Publishing

    installed = plugins.load()
    able = [name for name in installed.names("platforms") if issubclass(installed.find("platforms", name), Publishing)]
    return f"Name one that can: --on {able[0]}." if able else "Install a plugin whose platform can."
