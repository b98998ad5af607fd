"""Where the plugins of this process come from, what they are made of, and what they bring: for records, and for whoever asks.

The hash is over the files of a plugin's package as they lie on the disk, not as an installer listed them: it tells one release from
another, and a file that was changed by hand from both. A checkout and a wheel of the same files have the same hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ftkit._version import API
from ftkit.bundled_plugins import CORE
from ftkit.disclosure import without_secrets
from ftkit.plugins import Plugins, api

WRITTEN_BY_PYTHON = "__pycache__"
"""A folder in packages that no installer wrote."""


@dataclass(frozen=True)
class Installed:
    """One plugin: what it is called, where it comes from and what it brings."""

    name: str
    """Its distribution, or its module where there is none."""
    version: str
    api: str
    """The number of the plugin API that it requires; empty where it does not say."""
    origin: str
    """How it was installed, as far as the installer wrote it down."""
    sha256: str
    """Over names and contents of the files of its package."""
    brings: Mapping[str, tuple[str, ...]]
    """The names of its components by hook, with no names for the hooks of observers and watchers."""


def installed(plugins: Plugins) -> list[Installed]:
    """The plugins of this process that have an entry point, ftkit first."""
    described = [_described(plugins, owner, entry) for owner, entry in plugins.entries.items()]
    return sorted(described, key=lambda each: (each.name != "ftkit", each.name))


def hashes(plugins: Plugins) -> dict[str, dict[str, str]]:
    """Version and hash of every plugin of this process by its name, as a promotion record names them."""
    return {each.name: {"version": each.version, "sha256": each.sha256} for each in installed(plugins)}


def _described(plugins: Plugins, owner: str, entry: EntryPoint) -> Installed:
    brings: dict[str, tuple[str, ...]] = dict.fromkeys(plugins.hooks_of(owner), ())
    for offer in plugins.offers:
        if offer.plugin == owner:
            brings[offer.kind] = (*brings.get(offer.kind, ()), offer.name)
    name, _, version = owner.partition(" ")
    return Installed(
        name if entry.dist else entry.value,
        version.partition(" ")[0] if entry.dist else "",
        api.stated(entry) or (str(API) if entry.dist and name == CORE else ""),
        _origin(entry),
        _hash(entry.module),
        brings,
    )


def _origin(entry: EntryPoint) -> str:
    """How the distribution of an entry point was installed. Source: PyPA, direct_url.json."""
    if entry.dist is None:
        return "no distribution"
    try:
        written: dict[str, Any] = json.loads(entry.dist.read_text("direct_url.json") or "{}")
        url = without_secrets(str(written.get("url", "")))
        if not url:
            return "by its name"
        place = unquote(urlsplit(url).path) if url.startswith("file:") else url
        if "vcs_info" in written:
            return f"{place} at {written['vcs_info'].get('commit_id', '?')[:12]}"
        return f"{place}, editable" if written.get("dir_info", {}).get("editable") else place
    except (OSError, ValueError, AttributeError, TypeError):
        return "unknown"


def _hash(module: str) -> str:
    """SHA-256 over names and contents of the files of the package that a module is in, by its name."""
    digest = hashlib.sha256()
    for name, path in sorted(_files(module.partition(".")[0])):
        digest.update(f"{name}\0".encode(errors="surrogateescape"))
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _files(package: str) -> Iterator[tuple[str, Path]]:
    spec = find_spec(package)
    for folder in map(Path, spec.submodule_search_locations or () if spec else ()):
        for path in folder.rglob("*"):
            if path.is_file() and WRITTEN_BY_PYTHON not in path.parts:
                yield path.relative_to(folder).as_posix(), path
    if spec and not spec.submodule_search_locations and spec.origin and Path(spec.origin).is_file():
        yield Path(spec.origin).name, Path(spec.origin)
