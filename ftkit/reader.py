"""From a recipe's document to its plan, noting every mistake instead of stopping at the first.

A section is `use = "name"` plus the fields of the component it names. A sub-table named as a component of the
section's kind ([deploy.managed-endpoint]) holds options for that component only: it counts when the component is
used, so that one recipe can carry what each of several targets needs.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from ftkit import options
from ftkit.contracts import Exporting, Refusing
from ftkit.errors import Problem
from ftkit.overrides import Document
from ftkit.places import Key
from ftkit.plan import Plan
from ftkit.plugins import BUNDLED, Plugins, kind_noun
from ftkit.record import AUTO, NATIVE
from ftkit.rollout import Rollout
from ftkit.search import POLICIES, Confirm, Search
from ftkit.space import Choice, Dimension, ends, parse, size

SECTIONS: dict[str, str] = {
    "dataset": "datasets",
    "backbone": "backbones",
    "promote": "promotion_tests",
    "registry": "registries",
    "deploy": "deployers",
    "run": "platforms",
}
"""Recipe section to hook name."""

KEYS = ("name", "seed", "dataset", "backbone", "search", "promote", "registry", "deploy", "rollout", "run")


class Reader:
    """Turns a document into a plan, noting every mistake instead of stopping at the first."""

    def __init__(self, document: Document, plugins: Plugins, problems: list[Problem]) -> None:
        self.document = document
        self.plugins = plugins
        self.problems = problems
        self.offline = False

    def plan(self) -> Plan | None:
        values = self.document.values
        self._known(values, KEYS)
        name = self._name(values.get("name"))
        seed = self._seed(values.get("seed", 0))
        platform = self._platform()
        dataset = self._component("dataset", required=True)
        backbone = self._component("backbone", required=True)
        search = self._search(self._class_of("backbone"), backbone, platform)
        promote = self._promote()
        registry = self._component("registry")
        deploy = self._component("deploy")
        self._engine(backbone, deploy)
        rollout = self._plain("rollout", Rollout)
        if self.problems or search is None:
            return None
        plan = Plan(
            name=name,
            seed=seed,
            dataset=dataset,
            backbone=backbone,
            search=search,
            promote=promote,
            registry=registry,
            deploy=deploy,
            rollout=rollout,
            platform=platform,
            offline=self.offline,
        )
        for each in platform.refusals(plan) if isinstance(platform, Refusing) else ():
            self._wrong(each.path, each.what, each.mend)
        return plan

    # ------------------------------------------------------------------------------------------ sections

    def _name(self, name: Any) -> str:
        if name is None:
            name = Path(self.document.file).stem
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
            said = "must be text of letters, digits, dots, dashes and underscores, beginning with a letter or digit"
            self._wrong(("name",), said, 'For example name = "bert_automotive".')
            return ""
        return name

    def _seed(self, seed: Any) -> int:
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**31:
            self._wrong(("seed",), f"must be a whole number from 0 to {2**31 - 1}, not {seed!r}")
            return 0
        return seed

    def _platform(self) -> Any:
        section = self._section(("run",)) or {}
        offline = section.pop("offline", False)
        if not isinstance(offline, bool):
            self._wrong(("run", "offline"), f"must be true or false, not {offline!r}")
        self.offline = offline is True
        return self._make(("run",), "platforms", section, use=section.pop("on", "local"), use_key="on")

    def _component(self, section: str, required: bool = False) -> Any:
        if section not in self.document.values:
            if required:
                kind = SECTIONS[section]
                mend = f"[{section}] with use = one of: {', '.join(self.plugins.names(kind)) or 'none is installed'}."
                self._wrong((section,), "the section is missing", f"Add {mend}")
            return None
        values = self._section((section,))
        if values is None:
            return None
        if not required and values.get("use") == "none":
            return None
        return self._make((section,), SECTIONS[section], values, use=values.pop("use", None))

    def _promote(self) -> tuple[Any, ...]:
        tests = self.document.values.get("promote", [])
        if not isinstance(tests, list):
            self._wrong(("promote",), "must be a list of tables", "Write [[promote]] with two brackets.")
            return ()
        uses = [each.get("use") for each in tests if isinstance(each, dict)]
        owners: dict[str, Key] = {use: () for use in uses if isinstance(use, str)}
        made: list[Any] = []
        for index, _ in enumerate(tests):
            key: Key = ("promote", index)
            values = self._section(key)
            if values is None:
                continue
            use = values.pop("use", None)
            if use in self.plugins.names("promotion_presets"):
                preset = self._make(key, "promotion_presets", values, use=use)
                made += self._spread(key, preset, owners) if preset is not None else ()
            else:
                made.append(self._make(key, "promotion_tests", values, use=use))
        return tuple(made)

    def _spread(self, key: Key, preset: Any, owners: dict[str, Key]) -> list[Any]:
        """The tests of a preset without those that the recipe names itself, whose options are the recipe's own."""
        found = []
        for test in preset.tests():
            owner = owners.setdefault(test.name, key)
            if test.name not in self.plugins.names("promotion_tests"):
                # The plan travels as the text of its tests: one that nobody can name would be lost on the way.
                advice = self.plugins.advice("promotion_tests", test.name)
                self._wrong((*key, "use"), f"{preset.name!r} needs the promotion test {test.name!r}", advice)
            elif owner and owner != key:
                mend = f'Say its options in a [[promote]] of its own, with use = "{test.name}": they then count alone.'
                self._wrong((*key, "use"), f"{preset.name!r} and {_dotted(owner)} both bring {test.name!r}", mend)
            elif owner:
                offline = self.offline and any(field.name == "offline" for field in fields(test))
                found.append(replace(test, offline=True) if offline else test)
        return found

    def _engine(self, backbone: Any, deploy: Any) -> None:
        """What is to answer must be made: that it is missing would show when everything is trained and tested."""
        wanted = getattr(deploy, "engine", NATIVE)
        if backbone is None or wanted in (NATIVE, AUTO, *getattr(backbone, "engines", ())):
            return
        said = f"the backbone {backbone.name!r} is not asked for an engine {wanted!r}"
        can = "Set backbone.engines to make it" if isinstance(backbone, Exporting) else "It has none"
        self._wrong(("deploy", "engine"), said, f"{can}; or --set deploy.engine={NATIVE}.")

    def _plain(self, section: str, component: type[Any]) -> Any:
        """A section that has only one meaning, and so no `use`."""
        values = self._section((section,)) if section in self.document.values else {}
        return None if values is None else self._build((section,), component, values)

    def _class_of(self, section: str) -> Any:
        """The component class a section names, even when its options are wrong."""
        values = self.document.values.get(section)
        use = values.get("use") if isinstance(values, dict) else None
        return self.plugins.find(SECTIONS[section], use) if use in self.plugins.names(SECTIONS[section]) else None

    def _search(self, backbone: Any, made: Any, platform: Any) -> Search | None:
        values = self._section(("search",)) if "search" in self.document.values else {}
        if values is None:
            return None
        policy, space = values.pop("policy", None), values.pop("space", {})
        if policy is not None:
            policy = self._policy(policy)
        confirm = self._confirm(values.pop("confirm", False), platform)
        dimensions = self._space(space, backbone, made)
        search = self._build(("search",), Search, values)
        if search is None or dimensions is None:
            return None
        if search.sampler == "grid":
            for name, dimension in dimensions.items():
                if size(dimension) is None:
                    mend = 'List its values, give the range a step, or use sampler = "random" or "tpe".'
                    self._wrong(("search", "space", name), "a grid cannot hold a continuous range", mend)
        return replace(search, space=dimensions, confirm=confirm, **({"policy": policy} if policy is not None else {}))

    def _confirm(self, value: Any, platform: Any) -> Confirm | None:
        key: Key = ("search", "confirm")
        if value is False:
            return None
        if value is not True and not isinstance(value, dict):
            self._wrong(key, f"must be a table, true or false, not {value!r}", "For example { top = 3, seeds = 3 }.")
            return None
        if platform is not None and not getattr(platform, "confirms", False):
            said = f"the platform {platform.name!r} cannot train trials again with other seeds"
            self._wrong(key, said, "Take it out (--set search.confirm=false), or run on a platform that can.")
        return self._build(key, Confirm, {} if value is True else value)

    def _policy(self, value: Any) -> Any:
        key: Key = ("search", "policy")
        by_name = {each.name: each for each in POLICIES}
        values = {"use": value} if isinstance(value, str) else value
        if not isinstance(values, dict):
            self._wrong(key, f"must name a policy, not {value!r}", 'For example { use = "median" }.')
            return None
        values = dict(values)
        use = values.pop("use", None)
        if use not in by_name:
            said = f"no policy is named {use!r}" if use is not None else "`use` is missing"
            self._wrong((*key, "use"), said, f"The policies are {', '.join(by_name)}.")
            return None
        return self._build(key, by_name[use], values)

    def _space(self, value: Any, backbone: Any, made: Any) -> dict[str, Dimension] | None:
        key: Key = ("search", "space")
        if isinstance(value, str):
            value = {"use": value}
        if not isinstance(value, dict):
            self._wrong(
                key, f"must be a table of fields to search, not {value!r}", "For example space.epochs = [2, 3]."
            )
            return None
        values = dict(value)
        dimensions: dict[str, Dimension] = {}
        if (use := values.pop("use", None)) is not None:
            component = self._find(key, "search_spaces", use, "use")
            if component is None:
                return None
            own = options.names(component)
            space = self._build(key, component, {name: values.pop(name) for name in list(values) if name in own})
            if space is None:
                return None
            dimensions.update(space.dimensions())
        for name, given in values.items():
            try:
                dimensions[name] = parse(given)
            except ValueError as error:
                self._wrong((*key, name), str(error))
        for name in dimensions:
            if ("backbone", name) in self.document.given:
                said = "the field is searched, so this value would never be used"
                self._wrong(("backbone", name), said, f"Give --set search.space.{name}=[…] instead.")
        if backbone is None:
            return dimensions
        return {name: self._fitting(name, each, backbone, made, use) for name, each in dimensions.items()}

    def _fitting(self, name: str, dimension: Dimension, backbone: Any, made: Any, use: str | None) -> Dimension:
        """The dimension with its values converted to the backbone field's type; mistakes are noted."""
        key: Key = ("search", "space", name)
        known = [each.name for each in fields(backbone) if each.init]
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            origin = f" (from the search space {use!r})" if use and key not in self.document.lines else ""
            mend = f"Did you mean {near[0]!r}?" if near else f"It has {', '.join(known)}."
            self._wrong(key, f"the backbone {backbone.name!r} has no field {name!r} to search{origin}", mend)
            return dimension
        converted = []
        for value in ends(dimension):
            given = options.placed(backbone, name, options.plain(value), self.document.base_of(key))
            try:
                fitting = options.convert(backbone, {name: given}, partial=True)
                if made is not None:
                    replace(made, **fitting)
                converted.append(fitting[name])
            except options.Mistakes as mistakes:
                self._wrong(key, f"{value!r} does not fit: {mistakes.found[0].what}")
            except ValueError as error:
                self._wrong(key, f"{value!r} does not fit: {error}")
        if isinstance(dimension, Choice) and len(converted) == len(dimension.values):
            return Choice(tuple(converted))
        return dimension

    # ---------------------------------------------------------------------------------------- components

    def _section(self, key: Key) -> dict[str, Any] | None:
        value: Any = self.document.values
        for part in key:
            value = value.get(part, {}) if isinstance(value, dict) else value[part]
        if not isinstance(value, dict):
            self._wrong(key, f"must be a table, not {value!r}", f"Write [{_dotted(key)}] and its keys below it.")
            return None
        return dict(value)

    def _make(self, key: Key, kind: str, values: dict[str, Any], use: Any, use_key: str = "use") -> Any:
        """The component a section names, made of the section and of its own sub-table."""
        if use is None:
            names = ", ".join(self.plugins.choices(kind)) or "none is installed"
            self._wrong(key, f"`{use_key}` is missing: it names the {kind_noun(kind)}", f"One of: {names}.")
            return None
        component = self._find(key, kind, use, use_key)
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
        return self._build(key, component, values)

    def _find(self, key: Key, kind: str, use: Any, use_key: str) -> Any:
        if isinstance(use, str) and use in self.plugins.names(kind):
            return self.plugins.find(kind, use)
        advice = self.plugins.advice(kind, str(use))
        self._wrong((*key, use_key), f"no {kind_noun(kind)} named {use!r} is installed", advice)
        return None

    def _build(self, key: Key, component: type[Any], values: dict[str, Any]) -> Any:
        placed = {
            name: options.placed(component, name, value, self.document.base_of((*key, name)))
            for name, value in values.items()
        }
        try:
            return options.build(component, placed)
        except options.Mistakes as mistakes:
            for each in mistakes.found:
                self._wrong((*key, *each.path), each.what, each.mend)
        return None

    def _check_only(self, key: Key, component: type[Any], values: dict[str, Any]) -> None:
        try:
            options.convert(component, values, partial=True)
        except options.Mistakes as mistakes:
            for each in mistakes.found:
                self._wrong((*key, *each.path), each.what, each.mend)

    def _known(self, values: Mapping[str, Any], known: Sequence[str]) -> None:
        for name in values:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                mend = f"Did you mean {near[0]!r}?" if near else f"A recipe has {', '.join(known)}."
                self._wrong(
                    (name,), "unknown section" if isinstance(values[name], dict | list) else "unknown key", mend
                )

    def _wrong(self, key: Key, what: str, mend: str = "") -> None:
        self.problems.append(Problem(self.document.where(key), _dotted(self.document.origin(key)), what, mend))


def _dotted(key: Key) -> str:
    return ".".join(map(str, key))
