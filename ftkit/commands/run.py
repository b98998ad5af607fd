"""`ftkit run`: carry out a recipe and show how it goes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ftkit.commands import Ending, completer, component_names

if TYPE_CHECKING:
    from ftkit.contracts import Emit, Endpoint, Outcome
    from ftkit.recipe.loader import Plan


def recipe_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that change a recipe's values for one command."""
    for option in (
        click.option("--offline", is_flag=True, help="Make no connection: use what is on this machine."),
        click.option(
            "--deploy",
            metavar="TARGET",
            shell_complete=completer(component_names("deployers")),
            help="Deploy to TARGET; short for --set deploy.use=TARGET.",
        ),
        click.option(
            "--on",
            metavar="PLATFORM",
            shell_complete=completer(component_names("platforms")),
            help="Run on PLATFORM; short for --set run.on=PLATFORM.",
        ),
        click.option(
            "--set",
            "overrides",
            metavar="KEY=VALUE",
            multiple=True,
            help="Override a value of the recipe: --set backbone.epochs=1. May be given many times.",
        ),
    ):
        function = option(function)
    return function


@click.command(short_help="Carry out a recipe.")
@click.argument("recipe", type=click.Path(path_type=Path), required=False)
@recipe_options
@click.option("--fresh", is_flag=True, help="Begin anew instead of going on with an interrupted run.")
@click.option(
    "--resume",
    is_flag=True,
    help="Only go on: with the interrupted run of RECIPE, or the run RECIPE, or without one the latest.",
)
@click.option("--json", "json_", is_flag=True, help="Print every event as a line of JSON, the outcome last.")
@click.option("--plain", is_flag=True, help="Print plain lines, on a terminal too.")
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
    """Carry out RECIPE: load the data, search, test, register and deploy.

    RECIPE is a TOML file, or the name of a recipe that comes with ftkit; without one it is the quickstart.

    Interrupted, it goes on where it was when the same command is given again. A pipeline that a platform elsewhere carries
    out goes on by itself: the same command, or --resume, attends it again. The last line it prints is a curl command that
    calls the endpoint as it stands.
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
    say(outcome, plan, json_)
    return outcome.exit_code


@contextmanager
def terminable() -> Iterator[None]:
    """Take a polite request to end for an interruption, so that what was begun is put back and children end, too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def remembering(ending: Ending, emit: Emit) -> Emit:
    """The same `emit`, which also notes which run it is, so that an interruption can say what is kept."""
    from ftkit.contracts.events import Event, RunStarted

    def tell(event: Event) -> None:
        if isinstance(event, RunStarted):
            ending.run = event.run
        emit(event)

    return tell


def say(outcome: Outcome, plan: Plan, json_: bool) -> None:
    """Print how a run ended, and the line that calls the endpoint."""
    from ftkit.display import summary, terminal

    live = outcome.endpoint or _live(plan)
    if json_:
        terminal.write(terminal.json_line(summary.as_json(outcome, live)))
    else:
        summary.show(outcome, plan.search.metric, live)


def _live(plan: Plan) -> Endpoint | None:
    """The endpoint as it stands, when the run left it alone; the run's own end does not hang on it."""
    from ftkit.errors import FtkitError

    try:
        return plan.deploy.describe() if plan.deploy is not None else None
    except FtkitError:
        return None
