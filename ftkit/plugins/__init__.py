"""Find plugins by their entry points and call each hook once; what is wrong with a plugin stays that plugin's.

A plugin, hook or component that does not work is set aside with the reason, and everything else still works. So is a name that two
plugins offer. Only a recipe that needs one of these is refused, and the error then gives the reason.

api                whether a plugin fits this ftkit
hooks              the hooks of a plugin, each read by itself
component_checks   whether a class can be a component
offers             what plugins offer, and what was set aside
directory          the plugins that ftkit knows of
origins            where each plugin comes from, and what it brings
calls              calls of a component's verbs, with the plugin in every error
"""

from __future__ import annotations

import difflib
import functools
import logging
import re
from collections.abc import Collection, Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from ftkit.bundled_plugins import bundled_plugins, how_to_install
from ftkit.contracts.events import Event
from ftkit.contracts.monitoring import Served, Watcher
from ftkit.errors import PluginError, in_one_line
from ftkit.formatting import listing
from ftkit.plugins.hooks import HookManager
from ftkit.plugins.offers import (
    KINDS,
    NAMED_ALIKE,
    SECTIONS,
    Broken,
    Offer,
    class_title,
    examined,
    imported,
    kind_noun,
    listed,
    offered,
    without_clashes,
)

__all__ = [
    "GROUP",
    "KINDS",
    "NAMED_ALIKE",
    "SECTIONS",
    "Broken",
    "Offer",
    "Plugins",
    "choose",
    "collect",
    "kind_noun",
    "load",
]

GROUP = "ftkit"
"""The group of the entry points."""


class Plugins:
    """What is installed: components by kind and name, observers, watchers, and what was set aside."""

    def __init__(
        self,
        manager: HookManager,
        offers: Iterable[Offer],
        broken: Iterable[Broken],
        entries: Mapping[str, EntryPoint] | None = None,
        left_out: Iterable[str] = (),
    ) -> None:
        self._manager = manager
        self.offers = tuple(sorted(offers, key=lambda each: (each.kind, each.name)))
        self.broken = tuple(broken)
        self.entries = dict(entries or {})
        """The entry point of each plugin that was loaded, by its owner; without those that were given as objects."""
        self.left_out = tuple(left_out)
        """Installed distributions whose plugins were not loaded, since they were not chosen."""
        self._by_name = {(each.kind, each.name): each for each in self.offers}
        self._silenced: set[tuple[str, str]] = set()

    def names(self, kind: str) -> list[str]:
        """Names of the components of one kind, sorted."""
        return [each.name for each in self.offers if each.kind == kind]

    def choices(self, kind: str) -> list[str]:
        """The names that a recipe can use in the place of a component of this kind."""
        return self.names(kind) + self.names(NAMED_ALIKE.get(kind, ""))

    def find(self, kind: str, name: str) -> type[Any]:
        """A component class by name. Raises: PluginError with the reason why there is none, or with the installed names."""
        if entry := self._by_name.get((kind, name)):
            return entry.component
        if suspects := [each for each in self.suspects(kind, name) if each.name == name]:
            raise _refusal(suspects[0])
        what = "takes part" if self.left_out else "is installed"
        raise PluginError(f"no {kind_noun(kind)} named {name!r} {what}", hint=self.advice(kind, name))

    def examine(self, kind: str, name: str) -> type[Any]:
        """As `find`, for a component that is needed: its fields and verbs are checked in detail. Raises: PluginError."""
        component = self.find(kind, name)
        if broken := examined(self._by_name[kind, name]):
            raise _refusal(broken)
        return component

    def examined(self) -> Plugins:
        """The same plugins, with every component checked in detail, and set aside if it does not work."""
        checked = [(offer, examined(offer)) for offer in self.offers]
        working = [offer for offer, broken in checked if broken is None]
        broken = [*self.broken, *(broken for _, broken in checked if broken is not None)]
        return Plugins(self._manager, working, broken, self.entries, self.left_out)

    def suspects(self, kind: str, name: str) -> list[Broken]:
        """What was set aside and is, or may be, the reason why there is no component of this kind and name."""
        kinds = (kind, NAMED_ALIKE.get(kind, kind))
        if named := [broken for broken in self.broken if broken.name == name and broken.kind in kinds]:
            return named
        owner = bundled_plugins().get(name)
        if owner is None and self.nearest(kind, name):
            return []
        nameless = (broken for broken in self.broken if not broken.name and broken.kind in ("", *kinds))
        return [broken for broken in nameless if owner is None or broken.plugin.partition(" ")[0] == owner]

    def advice(self, kind: str, name: str) -> str:
        """How to get a component that is not installed."""
        owner = bundled_plugins().get(name)
        suspects = self.suspects(kind, name)
        names = self.choices(kind)
        if owner and suspects:
            advice = f"It comes with the plugin {owner}, which is installed but does not work."
        elif near := self.nearest(kind, name):
            advice = f"Did you mean {near!r}?"
        elif owner in self.left_out:
            advice = f"It comes with the plugin {owner}, which [run] plugins does not name."
        elif owner:
            advice = f"It comes with the plugin {owner}: {how_to_install(owner)}."
        else:
            advice = f"Installed: {', '.join(names) or 'none'}. `ftkit plugins` lists all."
            if self.left_out:
                advice = f"[run] plugins leaves out {listing(self.left_out, 20)}. {advice}"
        return " ".join([advice, *(f"{broken.plugin} was set aside: {broken.reason}." for broken in suspects)])

    def distributions(self) -> list[str]:
        """The installed distributions that have a plugin, also those that were not chosen."""
        broken = (canonical(each.plugin.partition(" ")[0]) for each in self.broken)
        return sorted({*self.left_out, *map(_distribution, self.entries.values()), *broken})

    def nearest(self, kind: str, name: str) -> str:
        """The name that was probably meant; empty if none is near."""
        return next(iter(difflib.get_close_matches(name, self.choices(kind), 1)), "")

    def owner(self, kind: type[Any]) -> str:
        """The plugin that a class comes from, or its module if no plugin is known to have it."""
        package = kind.__module__.partition(".")[0]
        known = [(offer.component, offer.plugin) for offer in self.offers]
        by_class = [plugin for component, plugin in known if component is kind]
        by_package = [plugin for component, plugin in known if component.__module__.partition(".")[0] == package]
        return next(iter(by_class + self._manager.owners(package) + by_package), kind.__module__)

    def hooks_of(self, owner: str) -> list[str]:
        """The hooks that a plugin has, by its owner as `entries` has it."""
        callers = self._manager.get_hookcallers(self._manager.get_plugin(owner)) or ()
        return sorted(each.name for each in callers)

    def tell(self, event: Event) -> None:
        """Pass an event to every observer; what one raises is logged once and stops neither the others nor the run."""
        for implementation in self._manager.hook.on_event.get_hookimpls():
            try:
                implementation.function(event)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                self._report_once(implementation.plugin_name, "observer", error)

    def watchers(self, served: Served) -> list[Watcher]:
        """The watchers of a deployment's requests; a plugin whose hook fails is logged and left out."""
        watchers: list[Watcher] = []
        for implementation in self._manager.hook.watchers.get_hookimpls():
            try:
                for watcher in listed(implementation.function(served), "watchers"):
                    missing = [verb for verb in ("tell", "close") if not callable(getattr(watcher, verb, None))]
                    if missing or isinstance(watcher, type):
                        raise TypeError(f"{class_title(watcher)} is no watcher: it needs tell and close")
                    watchers.append(watcher)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                self._report_once(implementation.plugin_name, "hook watchers", error)
        return watchers

    def _report_once(self, plugin: str, part: str, error: BaseException) -> None:
        """Log an error the first time only: what fails at one event may fail at all of them."""
        if (plugin, part) not in self._silenced:
            self._silenced.add((plugin, part))
            log = logging.getLogger("ftkit")
            log.error("the %s of %s failed: %s; this is logged once only", part, plugin, in_one_line(error))


_chosen: frozenset[str] | None = None
"""The distributions that this process uses plugins of; None for all that are installed."""


def choose(names: Iterable[str] | None) -> Plugins:
    """From now on, use the plugins of these distributions alone, besides ftkit's own components; None for all that are installed.

    No other is even imported, unless this process has used it before.
    """
    global _chosen
    chosen = None if names is None else frozenset(map(canonical, names))
    if chosen != _chosen:
        _chosen = chosen
        load.cache_clear()
    return load()


@functools.cache
def load() -> Plugins:
    """The installed plugins, or those of them that were chosen, loaded once per process."""
    return collect(entry_points(group=GROUP), only=_chosen)


def collect(
    entries: Iterable[EntryPoint], objects: Mapping[str, object] | None = None, only: Collection[str] | None = None
) -> Plugins:
    """Load plugins from entry points, and from objects by name (for tests and notebooks).

    `only` names the distributions whose entry points are loaded, with ftkit itself; None loads all.
    """
    broken: list[Broken] = []
    manager = HookManager()
    loaded: dict[str, object] = dict(objects or {})
    by_owner: dict[str, EntryPoint] = {}
    entries = list(entries)
    chosen = entries if only is None else [each for each in entries if _distribution(each) in {*only, GROUP}]
    for owner, plugin, entry in imported(chosen, broken):
        if not any(plugin is other for other in loaded.values()):
            loaded[owner] = plugin
            by_owner[owner] = entry
    for owner, plugin in loaded.items():
        broken += [Broken(owner, *fault) for fault in manager.adopt(plugin, owner)]
    offers = [offer for kind in KINDS for offer in offered(manager, kind, broken)]
    left_out = sorted({_distribution(each) for each in entries if each not in chosen})
    return Plugins(manager, without_clashes(offers, broken), broken, by_owner, left_out)


def canonical(distribution: str) -> str:
    """The name of a distribution as indexes compare it. Source: PyPA, name normalization."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _distribution(entry: EntryPoint) -> str:
    """The distribution of an entry point, or its module where the distribution does not say."""
    try:
        return canonical(entry.dist.name) if entry.dist and entry.dist.name else entry.module
    except Exception:  # metadata that cannot be read
        return entry.module


def _refusal(broken: Broken) -> PluginError:
    """The error for a component that was set aside."""
    return PluginError(
        f"the {kind_noun(broken.kind)} {broken.name!r} of {broken.plugin} was set aside: {broken.reason}",
        hint=broken.hint,
    )
