"""`ftkit export`: a run's model as a folder for a deployment by hand."""

from __future__ import annotations

from pathlib import Path

import click

from ftkit.commands import PATH, as_json, completer, component_names, print_json, run_names
from ftkit.display import terminal


@click.command()
@click.argument("name", metavar="RUN", shell_complete=completer(run_names))
@click.option("--out", metavar="DIR", type=PATH, help="Where to write it: a folder that is new or empty.")
@click.option(
    "--for",
    "target",
    metavar="DEPLOYER",
    shell_complete=completer(component_names("deployers")),
    help="The deployer to export for; by default the one of the recipe, or the only one that can export.",
)
@as_json
def export(name: str, out: Path | None, target: str | None, json_: bool) -> None:
    """Write everything that a deployment of RUN's model needs into a folder.

    The folder has the bundle, the script that serves it, the environment with exact versions, a sample request, and a README
    that explains how to deploy it and how to serve it on any machine.
    """
    from ftkit.stages.export import export as write

    folder = write(name, out, target)
    if json_:
        print_json({"folder": str(folder)})
    else:
        terminal.write(f"Written to {folder}. Its README.md explains how to deploy it.")
