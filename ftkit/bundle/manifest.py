"""Holds a bundle's manifest to the types of its entries, before anything relies on them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ftkit import pairs, strict_json
from ftkit.contracts import TASKS
from ftkit.contracts.deciding import answer_rule
from ftkit.contracts.tasks import SINGLE_LABEL


def sealed(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest with a digest of all its other entries, by which a change is noticed."""
    return {**manifest, _DIGEST: _digest(manifest)}


def check(manifest: Mapping[str, Any]) -> None:
    """Raises: KeyError, TypeError, ValueError for an entry that is missing, changed or of another type.

    Older manifests have no digest.
    """
    if manifest.get(_DIGEST, digest := _digest(manifest)) != digest:
        raise ValueError("an entry was changed")
    if not isinstance(manifest["backbone"]["use"], str):
        raise TypeError("the backbone has no name")
    if not _names(manifest["classes"]):
        raise TypeError("classes are a list of names")
    if not _names(manifest.get("engines", [])):
        raise TypeError("engines are a list of names")
    if manifest.get("task", SINGLE_LABEL) not in TASKS:
        raise TypeError("the task is none that this ftkit knows")
    fields = manifest.get("fields", ["text"])
    if not _names(fields) or not 1 <= len({*fields}) == len(fields) <= 2:
        raise TypeError("fields are the name of one text, or of two")
    answer_rule(manifest.get("decision", {}))


def damage(missing: Iterable[str], changed: Iterable[str], unlisted: Iterable[str]) -> str:
    """What is wrong with the files of a bundle, with the first of them; empty if nothing is."""
    for what, paths in (
        ("missing", missing),
        ("changed since it was written", changed),
        ("not in the manifest", unlisted),
    ):
        if names := sorted(paths):
            return f"{what}: {', '.join(names[:3])}" + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return ""


def fields_of(bundle: Path) -> tuple[str, ...]:
    """The names of the texts of a row, by a bundle that was verified before; of one that cannot be read the usual one."""
    try:
        if not (bundle / "manifest.json").is_file():
            return pairs.TEXT
        fields = strict_json.read_object(bundle / "manifest.json").get("fields", list(pairs.TEXT))
        return tuple(fields) if _names(fields) else pairs.TEXT
    except (OSError, ValueError):
        return pairs.TEXT


_DIGEST = "digest"


def _digest(manifest: Mapping[str, Any]) -> str:
    entries = {name: value for name, value in manifest.items() if name != _DIGEST}
    return hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()


def _names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)
