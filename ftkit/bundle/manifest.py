"""Holds a bundle's manifest to the types of its entries, before anything relies on them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ftkit import pairs
from ftkit.contracts import TASKS
from ftkit.contracts.deciding import answer_rule
from ftkit.contracts.tasks import SINGLE_LABEL


def check(manifest: Mapping[str, Any]) -> None:
    """Raises: KeyError, TypeError, ValueError for an entry that is missing or of another type."""
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
        manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
        return tuple(manifest.get("fields", pairs.TEXT))
    except (OSError, ValueError):
        return pairs.TEXT


def _names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)
