"""What the folder of a bundle may hold: plain files, none of which can run code when it is read."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from pathlib import Path

from ftkit.bundle import pickles
from ftkit.errors import BundleError

_FULL = (errno.ENOSPC, errno.EDQUOT)


def names(folder: Path) -> list[str]:
    """Every file below a folder, as sorted relative POSIX paths.

    Raises: BundleError for a link or anything else that is no plain file: what it leads to is not part of the bundle.
    """
    plain, other = [], []
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            other.append(name)
        elif path.is_file():
            plain.append(name)
    if other:
        raise BundleError(
            f"a bundle holds plain files only, and this is a link or no file: {_shown(sorted(other))}",
            where=str(folder),
            hint="Write a copy of the file in its place.",
        )
    return sorted(plain)


def check(folder: Path, files: Iterable[str], backbone: str) -> None:
    """Look into these files of a folder for pickles. `backbone` wrote the model.

    Raises: BundleError naming the files; OSError.
    """
    wrong = [f"{name} ({finding})" for name in files if (finding := pickles.finding(folder / name))]
    if wrong:
        from ftkit.plugins.titles import title

        raise BundleError(
            f"the model of {title('backbones', backbone)} holds what can run code when it is read: {_shown(wrong)}",
            where=str(folder),
            hint="Its classifier's `save` must write safetensors, JSON, text or numpy arrays of numbers, each file unpacked; "
            "a bundle with a pickle is neither written nor read.",
        )


def _shown(listed: list[str]) -> str:
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")


def unwritable(folder: Path, error: OSError) -> BundleError:
    """The error of a bundle for which the disk has no room, or its folder no permission."""
    # `shutil.copytree` reports the errors of files as text only.
    if error.errno in _FULL or any(f"[Errno {each}]" in str(error) for each in _FULL):
        return BundleError(
            "the disk is full; the bundle was not written and nothing half-made was left",
            where=str(folder),
            hint="Make room, or set FTKIT_HOME to a larger disk, then give the same command: finished trials are kept.",
        )
    return BundleError(
        f"the bundle cannot be written: {error.strerror or error}",
        where=str(error.filename or folder),
        hint="Check the folder's permissions, then give the same command: finished trials are kept.",
    )
