"""The commands of `ftkit`, a module for each group; what they share is here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import click
from click.shell_completion import CompletionItem

from ftkit.display import terminal

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


@dataclass
class Ending:
    """What `main` needs to know about the command when it has to say how it ended."""

    json: bool = False
    """Whether a machine reads standard output."""
    run: str = ""
    """The run that is being carried out."""
    code: int = 0
    """The exit code should the reader of the output go away early."""

    def kept(self) -> str:
        """What of a run is kept, when it breaks off."""
        if not self.run:
            return ""
        from ftkit.errors import FtkitError
        from ftkit.runs import ledger

        try:
            found = ledger.find(self.run)
            trials = len(found.trials())
        except (FtkitError, OSError):
            return ""
        done = f"{trials} trial{'s' * (trials != 1)} and everything else it finished" if trials else "What it finished"
        verb = "are" if trials else "is"
        return f"{done} {verb} kept in {found.folder}; the same command goes on from there, --fresh begins anew."


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
    """A value as indented JSON on standard output."""
    terminal.write(terminal.json_line(value, indent=2))


def completer(names: Callable[[], Iterable[str]]) -> Completer:
    """Shell completion from a function that lists the names; a failure offers nothing."""

    def complete(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
        try:
            return [CompletionItem(name) for name in sorted(set(names())) if name.startswith(begun)]
        except Exception:  # a shell's prompt is no place for an error
            return []

    return complete


def component_names(kind: str | None = None) -> Callable[[], Iterable[str]]:
    """Names of installed components, of one kind or of all."""

    def names() -> Iterable[str]:
        from ftkit import plugins

        return (each.name for each in plugins.load().found if kind in (None, each.kind))

    return names


def run_names() -> Iterable[str]:
    """Identifiers of the runs on this machine."""
    from ftkit.runs import ledger

    return (each.run for each in ledger.runs())


def endpoint_names() -> Iterable[str]:
    """Names of the endpoints rolled out from this machine."""
    from ftkit.stages import known_endpoints

    return known_endpoints.known()
