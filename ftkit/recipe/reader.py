"""From a recipe's document to its plan; all mistakes are reported, not only the first."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from ftkit import options
from ftkit.contracts import (
    AUTO,
    NATIVE,
    Confirming,
    EngineChoosing,
    Exporting,
    PromotionPreset,
    Refusing,
    SearchSpace,
    capable,
)
from ftkit.contracts.plan import Plan
from ftkit.contracts.policies import POLICIES
from ftkit.contracts.settings import Confirm, Rollout, Search
from ftkit.contracts.space import Choice, Dimension, ends, parse, size
from ftkit.errors import PluginError, Problem
from ftkit.plugins import Plugins
from ftkit.recipe.components import Sections, dotted
from ftkit.recipe.document import Document
from ftkit.recipe.toml_lines import Key

KEYS = ("name", "seed", "dataset", "backbone", "search", "promote", "registry", "deploy", "rollout", "run")
"""The sections and keys at the top of a recipe."""


class Reader:
    """Makes the plan of one document."""

    def __init__(self, document: Document, plugins: Plugins, problems: list[Problem]) -> None:
        self.document = document
        self.plugins = plugins
        self.problems = problems
        self.sections = Sections(document, plugins, problems)

    def plan(self) -> Plan | None:
        """The plan, or None with `problems` where something is wrong."""
        values = self.document.values
        self._check_keys(values)
        name = self._name(values.get("name"))
        seed = self._seed(values.get("seed", 0))
        platform = self._platform()
        dataset = self.sections.component("dataset", required=True)
        backbone = self.sections.component("backbone", required=True)
        search = self._search(self.sections.class_of("backbone"), backbone, platform)
        promote = self._promote()
        registry = self.sections.component("registry")
        deploy = self.sections.component("deploy")
        self._check_engine(backbone, deploy)
        rollout = self.sections.settings("rollout", Rollout)
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
            missing=tuple(self.sections.missing),
        )
        if capable(platform, Refusing):
            for mistake in self.sections.asked(("run", "on"), Refusing.refusals, platform, plan) or ():
                self.sections.report_problem(mistake.path, mistake.what, mistake.hint)
        return plan

    def _name(self, name: Any) -> str:
        if name is None:
            name = Path(self.document.file).stem
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
            what = "must consist of letters, digits, dots, dashes and underscores, and begin with a letter or digit"
            self.sections.report_problem(("name",), what, 'For example name = "bert_automotive".')
            return ""
        return name

    def _seed(self, seed: Any) -> int:
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**31:
            self.sections.report_problem(("seed",), f"must be a whole number from 0 to {2**31 - 1}, not {seed!r}")
            return 0
        return seed

    def _platform(self) -> Any:
        section = self.sections.table(("run",)) or {}
        is_offline = section.pop("offline", False)
        if not isinstance(is_offline, bool):
            self.sections.report_problem(("run", "offline"), f"must be true or false, not {is_offline!r}")
        self.sections.offline = is_offline is True
        return self.sections.make(("run",), "platforms", section, use=section.pop("on", "local"), use_key="on")

    def _promote(self) -> tuple[Any, ...]:
        tests = self.document.values.get("promote", [])
        if not isinstance(tests, list):
            self.sections.report_problem(
                ("promote",), "must be a list of tables", "Write [[promote]] with two brackets."
            )
            return ()
        uses = [section.get("use") for section in tests if isinstance(section, dict)]
        owners: dict[str, Key] = {use: () for use in uses if isinstance(use, str)}
        promotion_tests: list[Any] = []
        for index, _ in enumerate(tests):
            key: Key = ("promote", index)
            values = self.sections.table(key)
            if values is None:
                continue
            use = values.pop("use", None)
            if use in self.plugins.names("promotion_presets"):
                preset = self.sections.make(key, "promotion_presets", values, use=use)
                promotion_tests += self._tests_of_preset(key, preset, owners) if preset is not None else ()
            else:
                test = self.sections.make(key, "promotion_tests", values, use=use)
                if test is not None and test in promotion_tests:
                    what = f"the test {test.name!r} is there twice, with the same options"
                    self.sections.report_problem(key, what, "Remove one of them, or change its options.")
                promotion_tests.append(test)
        return tuple(promotion_tests)

    def _tests_of_preset(self, key: Key, preset: Any, owners: dict[str, Key]) -> list[Any]:
        """The tests of a preset without those that have a [[promote]] section of their own.

        `owners` has the section that brings each test, or () for a test with a section of its own.
        """
        tests: list[Any] = []
        for test in self.sections.asked((*key, "use"), PromotionPreset.tests, preset) or ():
            owner = owners.setdefault(test.name, key)
            if test.name in {each.name for each in tests}:
                hint = f'Add a [[promote]] with use = "{test.name}": it then replaces both.'
                self.sections.report_problem((*key, "use"), f"{preset.name!r} brings {test.name!r} twice", hint)
            elif test.name not in self.plugins.names("promotion_tests"):
                # The plan is sent elsewhere as text, which names its tests: each must be installed under its name.
                advice = self.plugins.advice("promotion_tests", test.name)
                what = f"{preset.name!r} needs the promotion test {test.name!r}"
                broken = bool(self.plugins.suspects("promotion_tests", test.name))
                self.sections.report_problem((*key, "use"), what, advice, plugin=broken)
            elif owner and owner != key:
                hint = f'Add a [[promote]] with use = "{test.name}": it then replaces both.'
                self.sections.report_problem(
                    (*key, "use"), f"{preset.name!r} and {dotted(owner)} both bring {test.name!r}", hint
                )
            elif owner:
                tests.append(self.sections.set_offline((*key, "use"), test))
        return tests

    def _check_engine(self, backbone: Any, deploy: Any) -> None:
        """Refuse an engine that will not be exported: otherwise the run would fail only after training and testing."""
        wanted = self.sections.declared(("deploy", "use"), EngineChoosing, EngineChoosing.engine, deploy, NATIVE)
        exported = self.sections.declared(("backbone", "use"), Exporting, Exporting.engines, backbone, ())
        if backbone is None or exported is None or wanted in (None, NATIVE, AUTO, *exported):
            return
        if capable(backbone, Exporting):
            what = f"the engine {wanted!r} is not in backbone.engines, so the model would not have it"
            hint = f"Add it to backbone.engines, or give --set deploy.engine={NATIVE}."
        else:
            what = f"the backbone {backbone.name!r} has no engine {wanted!r}"
            hint = f"Give --set deploy.engine={NATIVE}."
        self.sections.report_problem(("deploy", "engine"), what, hint)

    def _search(self, backbone_class: Any, backbone: Any, platform: Any) -> Search | None:
        """The search section; `backbone` is None where its options are wrong, `backbone_class` where its name is."""
        values = self.sections.table(("search",)) if "search" in self.document.values else {}
        if values is None:
            return None
        policy, space = values.pop("policy", None), values.pop("space", {})
        if policy is not None:
            policy = self._policy(policy)
        confirm = self._confirm(values.pop("confirm", False), platform)
        dimensions = self._space(space, backbone_class, backbone)
        search = self.sections.build(("search",), Search, values)
        if search is None or dimensions is None:
            return None
        if search.sampler == "grid":
            for name, dimension in dimensions.items():
                if size(dimension) is None:
                    hint = 'List its values, give the range a step, or use sampler = "random" or "tpe".'
                    self.sections.report_problem(
                        ("search", "space", name), "the grid sampler cannot search a continuous range", hint
                    )
        return replace(search, space=dimensions, confirm=confirm, **({"policy": policy} if policy is not None else {}))

    def _confirm(self, value: Any, platform: Any) -> Confirm | None:
        key: Key = ("search", "confirm")
        if value is False:
            return None
        if value is not True and not isinstance(value, dict):
            what = f"must be a table, true or false, not {value!r}"
            self.sections.report_problem(key, what, "For example { top = 3, seeds = 3 }.")
            return None
        confirms = self.sections.declared(("run", "on"), Confirming, Confirming.confirms, platform, False)
        if platform is not None and confirms is False:
            what = f"the platform {platform.name!r} cannot train trials again with other seeds"
            self.sections.report_problem(key, what, "Give --set search.confirm=false, or run on another platform.")
        return self.sections.build(key, Confirm, {} if value is True else value)

    def _policy(self, value: Any) -> Any:
        key: Key = ("search", "policy")
        by_name = {policy.name: policy for policy in POLICIES}
        values = {"use": value} if isinstance(value, str) else value
        if not isinstance(values, dict):
            self.sections.report_problem(key, f"must name a policy, not {value!r}", 'For example { use = "median" }.')
            return None
        values = dict(values)
        use = values.pop("use", None)
        if use not in by_name:
            what = f"no policy is named {use!r}" if use is not None else "`use` is missing"
            self.sections.report_problem((*key, "use"), what, f"The policies are {', '.join(by_name)}.")
            return None
        return self.sections.build(key, by_name[use], values)

    def _space(self, value: Any, backbone_class: Any, backbone: Any) -> dict[str, Dimension] | None:
        """The dimensions by field: those of the ready-made space in `use`, and those beside it, which replace them."""
        key: Key = ("search", "space")
        if isinstance(value, str):
            value = {"use": value}
        if not isinstance(value, dict):
            what = f"must be a table of fields to search, not {value!r}"
            self.sections.report_problem(key, what, "For example space.epochs = [2, 3].")
            return None
        values = dict(value)
        dimensions: dict[str, Dimension] = {}
        if (use := values.pop("use", None)) is not None:
            component = self.sections.find(key, "search_spaces", use, "use")
            if component is None:
                return None
            option_names = [name for name in values if name in options.names(component)]
            space = self.sections.build(key, component, {name: values.pop(name) for name in option_names})
            if space is None:
                return None
            ready_made = self.sections.asked((*key, "use"), SearchSpace.dimensions, space)
            if ready_made is None:
                return None
            dimensions.update(ready_made)
        for name, written in values.items():
            try:
                dimensions[name] = parse(written)
            except ValueError as error:
                self.sections.report_problem((*key, name), str(error))
        for name in dimensions:
            if ("backbone", name) in self.document.overridden:
                what = "the field is searched, so this value would never be used"
                self.sections.report_problem(("backbone", name), what, f"Use --set search.space.{name}=[…] instead.")
        if backbone_class is None:
            return dimensions
        return {
            name: self._converted(name, dimension, backbone_class, backbone, use)
            for name, dimension in dimensions.items()
        }

    def _converted(
        self, name: str, dimension: Dimension, backbone_class: Any, backbone: Any, use: str | None
    ) -> Dimension:
        """The dimension with its values in the type of the backbone's field; values that do not fit are reported."""
        key: Key = ("search", "space", name)
        known = [field.name for field in fields(backbone_class) if field.init]
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            origin = f" (from the search space {use!r})" if use and key not in self.document.lines else ""
            hint = f"Did you mean {near[0]!r}?" if near else f"Its fields are {', '.join(known)}."
            what = f"the backbone {backbone_class.name!r} has no field {name!r} to search{origin}"
            self.sections.report_problem(key, what, hint)
            return dimension
        converted = []
        for value in ends(dimension):
            base = self.document.base_folder(key)
            resolved = options.resolve_paths(backbone_class, name, options.toml_value(value), base)
            try:
                change = options.convert(backbone_class, {name: resolved}, partial=True)
                if backbone is not None:
                    options.changed(backbone, {name: resolved})  # the backbone's own checks
                converted.append(change[name])
            except options.Mistakes as error:
                self.sections.report_problem(key, f"{value!r} does not fit: {error.mistakes[0].what}")
            except PluginError as error:
                self.sections.report_problem(key, f"{value!r} cannot be checked: {error.what}", error.hint, plugin=True)
        if isinstance(dimension, Choice) and len(converted) == len(dimension.values):
            return Choice(tuple(converted))
        return dimension

    def _check_keys(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            if name not in KEYS:
                near = difflib.get_close_matches(name, KEYS, 1)
                hint = f"Did you mean {near[0]!r}?" if near else f"A recipe has {', '.join(KEYS)}."
                what = "unknown section" if isinstance(value, dict | list) else "unknown key"
                self.sections.report_problem((name,), what, hint)
