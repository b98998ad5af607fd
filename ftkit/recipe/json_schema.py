"""The JSON Schema of recipes for the installed plugins, with which editors complete and check TOML."""

from __future__ import annotations

from typing import Any

from ftkit import options
from ftkit import plugins as installed
from ftkit.contracts.deciding import Abstain, Decision
from ftkit.contracts.policies import POLICIES
from ftkit.contracts.settings import Confirm, Prefer, Rollout, Search
from ftkit.plugins import NAMED_ALIKE, SECTIONS, Plugins

_NUMBER = {"type": "number"}
_RANGE = {
    "type": "object",
    "description": "A range of values.",
    "properties": {"low": _NUMBER, "high": _NUMBER, "step": _NUMBER, "log": {"type": "boolean"}},
    "required": ["low", "high"],
    "additionalProperties": False,
}
_CHOICES = {"type": "array", "minItems": 1, "uniqueItems": True, "description": "The values to choose from."}
_SEARCHES_BACKBONES = {
    "properties": {"search": {"properties": {"space": {"required": ["backbone"]}}, "required": ["space"]}},
    "required": ["search"],
}

_DESCRIPTIONS = {
    "dataset": "Where the labelled texts come from.",
    "promote": "A promotion test, or a preset that brings several.",
    "backbone": "The encoder to fine-tune; every option is a hyperparameter that can be searched.",
    "registry": "Where promoted models are kept as versions.",
    "deploy": "Where the promoted model answers requests.",
    "run": "Where the run happens.",
}


def schema(plugins: Plugins | None = None) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a recipe, with every installed component's options."""
    plugins = (plugins or installed.load()).examined()
    definitions: dict[str, Any] = {}
    sections = {name: _section(name, kind, plugins, definitions) for name, kind in SECTIONS.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ftkit recipe",
        "type": "object",
        "properties": {
            "name": {
                "type": "string",
                "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
                "description": "The name of runs; by default the file's name.",
            },
            "seed": {
                "type": "integer",
                "minimum": 0,
                "default": 0,
                "description": "Determines the splits, the proposals of the search, and the training.",
            },
            "dataset": sections["dataset"],
            "backbone": {"description": _DESCRIPTIONS["backbone"]},
            "search": _search(plugins),
            "decision": _decision(),
            "promote": {
                "type": "array",
                "items": sections["promote"],
                "description": "Promotion tests; a model is promoted when none of them fails.",
            },
            "registry": sections["registry"],
            "deploy": sections["deploy"],
            "rollout": _closed(options.json_schema(Rollout)),
            "run": sections["run"],
        },
        "required": ["dataset"],
        "additionalProperties": False,
        "if": _SEARCHES_BACKBONES,
        "then": {"properties": {"backbone": _several_backbones(plugins)}},
        "else": {"properties": {"backbone": sections["backbone"]}, "required": ["backbone"]},
        "$defs": definitions,
    }


def _section(name: str, kind: str, plugins: Plugins, definitions: dict[str, Any]) -> dict[str, Any]:
    """A section whose `use` (for [run]: `on`) decides which options it has."""
    key = "on" if name == "run" else "use"
    names = plugins.choices(kind)
    absent = ["none"] if name in ("registry", "deploy") else []
    cases = []
    for use in names:
        its_kind = kind if use in plugins.names(kind) else NAMED_ALIKE[kind]
        body = options.json_schema(plugins.find(its_kind, use))
        definitions.update(body.pop("$defs", {}))
        properties = body.setdefault("properties", {})
        properties[key] = {"const": use, "description": body["description"]}
        if name == "run":
            properties["offline"] = {
                "type": "boolean",
                "default": False,
                "description": "Make no connection: data and weights must be on this machine.",
            }
            properties["plugins"] = {
                "type": "array",
                "items": {"type": "string"},
                "description": "The distributions whose plugins take part; without it all that are installed.",
            }
        for other in names:
            if other not in properties:
                properties[other] = {
                    "type": "object",
                    "description": f"Options for {other} only: they apply when it is used.",
                }
        definitions[f"{its_kind}.{use}"] = _closed(body)
        condition: dict[str, Any] = {"properties": {key: {"const": use}}}
        if not (name == "run" and use == "local"):
            condition["required"] = [key]
        cases.append({"if": condition, "then": {"$ref": f"#/$defs/{its_kind}.{use}"}})
    section: dict[str, Any] = {
        "type": "object",
        "properties": {key: {"enum": [*names, *absent]}},
    }
    if cases:
        section["allOf"] = cases
    if name != "run":
        section["required"] = [key]
    if name in _DESCRIPTIONS:
        section["description"] = _DESCRIPTIONS[name]
    return section


def _several_backbones(plugins: Plugins) -> dict[str, Any]:
    """The section of the backbone where the search chooses among several: their tables, and options for all of them."""
    names = plugins.names("backbones")
    tables = {name: {"type": "object", "description": f"Options for {name} only."} for name in names}
    return {"type": "object", "properties": {"use": {"enum": names}, **tables}}


def _search(plugins: Plugins) -> dict[str, Any]:
    body = options.json_schema(Search)
    body.pop("$defs", None)
    policies = []
    for policy in POLICIES:
        entry = _closed(options.json_schema(policy))
        entry["properties"] = {"use": {"const": policy.name}, **entry.get("properties", {})}
        entry["required"] = ["use", *entry.get("required", [])]
        policies.append(entry)
    body["properties"]["policy"] = {
        "description": options.field_docs(Search)["policy"],
        "oneOf": [{"enum": [policy.name for policy in POLICIES]}, *policies],
    }
    body["properties"]["confirm"] = {
        "description": options.field_docs(Search)["confirm"],
        "default": False,
        "oneOf": [{"type": "boolean"}, _closed(options.json_schema(Confirm))],
    }
    body["properties"]["prefer"] = {
        **_closed(options.json_schema(Prefer)),
        "description": options.field_docs(Search)["prefer"],
    }
    fields = {
        "type": "object",
        "description": "The fields of one backbone to search.",
        "properties": {"use": {"enum": plugins.names("search_spaces")}},
        "additionalProperties": {"oneOf": [_CHOICES, _RANGE]},
    }
    body["properties"]["space"] = {
        "description": options.field_docs(Search)["space"],
        "type": "object",
        "properties": {"use": {"enum": plugins.names("search_spaces")}},
        "additionalProperties": {"oneOf": [_CHOICES, _RANGE, fields]},
    }
    return _closed(body)


def _decision() -> dict[str, Any]:
    body = options.json_schema(Decision)
    body.pop("$defs", None)
    body["properties"]["abstain"] = {
        "description": options.field_docs(Decision)["abstain"],
        **_closed(options.json_schema(Abstain)),
    }
    return _closed(body)


def _closed(body: dict[str, Any]) -> dict[str, Any]:
    """An object that allows no further keys."""
    return {**body, "type": "object", "additionalProperties": False}
