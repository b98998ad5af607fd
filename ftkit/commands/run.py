"""`ftkit run`: run a recipe and show its progress."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from ftkit.commands import PATH, Ending, completer, component_names
from ftkit.errors import Terminated

if TYPE_CHECKING:
    from ftkit.contracts import Emit, Endpoint, Outcome
    from ftkit.recipe.loader import Plan


def recipe_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that override values of a recipe for one command."""
    for option in (
        click.option("--offline", is_flag=True, help="Make no network connection: use what is on this machine."),
        click.option(
            "--deploy",
            metavar="TARGET",
            shell_complete=completer(component_names("deployers")),
            help="Deploy to TARGET; the same as --set deploy.use=TARGET.",
        ),
        click.option(
            "--on",
            metavar="PLATFORM",
            shell_complete=completer(component_names("platforms")),
            help="Run on PLATFORM; the same as --set run.on=PLATFORM.",
        ),
        click.option(
            "--set",
            "overrides",
            metavar="KEY=VALUE",
            multiple=True,
            help="Override a value of the recipe: --set backbone.epochs=1. Can be given several times.",
        ),
    ):
        function = option(function)
    return function


@click.command()
@click.argument("recipe", type=PATH, required=False)
@recipe_options
@click.option("--fresh", is_flag=True, help="Start a new run instead of going on with an interrupted one.")
@click.option(
    "--resume",
    is_flag=True,
    help="Start no new run: go on with the interrupted run of RECIPE, with the run named RECIPE, or without RECIPE with the latest.",
)
@click.option("--json", "json_", is_flag=True, help="Print every event as a line of JSON, the outcome last.")
@click.option("--plain", is_flag=True, help="Print plain lines, also on a terminal.")
@click.pass_obj
def run(
    ending: Ending,
    recipe: Path | None,
    overrides: Sequence[str],
    on: str | None,
    deploy: str | None,
    offline: bool,
    fresh: bool,
    resume: bool,
    json_: bool,
    plain: bool,
) -> int:
    """Run RECIPE: load the data, search, test, register and deploy.

    RECIPE is a TOML file. A name alone, such as quickstart, is NAME.toml in the current folder, or else the recipe of that
    name that comes with ftkit. By default it is the quickstart.

    After an interruption the same command goes on where the run was. A pipeline on a platform elsewhere goes on by itself:
    the same command, or --resume, follows it again. The last line of the output is a curl command that calls the endpoint.
    """
    from ftkit import display, runner
    from ftkit.commands.resuming import interrupted
    from ftkit.recipe import loader as recipes

    ending.json = json_
    further: dict[str, Any] = {"on": on, "deploy": deploy, "offline": offline}
    if resume:
        plan = interrupted(recipe, overrides, fresh=fresh, **further)
    else:
        plan = recipes.load(recipe or "quickstart", overrides, fresh=fresh, **further)
    with display.printer(plain or None, json=json_) as printer, terminable():
        outcome = runner.run(plan, remembering(ending, printer))
    ending.code = outcome.exit_code
    show(outcome, plan, json_)
    return outcome.exit_code


@contextmanager
def terminable() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C, so that unfinished changes are undone, and trials write their checkpoints and end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(*_: object) -> NoReturn:
        raise Terminated

    previous = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def remembering(ending: Ending, emit: Emit) -> Emit:
    """The same `emit`, which also notes the run, so that an interruption can report what is kept."""
    from ftkit.contracts.events import Event, RunStarted

    def noted(event: Event) -> None:
        if isinstance(event, RunStarted):
            ending.run = event.run
        emit(event)

    return noted


def show(outcome: Outcome, plan: Plan, json_: bool) -> None:
    """Print how a run ended, and the command that calls the endpoint."""
    from ftkit.display import summary, terminal

    live = outcome.endpoint or _live(plan)
    if json_:
        terminal.write(terminal.json_line(summary.as_json(outcome, live)))
    else:
        summary.show(outcome, plan.search.metric, live)


def _live(plan: Plan) -> Endpoint | None:
    """The live endpoint when the run did not deploy; None when it cannot be reached, which must not fail the run."""
    from ftkit.contracts import Deployer
    from ftkit.errors import FtkitError
    from ftkit.plugins.calls import call

    try:
        return call(Deployer.describe, plan.deploy) if plan.deploy is not None else None
    except FtkitError:
        return None
