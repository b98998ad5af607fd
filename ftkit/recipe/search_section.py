"""The section `[search]`: its settings, its policy, its repeats and its space."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from ftkit import options
from ftkit.contracts import Checkpointing, Confirming, Resumable, Searching, SearchSpace, capable
from ftkit.contracts.backbones import FittedAtOnce
from ftkit.contracts.policies import POLICIES
from ftkit.contracts.settings import Confirm, Prefer, Search
from ftkit.contracts.space import BACKBONE, BackboneChoice, Choice, Dimension, ends, parse, size
from ftkit.errors import PluginError
from ftkit.plugins import Plugins
from ftkit.recipe.backbone_section import LISTED, NamedBackbone
from ftkit.recipe.components import Sections, dotted
from ftkit.recipe.document import Document
from ftkit.recipe.toml_lines import Key

SPACE: Key = ("search", "space")


class SearchSection:
    """Reads the section of one document; what is wrong is added to the problems of `sections`."""

    def __init__(self, document: Document, plugins: Plugins, sections: Sections) -> None:
        self.document = document
        self.plugins = plugins
        self.sections = sections

    def read(self, backbones: Sequence[NamedBackbone], platform: Any) -> Search | None:
        """The search section; what it asks of backbones is asked of each."""
        values = self.sections.table(("search",)) if "search" in self.document.values else {}
        if values is None:
            return None
        policy, space = values.pop("policy", None), values.pop("space", {})
        if policy is not None:
            policy = self._policy(policy)
        confirm = self._confirm(values.pop("confirm", False), platform)
        prefer = self._prefer(values.pop("prefer")) if "prefer" in values else None
        if "checkpoint" in values:
            self._check_checkpoint(backbones, platform)
        is_zoo = not backbones or bool(backbones[0].searched_as)
        asked = [*values, *(["space"] if is_zoo else []), *(["prefer"] if prefer else [])]
        self._check_platform(asked, platform)
        dimensions = self._spaces(space, backbones) if is_zoo else self._space(space, backbones[0])
        search = self.sections.build(("search",), Search, values)
        if search is None or dimensions is None:
            return None
        if search.sampler == "grid":
            for name, dimension in dimensions.items():
                if size(dimension) is None:
                    hint = 'List its values, give the range a step, or use sampler = "random" or "tpe".'
                    self.sections.report_problem(
                        self._key_of(name), "the grid sampler cannot search a continuous range", hint
                    )
        return replace(
            search,
            space=dimensions,
            confirm=confirm,
            prefer=prefer,
            **({"policy": policy} if policy is not None else {}),
        )

    def _check_platform(self, asked: Sequence[str], platform: Any) -> None:
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
            ("prefer", "keeps no other model than the best one to compare it with"),
            ("space", "searches the fields of one backbone"),
        ):
            if name in asked:
                what = f"the platform {platform.name!r} {verb}"
                key: Key = LISTED if name == "space" else ("search", name)
                self.sections.report_problem(key, what, "Remove the line, or run on another platform.")

    def _check_checkpoint(self, backbones: Sequence[NamedBackbone], platform: Any) -> None:
        """Refuse checkpoints inside trials where nobody would write them."""
        key: Key = ("search", "checkpoint")
        writes = self.sections.declared(("run", "on"), Checkpointing, Checkpointing.checkpoints, platform, False)
        if platform is not None and writes is False:
            what = f"a trial of the platform {platform.name!r} cannot go on from a checkpoint"
            self.sections.report_problem(key, what, "Remove the line, or run on another platform.")
        for each in backbones:
            at_once = self.sections.declared(
                each.named_at, FittedAtOnce, FittedAtOnce.fitted_at_once, each.component, False
            )
            at_once = at_once and bool(each.searched_as)
            if each.component is not None and not at_once and not capable(each.component, Resumable):
                what = f"a training of the backbone {each.component.name!r} cannot go on from a checkpoint"
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

    def _prefer(self, value: Any) -> Prefer | None:
        key: Key = ("search", "prefer")
        if not isinstance(value, dict):
            hint = 'For example { cheapest = "latency", within = 0.005 }.'
            self.sections.report_problem(key, f"must be a table, not {value!r}", hint)
            return None
        return self.sections.build(key, Prefer, value)

    def _policy(self, value: Any) -> Any:
        key: Key = ("search", "policy")
        by_name = {policy.name: policy for policy in POLICIES}
        values = {"use": value} if isinstance(value, str) else value
        if not isinstance(values, dict):
            self.sections.report_problem(key, f"must name a policy, not {value!r}", 'For example { use = "median" }.')
            return None
        values = dict(values)
        use = values.pop("use", None)
        if not isinstance(use, str) or use not in by_name:
            what = f"no policy is named {use!r}" if use is not None else "`use` is missing"
            self.sections.report_problem((*key, "use"), what, f"The policies are {', '.join(by_name)}.")
            return None
        return self.sections.build(key, by_name[use], values)

    def _spaces(self, value: Any, backbones: Sequence[NamedBackbone]) -> dict[str, Dimension] | None:
        """The dimensions of a search over several backbones: which one, and the fields of each.

        Fields directly in the space are for every backbone; those in the table of a backbone are for it alone, and replace them.
        """
        values = dict(value)  # it has the list of backbones, so it is a table
        names = tuple(each.searched_as for each in backbones)
        del values[BACKBONE]
        installed = self.plugins.names("backbones")
        own = {name: values.pop(name) for name in [*values] if name in (*names, *installed)}
        for name, table in own.items():
            if not isinstance(table, dict):
                what = f"must be a table of fields of the backbone {name!r} to search, not {table!r}"
                self.sections.report_problem((*SPACE, name), what, f"For example space.{name}.epochs = [2, 3].")
        for name, table in own.items():
            if name not in names and isinstance(table, dict):  # it is checked, and not searched at the moment
                unused = NamedBackbone((), (), name, self.sections.find((*SPACE, name), "backbones", name, "use"), None)
                self._space(table, unused, (*SPACE, name))
        dimensions: dict[str, Dimension] = {}
        complete = bool(backbones) and all(isinstance(table, dict) for table in own.values())
        for backbone in backbones:
            table = own.get(backbone.searched_as, {})
            key: Key = (*SPACE, backbone.searched_as)
            self.document.moved_from.update({(*key, name): (*SPACE, name) for name in values if name not in table})
            fields = self._space({**values, **table}, backbone, key) if isinstance(table, dict) else None
            complete = complete and fields is not None
            dimensions.update({f"{backbone.searched_as}.{name}": each for name, each in (fields or {}).items()})
        return {BACKBONE: BackboneChoice(names), **dimensions} if complete else None

    def _space(self, value: Any, backbone: NamedBackbone, key: Key = SPACE) -> dict[str, Dimension] | None:
        """The dimensions by field: those of the ready-made space in `use`, and those beside it, which replace them."""
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
            if self.document.written_key((*backbone.key, name)) in self.document.overridden:
                what = "the field is searched, so this value would never be used"
                self.sections.report_problem(
                    (*backbone.key, name), what, f"Use --set {dotted((*key, name))}=[…] instead."
                )
        if backbone.kind is None:
            return dimensions
        return {name: self._converted((*key, name), each, backbone, use) for name, each in dimensions.items()}

    def _key_of(self, dimension: str) -> Key:
        """Where a recipe has a dimension, by its name in the space."""
        backbone, _, field = dimension.rpartition(".")
        return (*SPACE, backbone, field) if backbone else (*SPACE, field)

    def _converted(self, key: Key, dimension: Dimension, named: NamedBackbone, use: str | None) -> Dimension:
        """The dimension with its values in the type of the backbone's field; values that do not fit are reported."""
        name, backbone_class, backbone = str(key[-1]), named.kind, named.component
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
