"""`ftkit export`: a run's model as a folder to deploy by hand."""

from __future__ import annotations

from pathlib import Path

import click

from ftkit.commands import as_json, completer, component_names, print_json, run_names
from ftkit.display import terminal


@click.command(short_help="Write a run's model as a folder to deploy by hand.")
@click.argument("name", metavar="RUN", shell_complete=completer(run_names))
@click.option(
    "--out", metavar="DIR", type=click.Path(path_type=Path), help="Where to write it: a folder that is new or empty."
)
@click.option(
    "--for",
    "target",
    metavar="DEPLOYER",
    shell_complete=completer(component_names("deployers")),
    help="The deployer whose deployments it is for; by default the recipe's, or the first one that can.",
)
@as_json
def export(name: str, out: Path | None, target: str | None, json_: bool) -> None:
    """Write all that a deployment of RUN's model needs into a folder.

    The bundle, the script that serves it, the environment by exact versions, a sample request, and a README that says how to
    deploy it and how to serve it on any machine.
    """
    from ftkit.stages.export import export as write

    folder = write(name, out, target)
    if json_:
        print_json({"folder": str(folder)})
    else:
        terminal.write(f"Written to {folder}. Its README.md says what to do with it.")
