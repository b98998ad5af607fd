"""The endpoints that were rolled out from this machine, stored as deployers so that `ftkit endpoint` finds them again."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from ftkit import files, options, plugins, strict_json
from ftkit.contracts import Deployer
from ftkit.errors import PluginError, UsageError


def remember(deployer: Deployer) -> None:
    """Store an endpoint's deployer; it replaces an older one of the same name."""
    _change(deployer.endpoint, {"use": deployer.name, **options.to_table(deployer)})


def forget(endpoint: str) -> None:
    """Remove the entry of an endpoint that is gone."""
    _change(endpoint, None)


def known() -> dict[str, Deployer]:
    """The deployers of all known endpoints by name; those whose plugin is not installed any more are left out."""
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
    """The deployer of the endpoint of that name, or of the only one. Raises: UsageError listing the known endpoints."""
    endpoints = known()
    if name is None and len(endpoints) == 1:
        return next(iter(endpoints.values()))
    if name in endpoints:
        return endpoints[name]
    if not endpoints:
        raise UsageError("no endpoint has been rolled out from this machine", hint="`ftkit run RECIPE` creates one.")
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
        sections = strict_json.read_object(_path())
    except (FileNotFoundError, ValueError):
        return {}
    return {
        name: section
        for name, section in sections.items()
        if isinstance(section, dict) and isinstance(section.get("use"), str)
    }


def _change(endpoint: str, section: dict[str, Any] | None) -> None:
    import filelock

    files.home().mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(_path().with_suffix(".lock")):
        for unfinished in files.home().glob(f".{_path().name}.*.partial"):
            unfinished.unlink(missing_ok=True)
        sections = _read()
        if section is None:
            sections.pop(endpoint, None)
        else:
            sections[endpoint] = section
        files.write_json(_path(), sections)
