"""What plugins offer: each component with its kind, its name and its plugin, and what was set aside with the reason."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any

from ftkit import contracts
from ftkit.disclosure import without_secrets
from ftkit.errors import PluginError, in_one_line
from ftkit.plugins import api, component_checks
from ftkit.plugins.hooks import HookManager, is_interruption

KINDS: dict[str, type] = {
    "datasets": contracts.Dataset,
    "backbones": contracts.Backbone,
    "search_spaces": contracts.SearchSpace,
    "promotion_tests": contracts.PromotionTest,
    "promotion_presets": contracts.PromotionPreset,
    "deployers": contracts.Deployer,
    "platforms": contracts.Platform,
    "registries": contracts.Registry,
}
"""Hook name to the protocol of its components."""

NAMED_ALIKE: dict[str, str] = {"promotion_tests": "promotion_presets", "promotion_presets": "promotion_tests"}
"""Kinds that a recipe names in the same place, so that both must not have the same name."""

SECTIONS: dict[str, str] = {
    "dataset": "datasets",
    "backbone": "backbones",
    "promote": "promotion_tests",
    "registry": "registries",
    "deploy": "deployers",
    "run": "platforms",
}
"""The hook that offers the components of each recipe section."""

MOST = 1000
"""Components that a hook may return: one that never ends must not hold up every command."""


@dataclass(frozen=True)
class Offer:
    """A component class and the plugin that offers it."""

    kind: str
    name: str
    component: type[Any]
    plugin: str
    """The distribution and version, or the module where there is none."""


@dataclass(frozen=True)
class Broken:
    """A plugin, or a part of one, that was set aside, and why."""

    plugin: str
    reason: str
    hint: str = ""
    """How to repair it."""
    kind: str = ""
    """The hook that was set aside, or whose component was; empty if it was the whole plugin."""
    name: str = ""
    """The component that was set aside; empty if it has no name, or if it was the whole hook or plugin."""


def kind_noun(kind: str) -> str:
    """What a component of this kind is called in a sentence."""
    return {"registries": "registry"}.get(kind, kind.removesuffix("s").replace("_", " "))


def imported(entries: Iterable[EntryPoint], broken: list[Broken]) -> Iterator[tuple[str, object, EntryPoint]]:
    """The plugin of each entry point with its owner; what does not fit this ftkit or cannot be imported is added to `broken`."""
    owners: set[str] = set()
    for entry in sorted(entries, key=lambda each: each.name):
        owner = _owner(entry)
        if misfit := api.misfit(entry):
            broken.append(Broken(owner, misfit.reason, misfit.hint))
            continue
        try:
            plugin = entry.load()
        except BaseException as error:
            if is_interruption(error):
                raise
            hint = f"It is the entry point {entry.name} = {without_secrets(entry.value)}: see whether Python can import it."
            broken.append(Broken(owner, f"it cannot be imported: {in_one_line(error)}", hint))
            continue
        yield (owner if owner not in owners else f"{owner} ({entry.value})"), plugin, entry
        owners.add(owner)


def _owner(entry: EntryPoint) -> str:
    """The distribution and version of an entry point; its module where the distribution does not say."""
    try:
        return f"{entry.dist.name} {entry.dist.version}" if entry.dist and entry.dist.name else entry.value
    except Exception:  # metadata that cannot be read
        return entry.value


def offered(manager: HookManager, kind: str, broken: list[Broken]) -> Iterator[Offer]:
    """The sound components that plugins offer by a hook; the others are added to `broken`."""
    for implementation in getattr(manager.hook, kind).get_hookimpls():
        owner = implementation.plugin_name
        try:
            offered = listed(implementation.function(), kind)
        except PluginError as error:
            broken.append(Broken(owner, error.what, error.hint, kind))
            continue
        except BaseException as error:
            if is_interruption(error):
                raise
            broken.append(Broken(owner, f"its hook {kind} failed: {in_one_line(error)}", kind=kind))
            continue
        for component in dict.fromkeys(offered) if all(isinstance(each, type) for each in offered) else offered:
            try:
                component_checks.check(component, kind_noun(kind), KINDS[kind])
            except PluginError as error:
                broken.append(Broken(owner, error.what, error.hint, kind, _name(component)))
            else:
                yield Offer(kind, component.name, component, owner)


def listed(returned: Any, hook: str) -> list[Any]:
    """What a hook returned, as a list. Raises: PluginError for anything but a list, tuple or generator of objects."""
    if isinstance(returned, str | bytes | Mapping | type) or not isinstance(returned, Iterable):
        raise PluginError(
            f"its hook {hook} returned {class_title(returned)}, not a list",
            hint=f"Return a list of {'watchers' if hook == 'watchers' else 'classes'}, also of one.",
        )
    listed = list(itertools.islice(returned, MOST + 1))
    if len(listed) > MOST:
        raise PluginError(f"its hook {hook} returned more than {MOST:,} objects", hint="Return a list that ends.")
    return listed


def without_clashes(offers: Iterable[Offer], broken: list[Broken]) -> list[Offer]:
    """The offers whose place and name no other class has; the others are added to `broken`, each naming both owners."""
    places: dict[tuple[str, str], dict[type[Any], Offer]] = {}
    for offer in offers:
        place = min(offer.kind, NAMED_ALIKE.get(offer.kind, offer.kind))
        places.setdefault((place, offer.name), {}).setdefault(offer.component, offer)
    alone: list[Offer] = []
    for (_, name), rivals in places.items():
        first, *others = rivals.values()
        alone += [first] * (not others)
        for offer in rivals.values() if others else ():
            owners = " and ".join(f"{each.plugin} ({kind_noun(each.kind)})" for each in rivals.values())
            hint = "Uninstall one of them, or ask its author to choose another name."
            broken.append(Broken(offer.plugin, f"the name {name!r} is offered by {owners}", hint, offer.kind, name))
    return alone


def examined(offer: Offer) -> Broken | None:
    """What is wrong with a component in detail; None if it works."""
    try:
        component_checks.examine(offer.component, kind_noun(offer.kind), KINDS[offer.kind])
    except PluginError as error:
        return Broken(offer.plugin, error.what, error.hint, offer.kind, offer.name)
    return None


def _name(component: Any) -> str:
    """The name of a component that was set aside; empty if it has none."""
    name = getattr(component, "name", "") if isinstance(component, type) else ""
    return name if isinstance(name, str) else ""


def class_title(value: Any) -> str:
    """A value in a sentence, by its class alone: its text may be long, secret, or raise."""
    if value is None:
        return "None"
    return f"the class {value.__name__}" if isinstance(value, type) else f"an object of {type(value).__name__}"
