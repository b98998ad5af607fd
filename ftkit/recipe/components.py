"""A section of a recipe becomes the component it names.

A section is `use = "name"` plus the fields of the component it names. A sub-table named as a component of the
section's kind ([deploy.managed-endpoint]) holds options for that component only: it counts when the component is
used, so that one recipe can carry what each of several targets needs.
"""

from __future__ import annotations

from typing import Any

from ftkit import options
from ftkit.errors import Problem
from ftkit.plugins import BUNDLED, Plugins, kind_noun
from ftkit.recipe.document import Document
from ftkit.recipe.toml_lines import Key

SECTIONS: dict[str, str] = {
    "dataset": "datasets",
    "backbone": "backbones",
    "promote": "promotion_tests",
    "registry": "registries",
    "deploy": "deployers",
    "run": "platforms",
}
"""Recipe section to hook name."""


class Sections:
    """The sections of one document as components; None comes of what is wrong, and `problems` get the reason."""

    def __init__(self, document: Document, plugins: Plugins, problems: list[Problem]) -> None:
        self.document = document
        self.plugins = plugins
        self.problems = problems
        self.offline = False
        """Whether components are to be offline: those with an option of that name that the recipe does not set."""

    def component(self, section: str, required: bool = False) -> Any:
        """The component of a section that a recipe has once; one that is not required may be left out, or `use = "none"`."""
        if section not in self.document.values:
            if required:
                kind = SECTIONS[section]
                hint = f"[{section}] with use = one of: {', '.join(self.plugins.names(kind)) or 'none is installed'}."
                self.wrong((section,), "the section is missing", f"Add {hint}")
            return None
        values = self.table((section,))
        if values is None:
            return None
        if not required and values.get("use") == "none":
            return None
        return self.make((section,), SECTIONS[section], values, use=values.pop("use", None))

    def plain(self, section: str, component: type[Any]) -> Any:
        """A section that has only one meaning, and so no `use`."""
        values = self.table((section,)) if section in self.document.values else {}
        return None if values is None else self.build((section,), component, values)

    def class_of(self, section: str) -> Any:
        """The component class a section names, even when its options are wrong."""
        values = self.document.values.get(section)
        use = values.get("use") if isinstance(values, dict) else None
        return self.plugins.find(SECTIONS[section], use) if use in self.plugins.names(SECTIONS[section]) else None

    def table(self, key: Key) -> dict[str, Any] | None:
        """A copy of what a section holds; empty where the recipe has none."""
        value: Any = self.document.values
        for part in key:
            value = value.get(part, {}) if isinstance(value, dict) else value[part]
        if not isinstance(value, dict):
            self.wrong(key, f"must be a table, not {value!r}", f"Write [{dotted(key)}] and its keys below it.")
            return None
        return dict(value)

    def make(self, key: Key, kind: str, values: dict[str, Any], use: Any, use_key: str = "use") -> Any:
        """The component a section names, made of the section and of its own sub-table."""
        if use is None:
            names = ", ".join(self.plugins.choices(kind)) or "none is installed"
            self.wrong(key, f"`{use_key}` is missing: it names the {kind_noun(kind)}", f"One of: {names}.")
            return None
        component = self.find(key, kind, use, use_key)
        own = options.names(component) if component else set()
        for name in [name for name, value in values.items() if isinstance(value, dict) and name not in own]:
            if name == use:
                table = values.pop(name)
                self.document.moved.update({(*key, each): (*key, name, each) for each in table})
                values.update(table)
            elif name in self.plugins.names(kind):
                self._check_only((*key, name), self.plugins.find(kind, name), values.pop(name))
            elif name in BUNDLED and name not in {each.name for each in self.plugins.found}:
                del values[name]  # for a plugin that is not installed here, and so cannot be checked
        if component is None:
            return None
        if "offline" in own and self.offline:
            values.setdefault("offline", True)
        return self.build(key, component, values)

    def find(self, key: Key, kind: str, use: Any, use_key: str) -> Any:
        """The component class of that name."""
        if isinstance(use, str) and use in self.plugins.names(kind):
            return self.plugins.find(kind, use)
        advice = self.plugins.advice(kind, str(use))
        self.wrong((*key, use_key), f"no {kind_noun(kind)} named {use!r} is installed", advice)
        return None

    def build(self, key: Key, component: type[Any], values: dict[str, Any]) -> Any:
        """A component of a class, with these values as its options."""
        placed = {
            name: options.resolve_paths(component, name, value, self.document.base_of((*key, name)))
            for name, value in values.items()
        }
        try:
            return options.build(component, placed)
        except options.Mistakes as mistakes:
            for each in mistakes.mistakes:
                self.wrong((*key, *each.path), each.what, each.hint)
        return None

    def wrong(self, key: Key, what: str, hint: str = "") -> None:
        """Note a mistake at the place where the key really stands."""
        self.problems.append(Problem(self.document.where(key), dotted(self.document.origin(key)), what, hint))

    def _check_only(self, key: Key, component: type[Any], values: dict[str, Any]) -> None:
        try:
            options.convert(component, values, partial=True)
        except options.Mistakes as mistakes:
            for each in mistakes.mistakes:
                self.wrong((*key, *each.path), each.what, each.hint)


def dotted(key: Key) -> str:
    """A key as people write it."""
    return ".".join(map(str, key))
