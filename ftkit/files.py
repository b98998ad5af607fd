"""Files and folders that are either complete or not there, and the folders where ftkit keeps its own."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import shutil
import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def home() -> Path:
    """The folder of runs, endpoints and the local registry: FTKIT_HOME, or the user's data directory."""
    if chosen := os.environ.get("FTKIT_HOME"):
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("ftkit", appauthor=False))


def cache() -> Path:
    """The folder of downloads: FTKIT_CACHE, or the user's cache directory."""
    if chosen := os.environ.get("FTKIT_CACHE"):
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("ftkit", appauthor=False))


def expanded(path: str | Path) -> Path:
    """A path with the home of the user it begins with, as `~` and `~name`; as it is where there is no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def exists(path: Path) -> bool:
    """Whether there is a file or folder; also for a path that no file can have, such as one whose name is too long."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def no_path(path: str | Path) -> str:
    """Why no file can have this path, as a part of a sentence; empty if one can."""
    if "\0" in str(path):
        return "it has the character NUL"
    longest = max((len(os.fsencode(part)) for part in Path(path).parts), default=0)
    return f"a name in it has {longest:,} bytes, and a file's name has at most 255" if longest > 255 else ""


def write_text(path: Path, text: str, staging: Path | None = None) -> None:
    """Write a file in one step: readers see the old content or the new, never a part. Raises: OSError.

    `staging` is a folder on the same disk for the unfinished file, where an interrupted run must leave nothing in the
    file's own folder.
    """
    write_parts(path, (text.encode("utf-8"),), staging)


def write_parts(path: Path, parts: Iterable[bytes], staging: Path | None = None) -> None:
    """The same for content that is made part by part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = (staging or path.parent) / f".{path.name}.{uuid.uuid4().hex[:8]}.partial"
    try:
        with partial.open("wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON with `write_text`, keys sorted, so that equal values give equal files."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which gets its name, replacing an older one, only when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    partial.mkdir()
    try:
        yield partial
        for file in partial.rglob("*"):
            if file.is_file():
                with file.open("rb") as content:
                    os.fsync(content.fileno())
        _replace_folder(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _replace_folder(new: Path, path: Path) -> None:
    """Move a folder to `path`; an older one there is removed only when the new one has its place."""
    old = new.with_suffix(".old")
    try:
        os.replace(path, old)
    except FileNotFoundError:
        os.replace(new, path)
        return
    try:
        os.replace(new, path)
    except BaseException:
        os.replace(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def sweep(folder: Path, name: str = "*") -> None:
    """Remove what processes that were killed have left half written in a folder and below it, of files of this name.

    To be called by whoever alone writes there at this moment.
    """
    for pattern in (f".{name}.partial*", f".{name}.old"):
        for path in sorted(folder.rglob(pattern)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def matching(path: Path) -> list[Path]:
    """The file or folder of a path, or the files of a pattern such as `rows-*.csv`, sorted; empty where there is none."""
    if exists(path):
        return [path]
    if not is_pattern(path):
        return []
    return sorted(each for name in glob.glob(str(path), recursive=True) if (each := Path(name)).is_file())


def is_pattern(path: Path) -> bool:
    """Whether a path stands for several files: it has `*`, `?` or `[`, and no file has it as its name."""
    return glob.has_magic(str(path)) and not exists(path)


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal. Raises: OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tail(path: Path, lines: int) -> str:
    """The last lines of a file, or nothing when it does not exist."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 400 * max(lines, 1)))
            last_lines = deque(file.read().decode("utf-8", "replace").splitlines(), maxlen=max(lines, 0))
    except FileNotFoundError:
        return ""
    return "\n".join(last_lines)
