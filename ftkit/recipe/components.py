"""From a section of a recipe to the component that it names.

A section is `use = "name"` plus the fields of that component. A sub-table with the name of a component of the section's
kind ([deploy.managed-endpoint]) has options for this component only, which apply when it is used: so one recipe can
have the options of several targets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from ftkit import files, options
from ftkit.bundled_plugins import bundled_plugins
from ftkit.contracts.capability_checks import capable, offline
from ftkit.errors import PluginError, Problem, VerbError
from ftkit.plugins import KINDS, SECTIONS, Plugins, component_checks, kind_noun
from ftkit.plugins.calls import call
from ftkit.recipe.document import Document
from ftkit.recipe.toml_lines import Key

READING = ("dataset", "backbone", "promote")
"""Sections whose files are read, never written."""

C = TypeVar("C")
P = ParamSpec("P")
T = TypeVar("T")


class Sections:
    """Makes components from the sections of a document; for a wrong one it returns None and adds to `problems`."""

    def __init__(self, document: Document, plugins: Plugins, problems: list[Problem]) -> None:
        self.document = document
        self.plugins = plugins
        self.problems = problems
        self.missing: list[Problem] = []
        """Files and folders that options name and that are not on this machine: no mistakes, as it may not be the one that trains."""
        self.offline = False
        """Whether to set the option `offline` of every component that has it, where the recipe does not set it."""

    def component(self, section: str, required: bool = False) -> Any:
        """The component of a section; a section that is not required may be missing, or have `use = "none"`."""
        if section not in self.document.values:
            if required:
                installed = ", ".join(self.plugins.names(SECTIONS[section])) or "none is installed"
                self.report_problem(
                    (section,), "the section is missing", f"Add [{section}] with use = one of: {installed}."
                )
            return None
        values = self.table((section,))
        if values is None:
            return None
        if not required and values.get("use") == "none":
            return None
        return self.make((section,), SECTIONS[section], values, use=values.pop("use", None))

    def settings(self, section: str, component: type[Any]) -> Any:
        """A section without `use`, which is always of the same class."""
        values = self.table((section,)) if section in self.document.values else {}
        return None if values is None else self.build((section,), component, values)

    def class_of(self, section: str) -> Any:
        """The component class that a section names, even when its options are wrong."""
        values = self.document.values.get(section)
        use = values.get("use") if isinstance(values, dict) else None
        try:
            return self.plugins.examine(SECTIONS[section], use) if isinstance(use, str) else None
        except PluginError:  # it is reported where the section is read
            return None

    def table(self, key: Key) -> dict[str, Any] | None:
        """A copy of a section's values; empty where the recipe has no such section."""
        value: Any = self.document.values
        for part in key:
            value = value.get(part, {}) if isinstance(value, dict) else value[part]
        if not isinstance(value, dict):
            self.report_problem(key, f"must be a table, not {value!r}", f"Write [{dotted(key)}] and its keys below it.")
            return None
        return dict(value)

    def make(self, key: Key, kind: str, values: dict[str, Any], use: Any, use_key: str = "use") -> Any:
        """The component that a section names, made from the section and from the sub-table of its name."""
        if use is None:
            names = ", ".join(self.plugins.choices(kind)) or "none is installed"
            self.report_problem(
                key, f"`{use_key}` is missing: it names the {kind_noun(kind)}", f"Set it to one of: {names}."
            )
            return None
        component = self.find(key, kind, use, use_key)
        option_names = options.names(component) if component else set()
        for name in [name for name, value in values.items() if isinstance(value, dict) and name not in option_names]:
            if name == use:
                table = values.pop(name)
                self.document.moved_from.update({(*key, option): (*key, name, option) for option in table})
                values.update(table)
            elif name in self.plugins.names(kind):
                self.check_unused((*key, name), kind, name, values.pop(name))
            elif any(broken.name == name for broken in self.plugins.suspects(kind, name)):
                del values[name]  # options of a component that was set aside cannot be checked
            elif name in bundled_plugins() and name not in {installed.name for installed in self.plugins.offers}:
                del values[name]  # options of a plugin that is not installed here cannot be checked
        return None if component is None else self.made(key, kind, component, values, (*key, use_key))

    def made(self, key: Key, kind: str, component: type[Any], values: dict[str, Any], named_at: Key) -> Any:
        """A component that has what every component of its kind has, from its own options."""
        if "offline" in options.names(component) and self.offline:
            values.setdefault("offline", True)
        made = self.build(key, component, values)
        fields = component_checks.values(KINDS[kind]) if made is not None else ()
        given = [self.asked(named_at, getattr(KINDS[kind], name), made) for name in fields]
        return None if None in given else made

    def find(self, key: Key, kind: str, use: Any, use_key: str | int) -> Any:
        """The installed component class with this name."""
        if not isinstance(use, str):
            what = f"must be the name of a {kind_noun(kind)}, not {use!r}"
            self.report_problem((*key, use_key), what, f"Installed: {', '.join(self.plugins.choices(kind)) or 'none'}.")
            return None
        try:
            return self.plugins.examine(kind, use)
        except PluginError as error:
            broken = use in self.plugins.names(kind) or bool(self.plugins.suspects(kind, use))
            self.report_problem((*key, use_key), error.what, error.hint, plugin=broken)
        return None

    def build(self, key: Key, component: type[Any], values: dict[str, Any]) -> Any:
        """A component of the class with these values as its options."""
        resolved = {
            name: options.resolve_paths(component, name, value, self.document.base_folder((*key, name)))
            for name, value in values.items()
        }
        try:
            made = options.build(component, resolved)
            self._note_missing_files(key, made)
            return made
        except options.Mistakes as error:
            self._report_mistakes(key, error)
        except PluginError as error:
            self.report_problem(key, error.what, error.hint, plugin=True)
        return None

    def _note_missing_files(self, key: Key, component: Any) -> None:
        if key[0] not in READING:
            return
        for name, path in options.local_paths(component).items():
            if not files.matching(path):
                option: Key = (*key, name.partition(".")[0])
                where, written = self.document.where(option), dotted(self.document.written_key(option))
                hint = "A run here would fail. Relative paths start at the recipe's folder, those of --set in the working folder."
                self.missing.append(
                    Problem(
                        where,
                        written,
                        f"{path} {'matches no file' if files.is_pattern(path) else 'is not on this machine'}",
                        hint,
                    )
                )

    def asked(
        self, key: Key, verb: Callable[Concatenate[C, P], T], component: C, *arguments: P.args, **named: P.kwargs
    ) -> T | None:
        """What a component says of the recipe; None if it cannot, which is a mistake at the key that names it."""
        try:
            return call(verb, component, *arguments, **named)
        except VerbError as error:
            self.report_problem(key, error.what, error.hint)
        return None

    def declared(
        self, key: Key, capability: Callable[..., Any], attribute: Callable[[Any], T], component: Any, otherwise: T
    ) -> T | None:
        """An attribute of a component that has the capability, else `otherwise`; None if it cannot be read, which is a mistake."""
        return self.asked(key, attribute, component) if capable(component, capability) else otherwise

    def set_offline(self, key: Key, component: Any) -> Any:
        """A component that no section of its own made, offline if the recipe wants that."""
        try:
            return offline(component) if self.offline else component
        except PluginError as error:
            self.report_problem(key, error.what, error.hint, plugin=True)
        return component

    def report_problem(self, key: Key, what: str, hint: str = "", *, plugin: bool = False) -> None:
        """Add a problem with the place and the key where the recipe's author wrote the value."""
        where, written = self.document.where(key), dotted(self.document.written_key(key))
        self.problems.append(Problem(where, written, what, hint, plugin))

    def _report_mistakes(self, key: Key, error: options.Mistakes) -> None:
        for mistake in error.mistakes:
            self.report_problem((*key, *mistake.path), mistake.what, mistake.hint)

    def check_unused(self, key: Key, kind: str, name: str, values: dict[str, Any]) -> None:
        """Check the options for a component that the recipe does not use at the moment."""
        try:
            options.convert(self.plugins.find(kind, name), values, partial=True)
        except options.Mistakes as error:
            self._report_mistakes(key, error)
        except PluginError:
            pass  # it does not work, and this recipe does not need it


def dotted(key: Key) -> str:
    """A key as people write it: `promote.0.floor`."""
    return ".".join(map(str, key))
