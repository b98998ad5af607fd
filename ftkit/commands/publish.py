"""`ftkit publish`: publish a recipe's pipeline for others to start."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from ftkit.commands import PATH, as_json, print_json
from ftkit.commands.run import recipe_options, terminable
from ftkit.display import terminal


@click.command()
@click.argument("path", metavar="RECIPE", type=PATH)
@recipe_options
@as_json
def publish(
    path: Path, overrides: Sequence[str], on: str | None, deploy: str | None, offline: bool, json_: bool
) -> None:
    """Publish RECIPE as a pipeline of its platform, for other people or a schedule to start it there.

    Nothing is run. Prints the name of the pipeline at the service, and the address that starts it.
    """
    from ftkit import display
    from ftkit.contracts import Publishing, capable
    from ftkit.errors import UsageError
    from ftkit.plugins.calls import call
    from ftkit.recipe import loader as recipes

    plan = recipes.load(path, overrides, on=on, deploy=deploy, offline=offline)
    if not capable(plan.platform, Publishing):
        raise UsageError(
            f"the platform {plan.platform.name!r} cannot publish pipelines",
            where=str(path),
            hint=_platforms_that_publish(),
        )
    with display.printer(True, sys.stderr) as printer, terminable():
        published = call(Publishing.publish, plan.platform, plan, printer)
    if json_:
        print_json(dict(published))
        return
    terminal.labelled([(name, str(value)) for name, value in published.items()])


def _platforms_that_publish() -> str:
    """What to do instead: a platform that is installed and supported, or else one of ftkit's own plugins."""
    from ftkit import plugins
    from ftkit.bundled_plugins import able
    from ftkit.contracts import Publishing, Superseded, capable

    installed = plugins.load()
    platforms = {name: installed.find("platforms", name) for name in installed.names("platforms")}
    names = [
        name
        for name, platform in platforms.items()
        if capable(platform, Publishing) and not capable(platform, Superseded)
    ]
    if names:
        return f"Name one that can: --on {names[0]}."
    name = able("publish")[0]
    return f"Name one that can: --on {name}. {installed.advice('platforms', name)}"
