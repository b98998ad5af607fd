"""From a recipe's document to its plan; all mistakes are reported, not only the first."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ftkit.contracts import (
    AUTO,
    CHAMPION,
    NATIVE,
    Distilling,
    Distributed,
    EngineChoosing,
    Exporting,
    MultiProcess,
    PromotionPreset,
    Refusing,
    Tasked,
    capable,
)
from ftkit.contracts.deciding import Decision
from ftkit.contracts.plan import Plan
from ftkit.contracts.settings import Rollout, Search
from ftkit.contracts.tasks import DEFAULT_METRICS
from ftkit.errors import Problem, VerbError
from ftkit.plugins import Plugins, tasks
from ftkit.recipe.backbone_section import BackboneSection, NamedBackbone
from ftkit.recipe.components import Sections, dotted
from ftkit.recipe.document import Document
from ftkit.recipe.plugin_choice import chosen_plugins
from ftkit.recipe.search_section import SearchSection
from ftkit.recipe.toml_lines import Key

KEYS = ("name", "seed", "dataset", "backbone", "search", "decision", "promote", "registry", "deploy", "rollout", "run")
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
        backbones = BackboneSection(self.document, self.plugins, self.sections).read()
        search = SearchSection(self.document, self.plugins, self.sections).read(backbones, platform)
        promote, sections_of_tests = self._promote()
        search = self._suited(dataset, backbones, search, promote, sections_of_tests)
        registry = self.sections.component("registry")
        deploy = self.sections.component("deploy")
        for each in backbones:
            self._check_engine(each, deploy)
            self._check_processes(each, platform)
            self._check_teacher(each, registry)
        decision = self.sections.settings("decision", Decision)
        rollout = self.sections.settings("rollout", Rollout)
        if self.problems or search is None:
            return None
        plan = Plan(
            name=name,
            seed=seed,
            dataset=dataset,
            backbone=backbones[0].component,
            backbones=tuple(each.component for each in backbones if each.searched_as),
            search=search,
            decision=decision,
            promote=promote,
            registry=registry,
            deploy=deploy,
            rollout=rollout,
            platform=platform,
            offline=self.sections.offline,
            plugins=chosen_plugins(self.document),
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
        section.pop("plugins", None)  # it was read before any plugin was imported
        return self.sections.make(("run",), "platforms", section, use=section.pop("on", "local"), use_key="on")

    def _suited(
        self,
        dataset: Any,
        backbones: Sequence[NamedBackbone],
        search: Search | None,
        tests: tuple[Any, ...],
        sections_of_tests: list[Key],
    ) -> Search | None:
        """The search with the metric of the task, where the data set says its task; what does not suit it is reported."""
        if search is None or not capable(dataset, Tasked):
            return search
        if (task := self.sections.asked(("dataset", "use"), Tasked.task, dataset)) is None:
            return search
        if "metric" not in (self.sections.table(("search",)) or {}):
            search = replace(search, metric=DEFAULT_METRICS[task])
        try:
            fields, made = tasks.text_fields(dataset), [each.component for each in backbones]
            for each in tasks.unsuited(task, made, search, tests, fields):
                section = () if each.test is None else sections_of_tests[each.test]
                self.sections.report_problem((*section, *each.key), each.what, each.hint)
        except VerbError as error:
            self.sections.report_problem(("dataset", "use"), error.what, error.hint)
        return search

    def _promote(self) -> tuple[tuple[Any, ...], list[Key]]:
        """The promotion tests, and the section that brings each; None for a test that cannot be made."""
        tests = self.document.values.get("promote", [])
        if not isinstance(tests, list):
            self.sections.report_problem(
                ("promote",), "must be a list of tables", "Write [[promote]] with two brackets."
            )
            return (), []
        uses = [section.get("use") for section in tests if isinstance(section, dict)]
        owners: dict[str, Key] = {use: () for use in uses if isinstance(use, str)}
        promotion_tests: list[Any] = []
        sections: list[Key] = []
        for index, _ in enumerate(tests):
            key: Key = ("promote", index)
            values = self.sections.table(key)
            if values is None:
                continue
            use = values.pop("use", None)
            if isinstance(use, str) and use in self.plugins.names("promotion_presets"):
                preset = self.sections.make(key, "promotion_presets", values, use=use)
                promotion_tests += self._tests_of_preset(key, preset, owners) if preset is not None else ()
            else:
                test = self.sections.make(key, "promotion_tests", values, use=use)
                if test is not None and test in promotion_tests:
                    what = f"the test {test.name!r} is there twice, with the same options"
                    self.sections.report_problem(key, what, "Remove one of them, or change its options.")
                promotion_tests.append(test)
            sections += [key] * (len(promotion_tests) - len(sections))
        return tuple(promotion_tests), sections

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

    def _check_engine(self, backbone: NamedBackbone, deploy: Any) -> None:
        """Refuse an engine that will not be exported: otherwise the run would fail only after training and testing."""
        wanted = self.sections.declared(("deploy", "use"), EngineChoosing, EngineChoosing.engine, deploy, NATIVE)
        made = backbone.component
        exported = self.sections.declared(backbone.named_at, Exporting, Exporting.engines, made, tuple[str, ...]())
        if made is None or exported is None or wanted in (None, NATIVE, AUTO, *exported):
            return
        if capable(made, Exporting):
            section = dotted(backbone.key)
            what = f"the engine {wanted!r} is not in {section}.engines, so the model would not have it"
            hint = f"Add it to {section}.engines, or give --set deploy.engine={NATIVE}."
        else:
            what = f"the backbone {made.name!r} has no engine {wanted!r}"
            hint = f"Give --set deploy.engine={NATIVE}."
        self.sections.report_problem(("deploy", "engine"), what, hint)

    def _check_processes(self, backbone: NamedBackbone, platform: Any) -> None:
        """Refuse several processes for a backbone that would train a model in each of them."""
        count = self.sections.declared(("run", "on"), MultiProcess, MultiProcess.processes, platform, 1)
        made = backbone.component
        can = self.sections.declared(backbone.named_at, Distributed, Distributed.distributed, made, False)
        if count is not None and count > 1 and made is not None and can is False:
            what = f"the backbone {made.name!r} cannot train one model in {count} processes"
            self.sections.report_problem(
                ("run", "processes"), what, "Set it to 1; several trials at a time use several cores too."
            )

    def _check_teacher(self, backbone: NamedBackbone, registry: Any) -> None:
        """Refuse the champion as a teacher where there is no registry that could have one."""
        teacher = self.sections.declared(backbone.named_at, Distilling, Distilling.teacher, backbone.component, None)
        if teacher == CHAMPION and registry is None:
            what = "there is no [registry], and so no champion to learn from"
            self.sections.report_problem(
                (*backbone.key, "teacher"), what, "Add a [registry], or set it to the folder of a bundle."
            )

    def _check_keys(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            if name not in KEYS:
                near = difflib.get_close_matches(name, KEYS, 1)
                hint = f"Did you mean {near[0]!r}?" if near else f"A recipe has {', '.join(KEYS)}."
                what = "unknown section" if isinstance(value, dict | list) else "unknown key"
                self.sections.report_problem((name,), what, hint)
