"""`ftkit promote`: release a run's model by hand, if necessary against its promotion tests."""

from __future__ import annotations

import click

from ftkit.commands import Ending, completer, run_names
from ftkit.commands.run import remembering, show, terminable


@click.command()
@click.argument("name", metavar="RUN", shell_complete=completer(run_names))
@click.option(
    "--override",
    metavar="WHY",
    help="Promote a model whose tests failed. Your name and this reason are kept in its promotion record.",
)
@click.option("--json", "json_", is_flag=True, help="Print every event as a line of JSON, the outcome last.")
@click.option("--plain", is_flag=True, help="Print plain lines, also on a terminal.")
@click.pass_obj
def promote(ending: Ending, name: str, override: str | None, json_: bool, plain: bool) -> int:
    """Register and deploy the model of RUN, and make it the champion.

    A model that its tests promoted is released again: this is how to bring back an older model. A model with a test that
    failed or broke off needs --override with a reason.
    """
    from ftkit import display
    from ftkit.recipe import loader
    from ftkit.runs import ledger
    from ftkit.stages import release

    ending.json = json_
    with display.printer(plain or None, json=json_) as printer, terminable():
        outcome = release.promote(name, remembering(ending, printer), override)
    ending.code = outcome.exit_code
    show(outcome, loader.loads(ledger.find(name).recipe), json_)
    return outcome.exit_code
