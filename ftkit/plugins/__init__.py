"""Find plugins by their entry points, call each hook once, and refuse clashes and misspelt hooks.

A plugin that cannot be imported is set aside; the others still work. Only a recipe that needs a missing component is refused, and
the message then names the plugins that were set aside.
"""

from __future__ import annotations

import difflib
import functools
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, is_dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy

from ftkit import contracts, hookspecs
from ftkit.bundled_plugins import bundled_plugins, how_to_install
from ftkit.contracts.events import Event
from ftkit.contracts.monitoring import Served, Watcher
from ftkit.disclosure import without_secrets
from ftkit.errors import PluginError

GROUP = "ftkit"

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

VERBS = ("on_event", "watchers")
"""Hooks that offer no components."""

NAMED_ALIKE: dict[str, str] = {"promotion_tests": "promotion_presets", "promotion_presets": "promotion_tests"}
"""Kinds that a recipe names in the same place, so that both must not have the same name."""


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
    """A plugin that was set aside, and why."""

    plugin: str
    reason: str


class Plugins:
    """What is installed: components by kind and name, observers, watchers, and plugins that were set aside."""

    def __init__(self, manager: pluggy.PluginManager, offers: Iterable[Offer], broken: Iterable[Broken]) -> None:
        self._manager = manager
        self.offers = tuple(sorted(offers, key=lambda each: (each.kind, each.name)))
        self.broken = tuple(broken)
        self._by_name = {(each.kind, each.name): each for each in self.offers}

    def names(self, kind: str) -> list[str]:
        """Names of the components of one kind, sorted."""
        return [each.name for each in self.offers if each.kind == kind]

    def choices(self, kind: str) -> list[str]:
        """The names that a recipe can use in the place of a component of this kind."""
        return self.names(kind) + self.names(NAMED_ALIKE.get(kind, ""))

    def find(self, kind: str, name: str) -> type[Any]:
        """A component class by name. Raises: PluginError with the installed names or the nearest one."""
        if entry := self._by_name.get((kind, name)):
            return entry.component
        raise PluginError(f"no {kind_noun(kind)} named {name!r} is installed", hint=self.advice(kind, name))

    def advice(self, kind: str, name: str) -> str:
        """How to get a component that is not installed."""
        owner = bundled_plugins().get(name)
        suspects = [broken for broken in self.broken if owner is None or broken.plugin.partition(" ")[0] == owner]
        names = self.choices(kind)
        near = difflib.get_close_matches(name, names, 1)
        if near:
            advice = f"Did you mean {near[0]!r}?"
        elif owner and suspects:
            advice = f"It comes with the plugin {owner}, which is installed but does not work."
        elif owner:
            advice = f"It comes with the plugin {owner}: {how_to_install(owner)}."
        else:
            advice = f"Installed: {', '.join(names) or 'none'}. `ftkit plugins` lists all."
        return " ".join([advice, *(f"{broken.plugin} was set aside: {broken.reason}." for broken in suspects)])

    def tell(self, event: Event) -> None:
        """Pass an event to every observer; an error of one is logged and stops neither the others nor the run."""
        for implementation in self._manager.hook.on_event.get_hookimpls():
            try:
                implementation.function(event)
            except Exception:
                logging.getLogger("ftkit").exception("the observer of %s failed", implementation.plugin_name)

    def watchers(self, served: Served) -> list[Watcher]:
        """The watchers of a deployment's requests; a plugin whose hook fails is logged and left out."""
        watchers: list[Watcher] = []
        for implementation in self._manager.hook.watchers.get_hookimpls():
            try:
                watchers.extend(implementation.function(served))  # type: ignore[arg-type]  # pluggy types it as an object
            except Exception:
                logging.getLogger("ftkit").exception("the watchers of %s failed", implementation.plugin_name)
        return watchers


@functools.cache
def load() -> Plugins:
    """The installed plugins, loaded once per process. Raises: PluginError for a clash or a misspelt hook."""
    return collect(entry_points(group=GROUP))


def collect(entries: Iterable[EntryPoint], objects: Mapping[str, object] | None = None) -> Plugins:
    """Load plugins from entry points, and from objects by name (for tests and notebooks).

    Raises: PluginError when two components share kind and name, when a hook is misspelt, or when a hook returned something other
    than components.
    """
    manager = pluggy.PluginManager("ftkit")
    manager.add_hookspecs(hookspecs)
    broken: list[Broken] = []
    loaded: dict[str, object] = dict(objects or {})
    for entry in sorted(entries, key=lambda each: each.name):
        owner = _owner(entry)
        try:
            plugin = entry.load()
        except (Exception, SystemExit) as error:
            broken.append(Broken(owner, without_secrets(f"{type(error).__name__}: {error}")))
            continue
        if not any(plugin is other for other in loaded.values()):
            loaded[owner if owner not in loaded else f"{owner} ({entry.value})"] = plugin
    for owner, plugin in loaded.items():
        try:
            manager.register(plugin, name=owner)
        except pluggy.PluginValidationError as error:
            manager.unregister(name=owner)
            broken.append(Broken(owner, " ".join(str(error).split())))
    _check_hooks(manager)

    components: dict[tuple[str, str], Offer] = {}
    for kind, protocol in KINDS.items():
        for implementation in getattr(manager.hook, kind).get_hookimpls():
            owner = implementation.plugin_name
            try:
                offered = list(implementation.function())
            except Exception as error:
                broken.append(
                    Broken(owner, without_secrets(f"its hook {kind} failed: {type(error).__name__}: {error}"))
                )
                continue
            for component in offered:
                _check_component(component, kind, protocol, owner)
                _check_name(components, kind, component.name, owner)
                components[kind, component.name] = Offer(kind, component.name, component, owner)
    return Plugins(manager, components.values(), broken)


def kind_noun(kind: str) -> str:
    """What a component of this kind is called in a sentence."""
    return {"registries": "registry"}.get(kind, kind.removesuffix("s").replace("_", " "))


def _check_name(components: Mapping[tuple[str, str], Offer], kind: str, name: str, owner: str) -> None:
    """Raises: PluginError when another plugin offers a component that a recipe would name in the same way."""
    noun, alike = kind_noun(kind), NAMED_ALIKE.get(kind, "")
    if first := components.get((kind, name)):
        clash = f"two plugins offer a {noun} named {name!r}: {first.plugin} and {owner}"
    elif first := components.get((alike, name)):
        clash = f"{first.plugin} offers a {kind_noun(alike)} named {name!r}, and {owner} a {noun} of that name"
    else:
        return
    raise PluginError(clash, hint="Uninstall one of them, or ask its author to choose another name.")


def _check_hooks(manager: pluggy.PluginManager) -> None:
    """Raises: PluginError for a hook that ftkit does not have, naming the plugin and the nearest hook."""
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        name = str(error).split("'")[1]
        near = difflib.get_close_matches(name, [*KINDS, *VERBS], 1)
        raise PluginError(
            f"{manager.get_name(error.plugin)} offers a hook that ftkit does not have: {name}",
            hint=f"Did you mean {near[0]!r}?" if near else f"The hooks are {', '.join([*KINDS, *VERBS])}.",
        ) from error


def _owner(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value


def _check_component(component: Any, kind: str, protocol: type, owner: str) -> None:
    """Raises: PluginError when this is no component of its kind."""
    noun = kind_noun(kind)
    if not isinstance(component, type) or not is_dataclass(component):
        raise PluginError(
            f"{owner} offers {component!r} as a {noun}, which is no dataclass",
            hint="Return classes decorated with @dataclass(frozen=True, kw_only=True).",
        )
    name = getattr(component, "name", None)
    if not isinstance(name, str):
        raise PluginError(
            f"{owner} offers {component.__name__}, which has no name", hint='Give the class `name = "…"`.'
        )
    if not component.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise PluginError(
            f"{owner} offers the {noun} {name!r}, which is not frozen",
            hint="Decorate it with @dataclass(frozen=True, kw_only=True): components are values.",
        )
    verbs = [verb for verb in vars(protocol) if not verb.startswith("_") and callable(getattr(protocol, verb))]
    missing = [verb for verb in verbs if not callable(getattr(component, verb, None))]
    if missing:
        raise PluginError(
            f"{owner} offers the {noun} {name!r} without {', '.join(missing)}",
            hint=f"The protocol is ftkit.contracts.{protocol.__name__}.",
        )
