"""`python -m ftkit.reference FOLDER`: write the reference pages, or check that they are up to date."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ftkit.display import terminal
from ftkit.errors import UsageError
from ftkit.plugins import load
from ftkit.reference import differences, write


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; fail when a page is out of date.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def main(check: bool, folder: Path) -> None:
    """Write the reference pages into FOLDER."""
    try:
        outdated = differences(folder, load()) if check else write(folder, load())
    except UsageError as error:
        raise click.ClickException(str(error)) from error
    for name in outdated:
        terminal.write(f"{folder / name}: {'out of date' if check else 'written'}")
    if check and outdated:
        terminal.write("`make docs` brings them up to date.")
        sys.exit(1)


if __name__ == "__main__":
    main()
