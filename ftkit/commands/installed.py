"""`ftkit plugins` and `ftkit options`: what is installed, and what can be set."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import click

from ftkit.commands import as_json, completer, component_names, print_json
from ftkit.display import terminal

if TYPE_CHECKING:
    from ftkit.options import Option
    from ftkit.plugins import Found, Plugins


@click.command(short_help="List installed components.")
@as_json
def plugins(json_: bool) -> None:
    """List the installed components by kind, who offers each, and plugins that were set aside."""
    from ftkit import plugins as installed
    from ftkit.options import summary

    loaded = installed.load()
    if json_:
        components = [
            {"kind": each.kind, "name": each.name, "plugin": each.plugin, "summary": summary(each.component)}
            for each in loaded.found
        ]
        print_json({"components": components, "set_aside": loaded.broken})
        return
    rows = [(installed.kind_noun(each.kind), each.name, each.plugin, summary(each.component)) for each in loaded.found]
    terminal.table(("kind", "name", "plugin", "what it is for"), rows)
    for broken in loaded.broken:
        terminal.write(f"\nset aside: {broken.plugin}: {broken.reason}")


@click.command(short_help="Show all options of a component.")
@click.argument("name", shell_complete=completer(component_names()))
@as_json
def options(name: str, json_: bool) -> None:
    """Show all options of the component NAME: type, default, and what each is for."""
    from ftkit import plugins as installed
    from ftkit.options import summary

    loaded = installed.load()
    found = [each for each in loaded.found if each.name == name] or _others(name)
    if not found:
        raise _unknown(name, loaded)
    if json_:
        print_json(
            [
                {"kind": each.kind, "name": name, "plugin": each.plugin, "options": described(each.component)}
                for each in found
            ]
        )
        return
    for index, each in enumerate(found):
        head = f"{each.name}: {installed.kind_noun(each.kind)}, from {each.plugin}"
        terminal.write(("\n" if index else "") + head)
        if said := summary(each.component):
            terminal.write(said)
        rows = [(one.name, one.type, default(one), one.doc) for one in described(each.component)]
        if rows:
            terminal.write("")
            terminal.table(("option", "type", "default", "what it is for"), rows)
        else:
            terminal.write("It has no options.")


def described(component: type[Any]) -> list[Option]:
    """A component's options, with those of the search that are small languages put in words."""
    from ftkit.contracts.settings import Search
    from ftkit.options import options as options_of

    found = options_of(component)
    if component is not Search:
        return found
    said = {
        "policy": ("name, or table with `use`", "none"),
        "confirm": ("table, or true or false", False),
        "space": ("table of values to search", {}),
    }
    return [
        dataclasses.replace(each, type=said[each.name][0], default=said[each.name][1]) if each.name in said else each
        for each in found
    ]


def default(option: Option) -> str:
    """An option's default as it would stand in a recipe."""
    if option.required:
        return "required"
    return "none" if option.default is None else json.dumps(option.default, ensure_ascii=False)


def _others(name: str) -> list[Found]:
    """Parts of a recipe that no plugin offers: search policies, and the sections without a `use`."""
    from ftkit.contracts.settings import POLICIES, Confirm, Rollout, Search
    from ftkit.plugins import Found

    parts: dict[str, tuple[str, type[Any]]] = {"search": ("section", Search), "rollout": ("section", Rollout)}
    parts |= {each.name: ("search policy", each) for each in POLICIES}
    parts[Confirm.name] = ("option of the search", Confirm)
    if name not in parts:
        return []
    kind, component = parts[name]
    return [Found(kind, name, component, "ftkit")]


def _unknown(name: str, loaded: Plugins) -> Exception:
    import difflib

    from ftkit.errors import UsageError
    from ftkit.plugins import BUNDLED

    near = difflib.get_close_matches(name, {each.name for each in loaded.found}, 1)
    if name in BUNDLED:
        hint = f"It comes with the plugin {BUNDLED[name]}: pip install {BUNDLED[name]}."
    elif near:
        hint = f"Did you mean {near[0]!r}?"
    else:
        hint = "`ftkit plugins` lists what is installed."
    return UsageError(f"no component named {name!r} is installed", hint=hint)
