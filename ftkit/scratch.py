"""Temporary folders that are removed even if the process that made them is killed: the next one that makes one removes them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_OWNER = "owner"
"""A file in each folder that is locked for as long as the process lives that made it."""


@contextmanager
def folder(prefix: str = "ftkit-", parent: str | None = None) -> Iterator[Path]:
    """A folder for the duration of a block, for the user's eyes only; `parent` is by default the system's temporary folder."""
    import filelock

    place = Path(parent or tempfile.gettempdir())
    _sweep(place, prefix)
    while True:
        made = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
        lock = filelock.FileLock(made / _OWNER)
        try:
            with lock.acquire(timeout=0):
                (made / "work").mkdir()
                yield made / "work"
                return
        except filelock.Timeout:  # another process took it for one that was left behind
            continue
        finally:
            shutil.rmtree(made, ignore_errors=True)


def _sweep(place: Path, prefix: str) -> None:
    """Remove the folders of processes that are gone."""
    import filelock

    for left in place.glob(f"{prefix}*"):
        with suppress(OSError, filelock.Timeout):
            facts = left.lstat()
            ours = not hasattr(os, "getuid") or (facts.st_uid == os.getuid() and not facts.st_mode & 0o077)
            if ours and left.is_dir() and not left.is_symlink() and (left / _OWNER).is_file():
                with filelock.FileLock(left / _OWNER, timeout=0):
                    shutil.rmtree(left, ignore_errors=True)
