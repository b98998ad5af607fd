"""What a component is called in an error, with the plugin that it comes from."""

from __future__ import annotations

from typing import Any

from ftkit import plugins


def title(kind: str, component: Any) -> str:
    """A component, its class or its name in a sentence: `the backbone 'modern-bert' of ftkit-modern 1.0`.

    `kind` is the hook that offers it. The plugin is left out where none is known, as for a component of a notebook.
    """
    noun = plugins.kind_noun(kind)
    installed = plugins.load()
    if isinstance(component, str):
        owner = next((each.plugin for each in installed.offers if (each.kind, each.name) == (kind, component)), "")
        return f"the {noun} {component!r}" + (f" of {owner}" if owner else "")
    component = component if isinstance(component, type) else type(component)
    owner = next((each.plugin for each in installed.offers if each.component is component), "") or component.__module__
    return f"the {noun} {getattr(component, 'name', component.__name__)!r} of {owner}"
