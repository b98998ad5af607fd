"""The section `[search]`: its settings, its policy, its repeats and its space."""

from __future__ import annotations

import difflib
from dataclasses import fields, replace
from typing import Any

from ftkit import options
from ftkit.contracts import Checkpointing, Confirming, Resumable, Searching, SearchSpace, capable
from ftkit.contracts.policies import POLICIES
from ftkit.contracts.settings import Confirm, Search
from ftkit.contracts.space import Choice, Dimension, ends, parse, size
from ftkit.errors import PluginError
from ftkit.plugins import Plugins
from ftkit.recipe.components import Sections
from ftkit.recipe.document import Document
from ftkit.recipe.toml_lines import Key


class SearchSection:
    """Reads the section of one document; what is wrong is added to the problems of `sections`."""

    def __init__(self, document: Document, plugins: Plugins, sections: Sections) -> None:
        self.document = document
        self.plugins = plugins
        self.sections = sections

    def read(self, backbone_class: Any, backbone: Any, platform: Any) -> Search | None:
        """The search section; `backbone` is None where its options are wrong, `backbone_class` where its name is."""
        values = self.sections.table(("search",)) if "search" in self.document.values else {}
        if values is None:
            return None
        policy, space = values.pop("policy", None), values.pop("space", {})
        if policy is not None:
            policy = self._policy(policy)
        confirm = self._confirm(values.pop("confirm", False), platform)
        if "checkpoint" in values:
            self._check_checkpoint(backbone, platform)
        self._check_platform(values, platform)
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

    def _check_platform(self, values: dict[str, Any], platform: Any) -> None:
        """Refuse what a platform that searches in a way of its own would not obey."""
        if (
            platform is None
            or self.sections.declared(("run", "on"), Searching, Searching.searches, platform, False) is not False
        ):
            return
        for name, verb in (
            ("max_minutes", "ends no search by a budget"),
            ("max_cost", "ends no search by a budget"),
            ("start_from", "starts no search from an earlier run"),
        ):
            if name in values:
                what = f"the platform {platform.name!r} {verb}"
                self.sections.report_problem(("search", name), what, "Remove the line, or run on another platform.")

    def _check_checkpoint(self, backbone: Any, platform: Any) -> None:
        """Refuse checkpoints inside trials where nobody would write them."""
        key: Key = ("search", "checkpoint")
        writes = self.sections.declared(("run", "on"), Checkpointing, Checkpointing.checkpoints, platform, False)
        if platform is not None and writes is False:
            what = f"a trial of the platform {platform.name!r} cannot go on from a checkpoint"
            self.sections.report_problem(key, what, "Remove the line, or run on another platform.")
        if backbone is not None and not capable(backbone, Resumable):
            what = f"a training of the backbone {backbone.name!r} cannot go on from a checkpoint"
            self.sections.report_problem(key, what, "Remove the line.")

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
