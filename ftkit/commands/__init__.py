"""The commands of `ftkit`, a module for each group; this module has what they share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from ftkit import files, formatting
from ftkit.display import terminal


class _PathType(click.Path):
    """A path on the command line that a file can have."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path. Raises: click.BadParameter."""
        if reason := files.no_path(value):
            self.fail(f"this is no path: {reason}", param, ctx)
        return super().convert(value, param, ctx)


PATH = _PathType(path_type=Path)

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


@dataclass
class Ending:
    """What `main` knows about a command, to report how it ended."""

    json: bool = False
    """Whether standard output is JSON."""
    run: str = ""
    """The run in progress."""
    code: int = 0
    """The exit code if the reader of the output closes it early."""

    def kept(self) -> str:
        """What is kept of the run when it breaks off; a sentence, empty without a run."""
        if not self.run:
            return ""
        from ftkit.errors import FtkitError
        from ftkit.runs import ledger

        try:
            run = ledger.find(self.run)
            trials = len(run.trials())
            inside = ", inside its trials" if any(run.folder.glob("trials/*/checkpoints/[0-9]*")) else ""
        except (FtkitError, OSError):
            return ""
        finished = (
            f"{formatting.count(trials, 'trial')} and everything else that finished are"
            if trials
            else "What finished is"
        )
        return f"{finished} kept in {run.folder}; the same command goes on from there{inside}, --fresh starts again."


def as_json(function: Callable[..., Any]) -> Callable[..., Any]:
    """The option `--json`, which every listing command has."""

    def remember(context: click.Context, _: click.Parameter, value: bool) -> bool:
        if value:
            context.find_root().obj.json = True
        return value

    return click.option(
        "--json", "json_", is_flag=True, callback=remember, help="Print JSON, for machines.", expose_value=True
    )(function)


def print_json(value: Any) -> None:
    """Print a value as indented JSON."""
    terminal.write(terminal.json_line(value, indent=2))


def completer(names: Callable[[], Iterable[str]]) -> Completer:
    """Shell completion from a function that lists the names; if it fails, no name is offered."""

    def complete(_: click.Context, __: click.Parameter, prefix: str) -> list[CompletionItem]:
        try:
            return [CompletionItem(name) for name in sorted(set(names())) if name.startswith(prefix)]
        except Exception:  # an error must not appear at the prompt of a shell
            return []

    return complete


def component_names(kind: str | None = None) -> Callable[[], Iterable[str]]:
    """Names of installed components, of one kind or of all."""

    def names() -> Iterable[str]:
        from ftkit import plugins

        return (each.name for each in plugins.load().offers if kind in (None, each.kind))

    return names


def run_names() -> Iterable[str]:
    """Identifiers of the runs on this machine."""
    from ftkit.runs import ledger

    return (each.run for each in ledger.runs())


def endpoint_names() -> Iterable[str]:
    """Names of the endpoints that were rolled out from this machine."""
    from ftkit.stages import known_endpoints

    return known_endpoints.known()
