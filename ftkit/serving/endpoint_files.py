"""What the endpoints of every deployer keep in files: names that are folders too, the key of callers, and copies of bundles."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from pathlib import Path
from typing import Any

from ftkit import files
from ftkit.bundle import bundle as bundles
from ftkit.contracts import NATIVE
from ftkit.errors import DeployError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
"""What endpoints and deployments may be called: they name folders."""


def check_name(name: str, what: str) -> None:
    """Raises: ValueError for a name that an endpoint or deployment cannot have."""
    if not NAME.fullmatch(name):
        raise ValueError(
            f"{what} {name!r} is no name: use at most 63 letters, digits, dots, dashes and underscores, a letter or digit first"
        )


def make_key(path: Path) -> str:
    """The key in this file, made at first use, for the user's eyes only."""
    if key := read_key(path):
        return key
    key = secrets.token_urlsafe(32)
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(key + "\n")
    os.replace(partial, path)
    return key


def read_key(path: Path) -> str:
    """The key in this file; empty when none was made. Raises: DeployError for a file that holds no key."""
    try:
        key = path.read_bytes().strip()
    except FileNotFoundError:
        return ""
    if not re.fullmatch(rb"[!-~]*", key):
        raise DeployError(
            "the endpoint's key cannot be read: it has characters that no header can hold",
            where=str(path),
            hint="Remove the file and run the recipe again: a new key is made, which callers then need.",
        )
    return key.decode("ascii")


def store_bundle(bundle: Path, target: Path, engine: str = NATIVE) -> str:
    """Store a bundle for a deployment, by hard links where the disk allows it; returns its hash.

    Raises: DeployError for a bundle that may not be deployed by this engine, and for a full disk; BundleError for a
    damaged one, or one without the engine.
    """
    opened = bundles.cleared(bundle, engine)
    try:
        with files.atomic_folder(target) as partial:
            shutil.copytree(opened.folder, partial, dirs_exist_ok=True, copy_function=_link)
        return opened.hash
    except OSError as error:  # shutil.Error is one
        shutil.rmtree(target.parent, ignore_errors=True)
        raise DeployError(
            f"the bundle cannot be copied to the endpoint: {error.strerror or error}",
            str(bundle),
            f"Check that the bundle exists and that the disk of {target.parent} has room.",
        ) from error


def _link(source: Any, target: Any) -> Any:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target
