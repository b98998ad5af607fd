"""`ftkit promote`: release a run's model by hand, against its tests if need be."""

from __future__ import annotations

import click

from ftkit.commands import Ending, completer, run_names
from ftkit.commands.run import remembering, say, terminable


@click.command(short_help="Release a run's model, against its tests if need be.")
@click.argument("name", metavar="RUN", shell_complete=completer(run_names))
@click.option(
    "--override",
    metavar="WHY",
    help="Let a model through that its tests did not. Your name and this reason go into its promotion record.",
)
@click.option("--json", "json_", is_flag=True, help="Print every event as a line of JSON, the outcome last.")
@click.option("--plain", is_flag=True, help="Print plain lines, on a terminal too.")
@click.pass_obj
def promote(ending: Ending, name: str, override: str | None, json_: bool, plain: bool) -> int:
    """Register, deploy and make champion what RUN has trained.

    A run whose tests let it through is released again: so an older model is brought back. One whose tests said no, or broke
    off, needs --override and a reason.
    """
    from ftkit import display
    from ftkit.recipe import loader
    from ftkit.runs import ledger
    from ftkit.stages import release

    ending.json = json_
    with display.printer(plain or None, json=json_) as printer, terminable():
        outcome = release.promote(name, remembering(ending, printer), override)
    ending.code = outcome.exit_code
    say(outcome, loader.loads(ledger.find(name).recipe), json_)
    return outcome.exit_code
