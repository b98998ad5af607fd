"""`ftkit new`: a plugin or a recipe of one's own to begin with."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ftkit.commands import PATH, completer, component_names
from ftkit.display import terminal

if TYPE_CHECKING:
    from ftkit.scaffold.columns import Table


def kind_names() -> Iterable[str]:
    """The kinds of plugins that can be begun."""
    from ftkit.scaffold.kinds import kinds

    return kinds()


@click.group()
def new() -> None:
    """Write a plugin or a recipe to begin with."""


@new.command("plugin", short_help="Write a plugin of any kind, with tests that pass.")
@click.argument("kind", shell_complete=completer(kind_names))
@click.argument("name")
@click.option(
    "--out",
    metavar="DIR",
    type=PATH,
    help="Where to write it: a folder that is new or empty; by default ftkit-NAME.",
)
def plugin(kind: str, name: str, out: Path | None) -> None:
    """Write a plugin with one component of KIND, called NAME as recipes will name it, such as word-counts.

    KIND is dataset, backbone, search-space, promotion-test, promotion-preset, deployer, platform, registry, observer, watcher or
    engine. The plugin works as it is written: its tests, linter and type checker pass. Then make it your own.
    """
    from ftkit.scaffold import plugin as plugins

    names, folder = plugins.write(kind, name, out)
    terminal.write(f"Written to {folder}, a {kind} that works. Try it, and make it your own:")
    terminal.write(f"  cd {folder}")
    terminal.write('  pip install --editable ".[development]"')
    terminal.write("  pytest")
    terminal.write(f"README.md says how to use it, and {names.package}/ is what it does.")


@new.command("recipe", short_help="Write a recipe for a file of texts and labels.")
@click.argument("data", required=False, type=PATH)
@click.option("--text", "texts", metavar="COLUMN", multiple=True, help="The column with the texts; several are joined.")
@click.option("--label", metavar="COLUMN", help="The column with the labels.")
@click.option(
    "--target",
    metavar="DEPLOYER",
    shell_complete=completer(component_names("deployers")),
    help="Where to deploy the model; none for nowhere.",
)
@click.option("--out", metavar="FILE", type=PATH, help="The recipe; by default the name of DATA, as .toml.")
def recipe(data: Path | None, texts: Sequence[str], label: str | None, target: str | None, out: Path | None) -> None:
    """Look at DATA, a table such as a csv file, and write a commented recipe for it.

    The recipe has what the data show: columns, task, lengths, a backbone to begin with, and a floor for the metric. On a terminal, what
    no option says is asked.
    """
    from ftkit.errors import UsageError
    from ftkit.scaffold import columns, proposal
    from ftkit.scaffold import recipe as recipes
    from ftkit.scaffold.written import check_file

    asking = terminal_is_there()
    if data is None:
        if not asking:
            raise UsageError("no data are named", hint="ftkit new recipe reviews.csv")
        data = Path(click.prompt("File with texts and labels"))
    out = out or Path(f"{data.name.partition('.')[0] or 'recipe'}.toml")
    check_file(out)  # before anybody answers questions
    dataset, table = columns.look(data)
    texts = texts or (_asked("Column with the texts", table.likely_text(), asking),)
    for name in texts:
        table.column(name, "the texts")
    if label is None:
        label = _asked("Column with the labels", _likely_label(table, texts, asking), asking)
    target = target or _asked("Where to deploy the model (or none)", proposal.targets()[0], asking)
    proposed = proposal.propose(dataset, table, texts, label, target)
    recipes.write(proposed, out)
    half, most = proposed.lengths
    terminal.write(
        f"Written to {out}: {proposed.task}, {len(proposed.labels.counts):,} labels from {label!r}, "
        f"texts from {', '.join(map(repr, texts))} with {half:,} words (95 %: {most:,}); {proposed.backbone}, "
        f"since {proposed.because}."
    )
    terminal.write(f"Next: ftkit plan {out}, then ftkit run {out}.")


def terminal_is_there() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _asked(question: str, proposed: str, asking: bool) -> str:
    """What somebody answers at a terminal, or else what is proposed."""
    return str(click.prompt(question, default=proposed or None)) if asking else proposed


def _likely_label(table: Table, texts: Sequence[str], asking: bool) -> str:
    """The likeliest column; at a terminal nothing where it is not clear. Raises: UsageError."""
    from ftkit.errors import UsageError

    try:
        return table.likely_label(texts)
    except UsageError:
        if not asking:
            raise
        return ""
