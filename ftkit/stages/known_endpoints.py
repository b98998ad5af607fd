"""The endpoints this machine has rolled out to, remembered as deployers so that `ftkit endpoint` finds them again."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

from ftkit import files, options, plugins
from ftkit.contracts import Deployer
from ftkit.errors import PluginError, UsageError


def remember(deployer: Deployer) -> None:
    """Note an endpoint and how to reach it; a later note of the same name replaces it."""
    _change(deployer.endpoint, {"use": deployer.name, **options.to_table(deployer)})


def forget(endpoint: str) -> None:
    """Drop the note of an endpoint that is gone."""
    _change(endpoint, None)


def known() -> dict[str, Deployer]:
    """Every remembered endpoint, rebuilt as its deployer; one whose plugin is gone is left out."""
    deployers = {}
    for name, section in _read().items():
        values = dict(section)
        try:
            component = plugins.load().find("deployers", values.pop("use"))
            deployers[name] = options.build(component, values)
        except (PluginError, options.Mistakes):
            continue
    return deployers


def find(name: str | None = None) -> Deployer:
    """The endpoint of that name, or the only one there is. Raises: UsageError saying which there are."""
    endpoints = known()
    if name is None and len(endpoints) == 1:
        return next(iter(endpoints.values()))
    if name in endpoints:
        return endpoints[name]
    if not endpoints:
        raise UsageError("no endpoint has been rolled out from this machine", hint="`ftkit run RECIPE` makes one.")
    names = ", ".join(sorted(endpoints))
    if name is None:
        raise UsageError("there is more than one endpoint", hint=f"Name one of: {names}.")
    near = difflib.get_close_matches(name, endpoints, 1)
    hint = f"Did you mean {near[0]!r}?" if near else f"There are: {names}."
    raise UsageError(f"no endpoint named {name!r} is known on this machine", hint=hint)


def _path() -> Path:
    return files.home() / "endpoints.json"


def _read() -> dict[str, dict[str, Any]]:
    try:
        return json.loads(_path().read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}


def _change(endpoint: str, section: dict[str, Any] | None) -> None:
    import filelock

    files.home().mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(_path().with_suffix(".lock")):
        notes = _read()
        if section is None:
            notes.pop(endpoint, None)
        else:
            notes[endpoint] = section
        files.write_json(_path(), notes)
