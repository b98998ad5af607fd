"""The hook points. Each returns classes and has no side effect, except the last two: `on_event` and `watchers`.

A plugin is a module (or any object) registered under the entry-point group `ftkit`:

    from ftkit import hookimpl

    @hookimpl
    def backbones():
        return [ModernBert]
"""

from __future__ import annotations

from collections.abc import Sequence

import pluggy

from ftkit import contracts
from ftkit.contracts.events import Event
from ftkit.contracts.monitoring import Served, Watcher

hookspec = pluggy.HookspecMarker("ftkit")
hookimpl = pluggy.HookimplMarker("ftkit")


@hookspec
def datasets() -> Sequence[type[contracts.Dataset]]:  # type: ignore[empty-body]
    """Dataset loaders, named by `[dataset] use`."""


@hookspec
def backbones() -> Sequence[type[contracts.Backbone]]:  # type: ignore[empty-body]
    """Model backbones, named by `[backbone] use`."""


@hookspec
def search_spaces() -> Sequence[type[contracts.SearchSpace]]:  # type: ignore[empty-body]
    """Ready-made search spaces, named by `[search] space.use`."""


@hookspec
def promotion_tests() -> Sequence[type[contracts.PromotionTest]]:  # type: ignore[empty-body]
    """Promotion tests, named by `[[promote]] use`."""


@hookspec
def promotion_presets() -> Sequence[type[contracts.PromotionPreset]]:  # type: ignore[empty-body]
    """Ready-made sets of promotion tests, named by `[[promote]] use` as a test is."""


@hookspec
def deployers() -> Sequence[type[contracts.Deployer]]:  # type: ignore[empty-body]
    """Deployment targets, named by `[deploy] use`."""


@hookspec
def platforms() -> Sequence[type[contracts.Platform]]:  # type: ignore[empty-body]
    """Places a run can happen, named by `[run] on`."""


@hookspec
def registries() -> Sequence[type[contracts.Registry]]:  # type: ignore[empty-body]
    """Model registries, named by `[registry] use`."""


@hookspec
def on_event(event: Event) -> None:
    """Something happened in a run. An error of an observer is logged and never stops the run; what it returns is ignored."""


@hookspec
def watchers(served: Served) -> Sequence[Watcher]:  # type: ignore[empty-body]
    """Watchers of this deployment's requests, called once in its server process. Without watchers, requests are not observed."""
