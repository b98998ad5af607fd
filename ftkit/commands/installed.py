"""`ftkit plugins` and `ftkit options`: what is installed, and what can be set."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import click

from ftkit import formatting
from ftkit.commands import as_json, completer, component_names, print_json
from ftkit.display import terminal

if TYPE_CHECKING:
    from ftkit.options import Option
    from ftkit.plugins import Offer, Plugins
    from ftkit.plugins.origins import Installed


@click.command()
@click.option("--available", is_flag=True, help="List the plugins that ftkit knows of, installed or not.")
@as_json
def plugins(available: bool, json_: bool) -> None:
    """List the installed plugins, the components of each by kind, and what was set aside because it does not work.

    Of a plugin, API is the number of the plugin API that it requires, and origin how it was installed.
    """
    from ftkit import plugins as installed
    from ftkit.options import summary
    from ftkit.plugins import origins

    if available:
        _list_available(json_)
        return
    loaded = installed.load().examined()
    described = origins.installed(loaded)
    if json_:
        components = [
            {"kind": each.kind, "name": each.name, "plugin": each.plugin, "summary": summary(each.component)}
            for each in loaded.offers
        ]
        print_json({"plugins": described, "components": components, "set_aside": loaded.broken})
        return
    terminal.table(
        ("plugin", "version", "API", "brings", "origin"),
        [(each.name, each.version, each.api, _brings(each), each.origin) for each in described],
    )
    terminal.write("")
    rows = [(installed.kind_noun(each.kind), each.name, each.plugin, summary(each.component)) for each in loaded.offers]
    terminal.table(("kind", "name", "plugin", "what it is for"), rows)
    for broken in loaded.broken:
        terminal.write(f"\nset aside: {broken.plugin}: {broken.reason}")
        if broken.hint:
            terminal.write(f"  hint: {broken.hint}")


def _brings(plugin: Installed) -> str:
    """How much a plugin brings of each kind."""
    from ftkit.plugins import KINDS, kind_noun

    others = {"on_event": "an observer of runs", "watchers": "watchers of requests"}
    return ", ".join(
        formatting.count(len(names), kind_noun(kind)) if kind in KINDS else others[kind]
        for kind, names in plugin.brings.items()
        if names or kind not in KINDS
    )


def _list_available(json_: bool) -> None:
    """The plugins of the list that comes with ftkit, and which of them are installed."""
    from ftkit import plugins as installed
    from ftkit.bundled_plugins import how_to_install
    from ftkit.plugins.directory import NOT_ENDORSED, listed

    present = installed.load().distributions()
    if json_:
        print_json(
            [
                {**dataclasses.asdict(each), "installed": each.name in present, "install": how_to_install(each.name)}
                for each in listed()
            ]
        )
        return
    rows = [
        (each.name, "installed" if each.name in present else "", str(each.api), each.about, each.link)
        for each in listed()
    ]
    terminal.table(("plugin", "", "API", "what it is for", "where it is"), rows)
    terminal.write(f"\n{NOT_ENDORSED}")


@click.command()
@click.argument("name", shell_complete=completer(component_names()))
@as_json
def options(name: str, json_: bool) -> None:
    """Show all options of the component NAME: type, default, and what each is for.

    NAME may also be a setting of the recipe that no plugin offers: search, decision, rollout, confirm, or a search policy.
    """
    from ftkit import plugins as installed
    from ftkit.options import summary

    loaded = installed.load().examined()
    components = [each for each in loaded.offers if each.name == name] or [
        each for each in core_settings() if each.name == name
    ]
    if not components:
        raise _unknown(name, loaded)
    if json_:
        print_json(
            [
                {"kind": each.kind, "name": name, "plugin": each.plugin, "options": described(each.component)}
                for each in components
            ]
        )
        return
    for index, each in enumerate(components):
        heading = f"{each.name}: {installed.kind_noun(each.kind)}, from {each.plugin}"
        terminal.write(("\n" if index else "") + heading)
        if first_line := summary(each.component):
            terminal.write(first_line)
        rows = [(option.name, option.type, _default(option), option.doc) for option in described(each.component)]
        if rows:
            terminal.write("")
            terminal.table(("option", "type", "default", "what it is for"), rows)
        else:
            terminal.write("It has no options.")


def core_settings() -> list[Offer]:
    """The settings of a recipe that no plugin offers: sections without a `use`, search policies, and the repeats."""
    from ftkit.contracts.deciding import Abstain, Decision
    from ftkit.contracts.policies import POLICIES
    from ftkit.contracts.settings import Confirm, Rollout, Search
    from ftkit.plugins import Offer

    return [
        Offer("section", "search", Search, "ftkit"),
        *(Offer("search policy", policy.name, policy, "ftkit") for policy in POLICIES),
        Offer("option of the search", Confirm.name, Confirm, "ftkit"),
        Offer("section", "decision", Decision, "ftkit"),
        Offer("option of the decision", Abstain.name, Abstain, "ftkit"),
        Offer("section", "rollout", Rollout, "ftkit"),
    ]


def described(component: type[Any]) -> list[Option]:
    """A component's options; those of the search that take more than one type are described in words."""
    from ftkit.contracts.settings import Search
    from ftkit.options import options as options_of

    described_options = options_of(component)
    if component is not Search:
        return described_options
    in_words: dict[str, tuple[str, Any]] = {
        "policy": ("name, or table with `use`", "none"),
        "confirm": ("table, or true or false", False),
        "space": ("table of values to search", {}),
    }
    return [
        dataclasses.replace(option, type=in_words[option.name][0], default=in_words[option.name][1])
        if option.name in in_words
        else option
        for option in described_options
    ]


def _default(option: Option) -> str:
    """An option's default as a recipe would write it."""
    if option.required:
        return "required"
    return "none" if option.default is None else json.dumps(option.default, ensure_ascii=False)


def _unknown(name: str, loaded: Plugins) -> Exception:
    import difflib

    from ftkit.bundled_plugins import bundled_plugins, how_to_install
    from ftkit.errors import PluginError, UsageError

    for broken in loaded.broken:
        if broken.name == name:
            return PluginError(f"{broken.plugin} was set aside: {broken.reason}", hint=broken.hint)
    owner = bundled_plugins().get(name)
    near = difflib.get_close_matches(name, {each.name for each in loaded.offers}, 1)
    if owner is not None:
        hint = f"It comes with the plugin {owner}: {how_to_install(owner)}."
    elif near:
        hint = f"Did you mean {near[0]!r}?"
    else:
        hint = "`ftkit plugins` lists what is installed."
    return UsageError(f"no component named {name!r} is installed", hint=hint)
