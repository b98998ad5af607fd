"""How a bundle gets to where the cluster reads it: by a folder that is mounted here, or by a command."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from ftkit import files
from ftkit.bundle import bundle as bundles
from ftkit.bundle.bundle import Bundle
from ftkit.errors import BundleError, DeployError
from ftkit.redaction import redacted
from ftkit_kserve.options import HASH, KServeOptions

HOURS = 3600.0
"""Seconds that an upload may take."""


def store(options: KServeOptions, deployment: str, bundle: Bundle) -> None:
    """Copy a verified bundle to the storage. Raises: DeployError, nothing half-copied in a folder."""
    if options.mount:
        _copy(options, deployment, bundle)
    else:
        _upload(options, deployment, bundle)


def remove(options: KServeOptions, deployment: str, bundle_hash: str = "") -> None:
    """Remove the copies of a deployment that is gone, or that of one bundle; what a command has uploaded stays."""
    if options.mount:
        place = _folder(options) / deployment
        shutil.rmtree(place / bundle_hash[:HASH], ignore_errors=True)
        for folder in (place, place.parent):
            with suppress(OSError):  # another bundle or deployment is there
                folder.rmdir()


def _folder(options: KServeOptions) -> Path:
    return Path(options.mount).expanduser() / options.endpoint


def _holds(folder: Path, bundle: Bundle) -> bool:
    try:
        return bundles.verify(folder).hash == bundle.hash
    except BundleError:
        return False


def _copy(options: KServeOptions, deployment: str, bundle: Bundle) -> None:
    mount = Path(options.mount).expanduser()
    if not mount.is_dir():
        hint = f"Mount {options.storage} there, or set deploy.upload to a command that copies."
        raise DeployError("the folder of the storage is not there", str(mount), hint)
    try:
        place = _folder(options) / deployment / bundle.hash[:HASH]
        if _holds(place, bundle):  # of an attempt that was killed, or of another client, whose pods may read it
            return
        shutil.rmtree(place, ignore_errors=True)
        with files.atomic_folder(place) as partial:
            shutil.copytree(bundle.folder, partial, dirs_exist_ok=True)
            for path in (partial, *partial.rglob("*")):  # pods are other users than this one
                path.chmod(0o755 if path.is_dir() else 0o644)
        for path in (place.parent, _folder(options)):
            path.chmod(0o755)
    except OSError as error:  # shutil.Error is one
        raise DeployError(
            f"the bundle cannot be copied to the storage: {error.strerror or error}",
            str(mount),
            "Check that the folder may be written and has room.",
        ) from error


def _upload(options: KServeOptions, deployment: str, bundle: Bundle) -> None:
    uri = options.uri(deployment, bundle.hash)
    command = [part.replace("{folder}", str(bundle.folder)).replace("{uri}", uri) for part in options.upload]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=HOURS, stdin=subprocess.DEVNULL)
    except FileNotFoundError as error:
        raise DeployError(
            f"there is no command {command[0]!r}", "deploy.upload", "Install it, or set mount."
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeployError(f"the upload broke off: {redacted(str(error))[:300]}", "deploy.upload") from error
    if done.returncode:
        last = redacted("\n".join((done.stderr or done.stdout).strip().splitlines()[-5:]))[-600:]
        raise DeployError(
            f"the upload to {uri} ended with exit code {done.returncode}: {last}",
            "deploy.upload",
            "Try the command by hand; it signs in by its own means.",
        )
