"""The reference pages, made of the code: every component's options, the hook points, the events, the commands.

python -m ftkit.reference docs/reference            writes the pages
python -m ftkit.reference --check docs/reference    fails when they are out of date
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from ftkit import files, hookspecs, options
from ftkit.commands.installed import described
from ftkit.contracts import events, monitoring
from ftkit.contracts.settings import POLICIES, Confirm, Rollout, Search
from ftkit.display import terminal
from ftkit.errors import ExitCode, UsageError
from ftkit.plugins import BUNDLED, KINDS, NAMED_ALIKE, Found, Plugins, kind_noun, load

NOTE = "<!-- Made of the code by `python -m ftkit.reference docs/reference`. Change the code, not this page. -->"

USES = {
    "datasets": '`[dataset] use = "…"`',
    "backbones": '`[backbone] use = "…"`',
    "search_spaces": '`[search] space.use = "…"`',
    "promotion_tests": '`[[promote]] use = "…"`',
    "promotion_presets": '`[[promote]] use = "…"`',
    "deployers": '`[deploy] use = "…"`, or `--deploy`',
    "platforms": '`[run] on = "…"`, or `--on`',
    "registries": '`[registry] use = "…"`',
}
"""How a recipe names a component of each kind."""


_INTRODUCTION = """A recipe is one TOML file: `use = "name"` plus that component's options, section by section. Every value
can be overridden with `--set KEY=VALUE`. `ftkit schema` prints a JSON Schema for editors."""

_DOOR = """A plugin is a module under the entry-point group `ftkit` that offers hooks marked `@hookimpl`.
[Writing a plugin](../plugins.md) shows one from start to end."""


def pages(plugins: Plugins) -> dict[str, str]:
    """Every page by its file name. Raises: UsageError when a bundled plugin is not installed."""
    missing = sorted({owner for name, owner in BUNDLED.items() if name not in {each.name for each in plugins.found}})
    if missing:
        broken = "".join(f" {each.plugin} was set aside: {each.reason}." for each in plugins.broken)
        raise UsageError(
            f"the reference needs every bundled plugin; not there: {', '.join(missing)}",
            hint=f"`make install` installs them all.{broken}",
        )
    made = {f"{kind}.md": _kind(kind, plugins) for kind in KINDS}
    made["recipe.md"] = _recipe()
    made["hooks.md"] = _hooks()
    made["events.md"] = _events()
    made["cli.md"] = _cli()
    titles = {name: text.partition("\n# ")[2].partition("\n")[0] for name, text in made.items()}
    listed = "\n".join(f"- [{titles[name]}]({name})" for name in sorted(made))
    made["README.md"] = _page("Reference", f"Made of the code, and checked against it by the tests.\n\n{listed}")
    return made


def write(folder: Path, plugins: Plugins) -> list[str]:
    """Write what has changed, remove pages of what is gone, and return their names."""
    stale = differences(folder, plugins)
    wanted = pages(plugins)
    for name in stale:
        if name in wanted:
            files.write_text(folder / name, wanted[name])
        else:
            (folder / name).unlink()
    return stale


def differences(folder: Path, plugins: Plugins) -> list[str]:
    """Names of pages that are missing, out of date, or about what is gone."""
    wanted = pages(plugins)
    there = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    return sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))


def _kind(kind: str, plugins: Plugins) -> str:
    """The page of one kind of component."""
    noun = kind_noun(kind)
    found = [each for each in plugins.found if each.kind == kind and each.plugin.split()[0] in _owners()]
    lines = [f"A recipe names a {noun} by {USES[kind]}. How to write one: [hooks](hooks.md#{kind})."]
    lines += [_component(each) for each in found]
    return _page(_plural(kind).capitalize(), "\n\n".join(lines))


def _component(found: Found) -> str:
    head = f"## {found.name}\n\nFrom `{found.plugin.split()[0]}`. {_doc(found.component)}"
    table = _options(found.component)
    return f"{head}\n\n{table}"


def _options(component: type[Any]) -> str:
    """A table of options; every field is in it."""
    rows = [(f"`{each.name}`", each.type, _default(each), each.doc) for each in described(component)]
    return _table(("option", "type", "default", "what it is for"), rows) if rows else "It has no options."


def _default(option: options.Option) -> str:
    if option.required:
        return "required"
    if option.default is None:
        return ""
    said = json.dumps(option.default, ensure_ascii=False)
    # The page must be the same whoever makes it.
    said = said.replace(str(files.home()), "FTKIT_HOME").replace(str(files.cache()), "FTKIT_CACHE")
    return f"`{said}`"


def _recipe() -> str:
    """The page of the sections that name no plugin."""
    parts = [
        _INTRODUCTION,
        "## Sections\n\n"
        + _table(
            ("section", "what it says"),
            [
                ("`name`", "What runs are called; the file's name when left out."),
                ("`seed`", "Fixes splits, proposals of the search and training; 0 when left out."),
                *((f"`[{section}]`", f"A {_choice(kind)}.") for section, kind in _sections()),
                ("`[search]`", "[How hyperparameters are searched](#search)."),
                ("`[rollout]`", "[How a new deployment takes over](#rollout)."),
            ],
        ),
        f"## [search]\n\n{_doc(Search)}\n\n{_options(Search)}",
        f"### Search space\n\n```toml\n{_space()}\n```\n\nReady-made spaces: [search spaces](search_spaces.md).",
        *(f"### policy: {each.name}\n\n{_doc(each)}\n\n{_options(each)}" for each in POLICIES),
        f"### confirm\n\n{_doc(Confirm)}\n\n{_options(Confirm)}",
        f"## [rollout]\n\n{_doc(Rollout)}\n\n{_options(Rollout)}",
    ]
    return _page("Recipe", "\n\n".join(parts))


def _sections() -> list[tuple[str, str]]:
    from ftkit.recipe.components import SECTIONS

    return [(f"[{name}]" if name == "promote" else name, kind) for name, kind in SECTIONS.items()]


def _choice(kind: str) -> str:
    """What a section may name, each with its page."""
    kinds = [kind, *filter(None, [NAMED_ALIKE.get(kind)])]
    return ", or a ".join(f"[{kind_noun(each)}]({each}.md)" for each in kinds)


def _space() -> str:
    """The examples of the search-space language, from where it is defined."""
    from ftkit.contracts import space

    shown = (space.__doc__ or "").partition("\n\n")[2]
    return "\n".join(
        f"space.{values.strip()}  # {meaning.strip()}"
        for values, _, meaning in (line.rpartition("   ") for line in shown.splitlines() if line.strip())
    )


def _hooks() -> str:
    """The page of the hook points: what each offers, what its components do, and the kit that checks them."""
    parts = [
        _DOOR,
    ]
    for kind, protocol in KINDS.items():
        suite = f"`ftkit.testing.{kind}.{protocol.__name__}Suite`"
        verbs = [
            f"- `{name}{_signature(verb)}`: {_doc(verb)}"
            for name, verb in vars(protocol).items()
            if callable(verb) and not name.startswith("_")
        ]
        parts.append(
            f"## {kind}\n\n{_doc(getattr(hookspecs, kind))} Returns a list of classes that follow "
            f"`ftkit.contracts.{protocol.__name__}`: {_doc(protocol)} Conformance kit: {suite}.\n\n" + "\n".join(verbs)
        )
    parts.append(
        f"## on_event\n\n{_doc(hookspecs.on_event)} [All events](events.md). "
        "Conformance kit: `ftkit.testing.observers.ObserverSuite`."
    )
    parts.append(
        f"## watchers\n\n{_doc(hookspecs.watchers)} Returns a list of objects that follow "
        f"`ftkit.contracts.monitoring.Watcher`. Conformance kit: `ftkit.testing.watchers.WatcherSuite`.\n\n"
        f"- `tell(request)`: {_doc(monitoring.Watcher.tell)}\n- `close()`: {_doc(monitoring.Watcher.close)}"
    )
    return _page("Hooks", "\n\n".join(parts))


def _events() -> str:
    """The page of the events: what `on_event` gets and what `ftkit run --json` prints."""
    from ftkit.display import kind

    parts = ["What observers get and `ftkit run --json` prints, a line each, with the event's name under `event`."]
    for each in event_types():
        fields = "\n".join(f"- `{field.name}`: `{field.type}`" for field in dataclasses.fields(each))
        parts.append("\n\n".join(filter(None, (f"## {kind(each)}", _doc(each), fields))))
    return _page("Events", "\n\n".join(parts))


def event_types() -> list[type[events.Event]]:
    """Every kind of event, in the order they are defined."""
    return [
        each
        for each in vars(events).values()
        if isinstance(each, type) and issubclass(each, events.Event) and each is not events.Event
    ]


def _cli() -> str:
    """The page of the command line, from the commands themselves."""
    from ftkit.cli import commands

    context = click.Context(commands, info_name="ftkit", terminal_width=100)
    codes = _table(("exit code", "meaning"), [(f"{int(code)}", _MEANINGS[code]) for code in ExitCode])
    return _page("Command line", "\n\n".join([*_command(commands, context), f"## Exit codes\n\n{codes}"]))


_MEANINGS = {
    ExitCode.OK: "Done; for `run`: promoted, and deployed where asked for.",
    ExitCode.RECIPE: "A mistake in the recipe or in the command.",
    ExitCode.PLUGIN: "A plugin is missing, broken, or clashes with another.",
    ExitCode.STAGE: "A stage failed.",
    ExitCode.NOT_PROMOTED: "The run came to its end, and a promotion test said no.",
    ExitCode.INTERRUPTED: "Interrupted; the same command goes on.",
}


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    if context.parent is not None:
        yield f"## {context.command_path}"
    yield f"```console\n$ {command.get_usage(context).removeprefix('Usage: ')}\n```"
    yield "\n\n".join(_paragraph(each) for each in inspect.cleandoc(command.help or "").split("\n\n"))
    settable = [param for param in command.params if isinstance(param, click.Option)]
    records = [record for param in settable if (record := param.get_help_record(context))]
    if records:
        yield _table(("option", "what it does"), [(f"`{names}`", said) for names, said in records])
    if isinstance(command, click.Group):
        for name in sorted(command.commands):
            below = click.Context(command.commands[name], context, info_name=name, terminal_width=100)
            yield from _command(command.commands[name], below)


def _paragraph(text: str) -> str:
    """A paragraph of help; what click must not re-wrap stands as it is."""
    return f"```text\n{text.removeprefix(chr(8)).strip(chr(10))}\n```" if text.startswith("\b") else _flat(text)


def _page(title: str, body: str) -> str:
    return f"{NOTE}\n\n# {title}\n\n{body}\n"


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [" | ".join(titles), " | ".join("---" for _ in titles)]
    lines += [" | ".join(_flat(cell).replace("|", "\\|") for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def _doc(thing: Any) -> str:
    """A docstring as one paragraph. Raises: UsageError when there is none."""
    said = thing.__doc__ or ""
    if not said.strip() or (dataclasses.is_dataclass(thing) and said.startswith(f"{getattr(thing, '__name__', '')}(")):
        if isinstance(thing, type) and issubclass(thing, events.Event):
            return ""
        raise UsageError(f"{getattr(thing, '__name__', thing)} has no docstring", hint="Say what it is for.")
    return _flat(inspect.cleandoc(said))


def _signature(verb: Any) -> str:
    """A verb's signature without the quotes that postponed annotations have."""
    return str(inspect.signature(verb)).replace("'", "").replace("(self, ", "(").replace("(self)", "()")


def _flat(text: str) -> str:
    return " ".join(text.split())


def _plural(kind: str) -> str:
    return {"datasets": "data sets"}.get(kind, kind.replace("_", " "))


def _owners() -> set[str]:
    """Distributions whose components the reference describes: a stranger's plugin has pages of its own."""
    return {"ftkit", *BUNDLED.values()}


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; fail when a page is out of date.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def main(check: bool, folder: Path) -> None:
    """Write the reference pages into FOLDER."""
    try:
        stale = differences(folder, load()) if check else write(folder, load())
    except UsageError as error:
        raise click.ClickException(str(error)) from error
    for name in stale:
        terminal.write(f"{folder / name}: {'out of date' if check else 'written'}")
    if check and stale:
        terminal.write("`make docs` brings them up to date.")
        sys.exit(1)


if __name__ == "__main__":
    main()
