"""`ftkit zoo`: the installed backbones by the facts that decide which of them to use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ftkit.commands import as_json, print_json
from ftkit.display import terminal

if TYPE_CHECKING:
    from ftkit.contracts import Description

_COLUMNS = ("parameters", "languages", "licence", "tokens", "family")


@click.command()
@click.option("--language", metavar="CODE", help="Only backbones that know this language, such as de (ISO 639-1).")
@click.option(
    "--max-parameters", metavar="NUMBER", type=float, help="Only backbones of at most this size, such as 150e6."
)
@click.option(
    "--licence", "licences", metavar="NAME", multiple=True, help="Only weights under this licence; may be repeated."
)
@as_json
def zoo(language: str | None, max_parameters: float | None, licences: tuple[str, ...], json_: bool) -> None:
    """List the installed backbones, the smallest first: parameters, languages, licence of the weights, tokens they read of a text.

    A backbone without pretrained weights has no size and no licence, and fits any. One that declares nothing is listed last, and only
    where nothing is asked for. `ftkit plugins` says what each is for.
    """
    fitting = _described(language, max_parameters, licences)
    if json_:
        names = ("name", "plugin", "description", "summary")
        print_json([dict(zip(names, each, strict=True)) for each in fitting])
        return
    if not fitting:
        terminal.write("No installed backbone fits. docs/zoo.md lists the plugins that bring more.")
        return
    rows = [
        (name, *(dict(facts.in_words)[each] if facts else "" for each in _COLUMNS)) for name, _, facts, _ in fitting
    ]
    terminal.table(("name", *_COLUMNS), rows)


def _described(
    language: str | None, max_parameters: float | None, licences: tuple[str, ...]
) -> list[tuple[str, str, Description | None, str]]:
    """Name, plugin, facts and summary of each backbone that fits, the smallest first."""
    from ftkit import plugins
    from ftkit.contracts import Described, capable
    from ftkit.options import summary
    from ftkit.plugins.calls import call

    backbones = []
    for offer in plugins.load().examined().offers:
        if offer.kind != "backbones":
            continue
        component: Any = offer.component
        facts = call(Described.description, component) if capable(component, Described) else None
        if _fits(facts, language, max_parameters, licences):
            backbones.append((offer.name, offer.plugin, facts, summary(component)))
    return sorted(backbones, key=lambda each: (each[2] is None, (each[2].parameters or 0) if each[2] else 0, each[0]))


def _fits(
    facts: Description | None, language: str | None, max_parameters: float | None, licences: tuple[str, ...]
) -> bool:
    if facts is None:
        return language is None and max_parameters is None and not licences
    return (
        (language is None or facts.speaks(language))
        and (max_parameters is None or (facts.parameters or 0) <= max_parameters)
        and (not licences or facts.licence in ("", *(each.lower() for each in licences)))
    )
