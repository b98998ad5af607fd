"""The reference pages of components, a page for each kind, and of the recipe's sections that name no plugin."""

from __future__ import annotations

import json
from typing import Any

from ftkit import files, options
from ftkit.bundled_plugins import bundled_plugins
from ftkit.commands.installed import core_settings, described
from ftkit.contracts import space
from ftkit.plugins import NAMED_ALIKE, SECTIONS, Offer, Plugins, kind_noun
from ftkit.reference.markdown import docstring, page, table

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

_HEADINGS = {
    "section": "## [{}]",
    "search policy": "### policy: {}",
    "option of the search": "### {}",
    "option of the decision": "### {}",
}
"""Headings of the settings that the core itself has, by kind."""


def components(kind: str, plugins: Plugins) -> str:
    """The components of one kind, those of ftkit's own distributions: other plugins have pages of their own."""
    distributions = {"ftkit", *bundled_plugins().values()}
    own = [each for each in plugins.offers if each.kind == kind and _distribution(each) in distributions]
    title = {"datasets": "data sets"}.get(kind, kind.replace("_", " ")).capitalize()
    introduction = f"A recipe names a {kind_noun(kind)} by {USES[kind]}. How to write one: [hooks](hooks.md#{kind})."
    return page(title, introduction, *map(_component, own))


def recipe() -> str:
    """The recipe's sections, and the options of those that name no plugin."""
    sections = [
        ("`name`", "What runs are called; by default the file's name."),
        ("`seed`", "Fixes splits, proposals of the search and training; by default 0."),
        *(
            (f"`{'[[promote]]' if name == 'promote' else f'[{name}]'}`", _choice(kind))
            for name, kind in SECTIONS.items()
        ),
        ("`[search]`", "[How hyperparameters are searched](#search)."),
        ("`[decision]`", "[How probabilities become answers](#decision)."),
        ("`[rollout]`", "[How a new deployment takes over](#rollout)."),
    ]
    parts = []
    for setting in core_settings():
        heading = _HEADINGS[setting.kind].format(setting.name)
        parts.append(f"{heading}\n\n{docstring(setting.component)}\n\n{_options(setting.component)}")
        if setting.name == "search":
            parts.append(
                f"### Search space\n\n```toml\n{_space()}\n```\n\nReady-made spaces: [search spaces](search_spaces.md)."
            )
    return page("Recipe", _INTRODUCTION, f"## Sections\n\n{table(('section', 'what it sets'), sections)}", *parts)


def _component(offered: Offer) -> str:
    heading = f"## {offered.name}\n\nFrom `{_distribution(offered)}`. {docstring(offered.component)}"
    return f"{heading}\n\n{_options(offered.component)}"


def _distribution(offered: Offer) -> str:
    """The plugin without its version."""
    return offered.plugin.split()[0]


def _options(component: type[Any]) -> str:
    """A table of all options of a component."""
    rows = [(f"`{each.name}`", each.type, _default(each), each.doc) for each in described(component)]
    return table(("option", "type", "default", "what it is for"), rows) if rows else "It has no options."


def _default(option: options.Option) -> str:
    if option.required:
        return "required"
    if option.default is None:
        return ""
    text = json.dumps(option.default, ensure_ascii=False)
    # The page must be the same on every machine.
    text = text.replace(str(files.home()), "FTKIT_HOME").replace(str(files.cache()), "FTKIT_CACHE")
    return f"`{text}`"


def _choice(kind: str) -> str:
    """The kinds of component that a section may name, with links to their pages."""
    kinds = [kind, *filter(None, [NAMED_ALIKE.get(kind)])]
    return f"A {', or a '.join(f'[{kind_noun(each)}]({each}.md)' for each in kinds)}."


def _space() -> str:
    """The examples of the search-space language, from the module that defines it."""
    examples = (space.__doc__ or "").partition("\n\n")[2]
    return "\n".join(
        f"space.{values.strip()}  # {meaning.strip()}"
        for values, _, meaning in (line.rpartition("   ") for line in examples.splitlines() if line.strip())
    )
