"""The command line: the only place that catches errors, and with `ftkit.display` the only one that prints."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr

import click

from ftkit._version import __version__
from ftkit.commands import Ending
from ftkit.disclosure import RedactedStream
from ftkit.display import failures, terminal
from ftkit.errors import ExitCode, FtkitError, Terminated, VerbError, in_one_line

EPILOG = (
    "Exit codes: 0 done, or promoted and deployed; 2 a mistake in the recipe or the command; 3 a plugin is missing "
    "or broken; 4 a stage failed; 5 the run ended but its model was not promoted; 130 interrupted, 143 by SIGTERM."
)

COMMANDS = {
    "run": ("run", "Run a recipe."),
    "check": ("recipes", "Find every mistake in a recipe."),
    "plan": ("recipes", "Show what a run would do and how long it would take."),
    "publish": ("publish", "Publish a recipe's pipeline."),
    "schema": ("recipes", "Print the JSON Schema of recipes."),
    "plugins": ("installed", "List installed components."),
    "options": ("installed", "Show all options of a component."),
    "zoo": ("zoo", "List the backbones that fit a need."),
    "runs": ("runs", "List runs, or show one."),
    "report": ("report", "Write a run's report as an HTML page."),
    "compare": ("compare", "Show two runs side by side."),
    "promote": ("promote", "Release a run's model by hand."),
    "export": ("export", "Write a run's model as a folder for a deployment by hand."),
    "push": ("push", "Push a model to the Hugging Face hub."),
    "models": ("models", "List registered models."),
    "predict": ("predict", "Classify texts with a model."),
    "endpoint": ("endpoint", "Show, call and stop endpoints."),
    "new": ("new", "Write a plugin or a recipe to begin with."),
    "completion": ("completion", "Print the completion script for a shell."),
}
"""Of every command its module in `ftkit.commands`, loaded when it is needed, and its line in the help."""


class Commands(click.Group):
    """The group of all commands; for a misspelt command it suggests the nearest one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, None if there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        module, line = COMMANDS[cmd_name]
        command: click.Command = vars(importlib.import_module(f"ftkit.commands.{module}"))[cmd_name]
        command.short_help = line
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands into the help, without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments name. Raises: click.UsageError."""
        near = difflib.get_close_matches(args[0], COMMANDS, 1)
        if near and args[0] not in COMMANDS:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)


@click.group(
    cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="ftkit")
def commands() -> None:
    """Take a text classifier from raw data to live traffic with one recipe."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    ending = Ending()
    for stream in (sys.stdout, sys.stderr):
        terminal.forgiving(stream)
    if instruction := os.environ.get("_FTKIT_COMPLETE"):
        from click.shell_completion import shell_complete

        return shell_complete(commands, {}, "ftkit", "_FTKIT_COMPLETE", instruction)
    try:
        with redirect_stderr(RedactedStream(sys.stderr)) as errors:
            code = _run(list(sys.argv[1:] if arguments is None else arguments), ending)
            errors.flush()
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has closed the pipe. Python would report that again when it flushes the stream at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = ending.code
    return code


def _run(arguments: list[str], ending: Ending) -> int:
    try:
        with commands.make_context("ftkit", arguments, obj=ending) as context:
            return int(commands.invoke(context) or 0)
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.ClickException as error:
        error.show()
        return int(ExitCode.RECIPE)
    except FtkitError as error:
        if ending.json:
            terminal.write(terminal.json_line(failures.as_json(error)))
        failures.show(error)
        if isinstance(error, VerbError) and os.environ.get("FTKIT_DEBUG"):
            from ftkit.plugins import calls

            terminal.write(calls.traceback_of(error), sys.stderr)
        return int(error.exit_code)
    except Terminated:
        terminal.write(f"\nTerminated. {ending.kept()}".rstrip(), sys.stderr)
        return int(ExitCode.TERMINATED)
    except (KeyboardInterrupt, click.Abort):
        terminal.write(f"\nInterrupted. {ending.kept()}".rstrip(), sys.stderr)
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        raise
    except BaseException as error:  # also SystemExit of a plugin
        return _unexpected(error, ending)


def _unexpected(error: BaseException, ending: Ending) -> int:
    """Report an error that nobody expected, and keep its traceback in a file. Returns the exit code."""
    from ftkit.plugins import calls

    if os.environ.get("FTKIT_DEBUG"):
        terminal.write(calls.traceback_of(error), sys.stderr)
        return int(ExitCode.STAGE)
    unexpected = FtkitError(
        f"an unexpected error, in ftkit or in a plugin: {in_one_line(error)}",
        hint=f"{calls.keep(error)}; FTKIT_DEBUG=1 shows them here. {ending.kept()}".rstrip(),
    )
    if ending.json:
        terminal.write(terminal.json_line(failures.as_json(unexpected)))
    failures.show(unexpected)
    return int(ExitCode.STAGE)


if __name__ == "__main__":
    sys.exit(main())
