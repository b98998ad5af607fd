"""From a recipe's document to its plan, noting every mistake instead of stopping at the first."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from ftkit import options
from ftkit.contracts import AUTO, NATIVE, Confirming, EngineChoosing, Exporting, Refusing
from ftkit.contracts.capabilities import offline
from ftkit.contracts.plan import Plan
from ftkit.contracts.settings import POLICIES, Confirm, Rollout, Search
from ftkit.contracts.space import Choice, Dimension, ends, parse, size
from ftkit.errors import Problem
from ftkit.plugins import Plugins
from ftkit.recipe.components import Sections, dotted
from ftkit.recipe.document import Document
from ftkit.recipe.toml_lines import Key

KEYS = ("name", "seed", "dataset", "backbone", "search", "promote", "registry", "deploy", "rollout", "run")
"""What a recipe may have at its top."""


class Reader:
    """Turns a document into a plan, noting every mistake instead of stopping at the first."""

    def __init__(self, document: Document, plugins: Plugins, problems: list[Problem]) -> None:
        self.document = document
        self.plugins = plugins
        self.problems = problems
        self.sections = Sections(document, plugins, problems)

    def plan(self) -> Plan | None:
        values = self.document.values
        self._known(values, KEYS)
        name = self._name(values.get("name"))
        seed = self._seed(values.get("seed", 0))
        platform = self._platform()
        dataset = self.sections.component("dataset", required=True)
        backbone = self.sections.component("backbone", required=True)
        search = self._search(self.sections.class_of("backbone"), backbone, platform)
        promote = self._promote()
        registry = self.sections.component("registry")
        deploy = self.sections.component("deploy")
        self._engine(backbone, deploy)
        rollout = self.sections.plain("rollout", Rollout)
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
            offline=self.sections.offline,
        )
        for each in platform.refusals(plan) if isinstance(platform, Refusing) else ():
            self.sections.wrong(each.path, each.what, each.hint)
        return plan

    def _name(self, name: Any) -> str:
        if name is None:
            name = Path(self.document.file).stem
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
            said = "must be text of letters, digits, dots, dashes and underscores, beginning with a letter or digit"
            self.sections.wrong(("name",), said, 'For example name = "bert_automotive".')
            return ""
        return name

    def _seed(self, seed: Any) -> int:
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**31:
            self.sections.wrong(("seed",), f"must be a whole number from 0 to {2**31 - 1}, not {seed!r}")
            return 0
        return seed

    def _platform(self) -> Any:
        section = self.sections.table(("run",)) or {}
        offline = section.pop("offline", False)
        if not isinstance(offline, bool):
            self.sections.wrong(("run", "offline"), f"must be true or false, not {offline!r}")
        self.sections.offline = offline is True
        return self.sections.make(("run",), "platforms", section, use=section.pop("on", "local"), use_key="on")

    def _promote(self) -> tuple[Any, ...]:
        tests = self.document.values.get("promote", [])
        if not isinstance(tests, list):
            self.sections.wrong(("promote",), "must be a list of tables", "Write [[promote]] with two brackets.")
            return ()
        uses = [each.get("use") for each in tests if isinstance(each, dict)]
        owners: dict[str, Key] = {use: () for use in uses if isinstance(use, str)}
        made: list[Any] = []
        for index, _ in enumerate(tests):
            key: Key = ("promote", index)
            values = self.sections.table(key)
            if values is None:
                continue
            use = values.pop("use", None)
            if use in self.plugins.names("promotion_presets"):
                preset = self.sections.make(key, "promotion_presets", values, use=use)
                made += self._spread(key, preset, owners) if preset is not None else ()
            else:
                made.append(self.sections.make(key, "promotion_tests", values, use=use))
        return tuple(made)

    def _spread(self, key: Key, preset: Any, owners: dict[str, Key]) -> list[Any]:
        """The tests of a preset without those that the recipe names itself, whose options are the recipe's own."""
        found = []
        for test in preset.tests():
            owner = owners.setdefault(test.name, key)
            if test.name not in self.plugins.names("promotion_tests"):
                # The plan travels as the text of its tests: one that nobody can name would be lost on the way.
                advice = self.plugins.advice("promotion_tests", test.name)
                self.sections.wrong((*key, "use"), f"{preset.name!r} needs the promotion test {test.name!r}", advice)
            elif owner and owner != key:
                hint = f'Say its options in a [[promote]] of its own, with use = "{test.name}": they then count alone.'
                self.sections.wrong(
                    (*key, "use"), f"{preset.name!r} and {dotted(owner)} both bring {test.name!r}", hint
                )
            elif owner:
                found.append(offline(test) if self.sections.offline else test)
        return found

    def _engine(self, backbone: Any, deploy: Any) -> None:
        """What is to answer must be made: that it is missing would show when everything is trained and tested."""
        wanted = deploy.engine if isinstance(deploy, EngineChoosing) else NATIVE
        exported = backbone.engines if isinstance(backbone, Exporting) else ()
        if backbone is None or wanted in (NATIVE, AUTO, *exported):
            return
        said = f"the backbone {backbone.name!r} is not asked for an engine {wanted!r}"
        can = "Set backbone.engines to make it" if isinstance(backbone, Exporting) else "It has none"
        self.sections.wrong(("deploy", "engine"), said, f"{can}; or --set deploy.engine={NATIVE}.")

    def _search(self, backbone: Any, made: Any, platform: Any) -> Search | None:
        values = self.sections.table(("search",)) if "search" in self.document.values else {}
        if values is None:
            return None
        policy, space = values.pop("policy", None), values.pop("space", {})
        if policy is not None:
            policy = self._policy(policy)
        confirm = self._confirm(values.pop("confirm", False), platform)
        dimensions = self._space(space, backbone, made)
        search = self.sections.build(("search",), Search, values)
        if search is None or dimensions is None:
            return None
        if search.sampler == "grid":
            for name, dimension in dimensions.items():
                if size(dimension) is None:
                    hint = 'List its values, give the range a step, or use sampler = "random" or "tpe".'
                    self.sections.wrong(("search", "space", name), "a grid cannot hold a continuous range", hint)
        return replace(search, space=dimensions, confirm=confirm, **({"policy": policy} if policy is not None else {}))

    def _confirm(self, value: Any, platform: Any) -> Confirm | None:
        key: Key = ("search", "confirm")
        if value is False:
            return None
        if value is not True and not isinstance(value, dict):
            self.sections.wrong(
                key, f"must be a table, true or false, not {value!r}", "For example { top = 3, seeds = 3 }."
            )
            return None
        if platform is not None and not (isinstance(platform, Confirming) and platform.confirms):
            said = f"the platform {platform.name!r} cannot train trials again with other seeds"
            self.sections.wrong(key, said, "Take it out (--set search.confirm=false), or run on a platform that can.")
        return self.sections.build(key, Confirm, {} if value is True else value)

    def _policy(self, value: Any) -> Any:
        key: Key = ("search", "policy")
        by_name = {each.name: each for each in POLICIES}
        values = {"use": value} if isinstance(value, str) else value
        if not isinstance(values, dict):
            self.sections.wrong(key, f"must name a policy, not {value!r}", 'For example { use = "median" }.')
            return None
        values = dict(values)
        use = values.pop("use", None)
        if use not in by_name:
            said = f"no policy is named {use!r}" if use is not None else "`use` is missing"
            self.sections.wrong((*key, "use"), said, f"The policies are {', '.join(by_name)}.")
            return None
        return self.sections.build(key, by_name[use], values)

    def _space(self, value: Any, backbone: Any, made: Any) -> dict[str, Dimension] | None:
        key: Key = ("search", "space")
        if isinstance(value, str):
            value = {"use": value}
        if not isinstance(value, dict):
            self.sections.wrong(
                key, f"must be a table of fields to search, not {value!r}", "For example space.epochs = [2, 3]."
            )
            return None
        values = dict(value)
        dimensions: dict[str, Dimension] = {}
        if (use := values.pop("use", None)) is not None:
            component = self.sections.find(key, "search_spaces", use, "use")
            if component is None:
                return None
            own = options.names(component)
            space = self.sections.build(
                key, component, {name: values.pop(name) for name in list(values) if name in own}
            )
            if space is None:
                return None
            dimensions.update(space.dimensions())
        for name, given in values.items():
            try:
                dimensions[name] = parse(given)
            except ValueError as error:
                self.sections.wrong((*key, name), str(error))
        for name in dimensions:
            if ("backbone", name) in self.document.given:
                said = "the field is searched, so this value would never be used"
                self.sections.wrong(("backbone", name), said, f"Give --set search.space.{name}=[…] instead.")
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
            hint = f"Did you mean {near[0]!r}?" if near else f"It has {', '.join(known)}."
            self.sections.wrong(key, f"the backbone {backbone.name!r} has no field {name!r} to search{origin}", hint)
            return dimension
        converted = []
        for value in ends(dimension):
            given = options.resolve_paths(backbone, name, options.toml_value(value), self.document.base_of(key))
            try:
                fitting = options.convert(backbone, {name: given}, partial=True)
                if made is not None:
                    replace(made, **fitting)
                converted.append(fitting[name])
            except options.Mistakes as mistakes:
                self.sections.wrong(key, f"{value!r} does not fit: {mistakes.mistakes[0].what}")
            except ValueError as error:
                self.sections.wrong(key, f"{value!r} does not fit: {error}")
        if isinstance(dimension, Choice) and len(converted) == len(dimension.values):
            return Choice(tuple(converted))
        return dimension

    def _known(self, values: Mapping[str, Any], known: Sequence[str]) -> None:
        for name in values:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f"Did you mean {near[0]!r}?" if near else f"A recipe has {', '.join(known)}."
                self.sections.wrong(
                    (name,), "unknown section" if isinstance(values[name], dict | list) else "unknown key", hint
                )
