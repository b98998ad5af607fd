"""How a bundle gets to where the cluster reads it: by a folder that is mounted here, or by a command."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from ftkit import files
from ftkit.errors import DeployError
from ftkit.redaction import redacted
from ftkit_kserve.options import KServeOptions

HOURS = 3600.0
"""Seconds that an upload may take."""


def store(options: KServeOptions, deployment: str, bundle: Path) -> None:
    """Copy a verified bundle to the storage. Raises: DeployError, nothing half-copied in a folder."""
    if options.mount:
        _copy(options, deployment, bundle)
    else:
        _upload(options, deployment, bundle)


def remove(options: KServeOptions, deployment: str) -> None:
    """Remove the copy of a deployment that is gone; what a command has uploaded stays."""
    if options.mount:
        shutil.rmtree(_folder(options) / deployment, ignore_errors=True)
        if (folder := _folder(options)).is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _folder(options: KServeOptions) -> Path:
    return Path(options.mount).expanduser() / options.endpoint


def _copy(options: KServeOptions, deployment: str, bundle: Path) -> None:
    mount = Path(options.mount).expanduser()
    if not mount.is_dir():
        hint = f"Mount {options.storage} there, or set deploy.upload to a command that copies."
        raise DeployError("the folder of the storage is not there", str(mount), hint)
    try:
        remove(options, deployment)  # of an attempt that was killed
        with files.atomic_folder(_folder(options) / deployment) as partial:
            shutil.copytree(bundle, partial, dirs_exist_ok=True)
            for path in (partial, *partial.rglob("*")):  # pods are other users than this one
                path.chmod(0o755 if path.is_dir() else 0o644)
        _folder(options).chmod(0o755)
    except OSError as error:  # shutil.Error is one
        raise DeployError(
            f"the bundle cannot be copied to the storage: {error.strerror or error}",
            str(mount),
            "Check that the folder may be written and has room.",
        ) from error


def _upload(options: KServeOptions, deployment: str, bundle: Path) -> None:
    uri = options.uri(deployment)
    command = [part.replace("{folder}", str(bundle)).replace("{uri}", uri) for part in options.upload]
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
