"""The backbones of a recipe: the one of `[backbone]`, or those among which `[search] space.backbone` draws each trial's.

Of several, each has its defaults, the options of its own table ([backbone.minilm]), and those directly in [backbone]: these are for
every backbone, or with `use` for that one alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ftkit import options
from ftkit.contracts.space import BACKBONE
from ftkit.plugins import Plugins
from ftkit.recipe.components import Sections
from ftkit.recipe.document import Document
from ftkit.recipe.toml_lines import Key

LISTED: Key = ("search", "space", BACKBONE)
"""Where a recipe lists the backbones that are searched."""


@dataclass(frozen=True)
class NamedBackbone:
    """A backbone that a recipe names, as far as it can be made."""

    key: Key
    """The table of its options."""
    named_at: Key
    """Where the recipe names it."""
    searched_as: str
    """Its name among several that are searched; empty for the only one."""
    kind: Any
    """Its class; None where the name is wrong."""
    component: Any
    """None where its options are wrong."""


class BackboneSection:
    """Reads the backbones of one document; what is wrong is added to the problems of `sections`."""

    def __init__(self, document: Document, plugins: Plugins, sections: Sections) -> None:
        self.document = document
        self.plugins = plugins
        self.sections = sections

    def read(self) -> list[NamedBackbone]:
        """All backbones that the recipe may train, in its order."""
        listed = self._listed()
        if listed is None:
            kind, component = self.sections.class_of("backbone"), self.sections.component("backbone", required=True)
            return [NamedBackbone(("backbone",), ("backbone", "use"), "", kind, component)]
        values = self.sections.table(("backbone",)) if "backbone" in self.document.values else {}
        kinds = self._kinds(listed)
        if values is None or not kinds:
            return []
        use = values.pop("use", None)
        if use is not None and not (isinstance(use, str) and use in kinds):
            what = f"{use!r} is not among the backbones of search.space.backbone"
            hint = "Add it there, or remove `use`: the options directly in [backbone] are then for every backbone."
            self.sections.report_problem(("backbone", "use"), what, hint)
        own = {name: values.pop(name) for name in [*values] if self._is_table_of_backbone(name, values[name], kinds)}
        for name, table in own.items():
            if name not in kinds:
                self.sections.check_unused(("backbone", name), "backbones", name, table)
        return [
            self._named(name, kind, named_at, values if use in (None, name) else {}, own.get(name, {}))
            for name, (kind, named_at) in kinds.items()
        ]

    def _listed(self) -> list[Any] | None:
        """The names in the recipe; None where it searches no backbones."""
        search = self.document.values.get("search")
        space = search.get("space") if isinstance(search, dict) else None
        if not isinstance(space, dict) or BACKBONE not in space:
            return None
        kind = self.sections.class_of("backbone")
        if kind is not None and BACKBONE in options.names(kind):  # then it is a field as any other
            return None
        listed = space[BACKBONE]
        if isinstance(listed, list) and listed:
            return listed
        hint = f"For example space.backbone = [{', '.join(map(repr, self.plugins.names('backbones')[:2]))}]."
        self.sections.report_problem(LISTED, "must be a list of names of backbones", hint.replace("'", '"'))
        return []

    def _kinds(self, listed: list[Any]) -> dict[str, tuple[Any, Key]]:
        """The classes by name, None where there is none, and where each is named."""
        kinds: dict[str, tuple[Any, Key]] = {}
        for index, name in enumerate(listed):
            kind = self.sections.find(LISTED, "backbones", name, index)
            if not isinstance(name, str):
                continue
            if name in kinds:
                self.sections.report_problem((*LISTED, index), f"{name!r} is there twice", "Remove one of them.")
            kinds.setdefault(name, (kind, (*LISTED, index)))
        return kinds

    def _is_table_of_backbone(self, name: str, value: Any, kinds: dict[str, tuple[Any, Key]]) -> bool:
        if not isinstance(value, dict) or any(kind and name in options.names(kind) for kind, _ in kinds.values()):
            return False
        return name in kinds or name in self.plugins.names("backbones")

    def _named(self, name: str, kind: Any, named_at: Key, shared: dict[str, Any], own: dict[str, Any]) -> NamedBackbone:
        key: Key = ("backbone", name)
        if kind is None:
            return NamedBackbone(key, named_at, name, None, None)
        self.document.moved_from.update({(*key, each): ("backbone", each) for each in shared if each not in own})
        component = self.sections.made(key, "backbones", kind, {**shared, **own}, named_at)
        return NamedBackbone(key, named_at, name, kind, component)
