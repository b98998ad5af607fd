"""The reference page of the command line, made of the commands themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from ftkit.cli import commands
from ftkit.errors import ExitCode
from ftkit.reference.markdown import one_line, page, table

_EXIT_CODES = {
    ExitCode.OK: "Done; for `run`: promoted, and deployed where the recipe deploys.",
    ExitCode.RECIPE: "A mistake in the recipe or in the command.",
    ExitCode.PLUGIN: "A plugin is missing, broken, or clashes with another.",
    ExitCode.STAGE: "A stage failed.",
    ExitCode.NOT_PROMOTED: "The run ended, but its model was not promoted: a promotion test failed or broke off.",
    ExitCode.INTERRUPTED: "Interrupted; the same command goes on with the run.",
    ExitCode.TERMINATED: "Ended by SIGTERM; the same command goes on with the run.",
}


def command_line() -> str:
    """Every command with its usage, its help and its options, then the exit codes."""
    context = click.Context(commands, info_name="ftkit", terminal_width=100)
    codes = table(("exit code", "meaning"), [(f"{int(code)}", _EXIT_CODES[code]) for code in ExitCode])
    return page("Command line", *_command(commands, context), f"## Exit codes\n\n{codes}")


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    if context.parent is not None:
        yield f"## {context.command_path}"
    yield f"```console\n$ {command.get_usage(context).removeprefix('Usage: ')}\n```"
    yield from (_paragraph(text) for text in inspect.cleandoc(command.help or "").split("\n\n"))
    options = [param for param in command.params if isinstance(param, click.Option)]
    records = [record for option in options if (record := option.get_help_record(context))]
    if records:
        yield table(("option", "what it does"), [(f"`{names}`", help_text) for names, help_text in records])
    if isinstance(command, click.Group):
        for name in sorted(command.list_commands(context)):
            if subcommand := command.get_command(context, name):
                subcontext = click.Context(subcommand, context, info_name=name, terminal_width=100)
                yield from _command(subcommand, subcontext)


def _paragraph(text: str) -> str:
    """A paragraph of a help text; one that click does not wrap (marked by a backspace) keeps its lines."""
    return f"```text\n{text.removeprefix(chr(8)).strip(chr(10))}\n```" if text.startswith("\b") else one_line(text)
