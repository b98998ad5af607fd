"""Microsoft's published schemas for request bodies, which show what Azure Resource Manager would accept.

The schemas are no part of the project; they are in the shared test data, one file for each api-version.

Source: Microsoft, "azure-resource-manager-schemas", Microsoft.MachineLearningServices.
"""

from __future__ import annotations

import functools
import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
from referencing import Registry
from referencing.jsonschema import DRAFT4

from tests.azure.messages import Request, Response
from tests.azure.workspace import MANAGEMENT, PROVIDER

_COMMON = "https://schema.management.azure.com/schemas/common/definitions.json"
_EXPRESSION = f"{_COMMON}#/definitions/expression"
_ADDRESS = re.compile(rf"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/{re.escape(PROVIDER)}/(.+)", re.IGNORECASE)

ALLOWED = ("properties.properties.hash_version",)
"""Where the SDK itself violates the schema: it sends a number where a text is required."""

_OLDER = ("2020-02-02",)
"""Versions that only the older SDK uses; the archive has no schema for them."""


class Schemas:
    """The schemas of every api-version, read from the archive as they are needed."""

    def __init__(self, archive: Path) -> None:
        self._archive = archive
        self.checked = 0
        """Bodies that were compared with a schema."""

    def inspect(self, request: Request, response: Response) -> list[str]:
        """The errors in the body of a request that creates or changes a resource of a workspace."""
        address = _ADDRESS.fullmatch(request.path)
        if (request.host, request.method) != (MANAGEMENT, "PUT") or not address:
            return []
        parts = address[1].split("/")
        version, kind = request.query.get("api-version", ""), "_".join(parts[0::2])
        document = _document(self._archive, version)
        if document is None and version in _OLDER:
            return []
        if document is None:
            return [f"there is no schema for api-version {version}"]
        schema = document["resourceDefinitions"].get(kind)
        if schema is None:
            return [f"{kind.replace('_', '/')} does not exist in api-version {version}"]
        self.checked += 1
        body = {
            **_without_nulls(request.json),
            "name": parts[-1],
            "type": f"{PROVIDER}/{kind.replace('_', '/')}",
            "apiVersion": version,
        }
        whole = {"$schema": "http://json-schema.org/draft-04/schema#", "definitions": document["definitions"], **schema}
        errors = jsonschema.Draft4Validator(whole, registry=_registry(self._archive)).iter_errors(body)
        violations = [f"{'.'.join(map(str, error.absolute_path)) or 'the body'}: {_deepest(error)}" for error in errors]
        problems = [*violations, *_Unknown(document).keys(schema, body)]
        return [
            each
            for each in problems
            if not each.startswith(ALLOWED) and not any(f"[{name}]" in each for name in ALLOWED)
        ]


class _Unknown:
    """Finds keys that a schema does not know: schemas made from Swagger allow any keys, so misspelt ones would pass."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def keys(self, schema: Mapping[str, Any], value: Any, place: str = "") -> list[str]:
        return list(self._search(schema, value, place, {}))

    def _search(self, schema: Mapping[str, Any], value: Any, place: str, inherited: Mapping[str, Any]) -> Iterator[str]:
        schema = self._resolved(schema)
        if isinstance(value, list):
            for index, each in enumerate(value):
                yield from self._search(schema.get("items", {}), each, f"{place}[{index}]", {})
            return
        if not isinstance(value, dict):
            return
        parts = [*(self._resolved(each) for each in schema.get("allOf", [])), schema]
        known = {**inherited, **{name: each for part in parts for name, each in part.get("properties", {}).items()}}
        branches = [self._resolved(each) for part in parts for key in ("oneOf", "anyOf") for each in part.get(key, [])]
        if branches:
            fitting = [each for each in branches if not self._is_other_kind(each, value)]
            branch_problems = [list(self._search(each, value, place, known)) for each in fitting]
            yield from min(
                branch_problems, key=len, default=[f"{place or 'the body'}: it is of no kind that the schema knows"]
            )
            return
        extra = schema.get("additionalProperties")
        if not known and extra is None:
            return
        for name, each in value.items():
            below = f"{place}.{name}" if place else name
            if name in known:
                yield from self._search(known[name], each, below, {})
            elif isinstance(extra, dict):
                yield from self._search(extra, each, below, {})
            elif extra is not True:
                yield f"{below}: the schema does not know this key"

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while schema.get("$ref", "").startswith("#/"):
            definition: Any = self._document
            for part in schema["$ref"][2:].split("/"):
                definition = definition[part]
            schema = definition
        return schema

    def _is_other_kind(self, schema: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
        """Whether a branch requires another constant than the value has, such as another `jobType`."""
        for name, each in schema.get("properties", {}).items():
            for choice in each.get("oneOf", [each]):
                if name in value and len(choice.get("enum", [])) == 1 and value[name] not in choice["enum"]:
                    return True
        return False


@functools.cache
def _document(archive: Path, version: str) -> dict[str, Any] | None:
    document = _member(archive, f"schemas/{version}.json")
    if document is None:
        return None
    for definition in document["definitions"].values():
        # allOf joins a base with its kinds, and the base forbids the keys that the kinds add.
        for part in definition.get("allOf", []):
            if part.get("additionalProperties") is False:
                del part["additionalProperties"]
    return _without_expressions(document)


@functools.cache
def _registry(archive: Path) -> Registry[Any]:
    common = _member(archive, "schemas/common_definitions.json")
    assert common is not None
    common["definitions"]["expression"] = {"not": {}}  # templates may hold expressions, requests cannot
    return Registry().with_resource(_COMMON, DRAFT4.create_resource(common))


@functools.cache
def _members(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as opened:
        return {each.name: opened.extractfile(each).read() for each in opened if each.isfile()}  # type: ignore[union-attr]


def _member(archive: Path, name: str) -> dict[str, Any] | None:
    content = _members(archive).get(name)
    return json.loads(content) if content is not None else None


def _without_expressions(value: Any) -> Any:
    """A schema without the alternative of a template's expression, so that its messages are about the value."""
    if isinstance(value, list):
        return [_without_expressions(each) for each in value]
    if not isinstance(value, dict):
        return value
    value = {name: _without_expressions(each) for name, each in value.items()}
    if isinstance(value.get("oneOf"), list):
        alternatives = [each for each in value["oneOf"] if each.get("$ref") != _EXPRESSION]
        if len(alternatives) == 1 < len(value.pop("oneOf")):
            return {**alternatives[0], **({} if "$ref" in alternatives[0] else value)}
        value["oneOf"] = alternatives
    return value


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


def _deepest(error: jsonschema.ValidationError) -> str:
    while error.context:
        error = jsonschema.exceptions.best_match(error.context) or error
    return f"[{'.'.join(map(str, error.absolute_path))}] {error.message[-260:]}"
