"""Digests beside the files of a run's folders, by which a changed byte is noticed when they are read."""

from __future__ import annotations

from pathlib import Path

from ftkit import files, strict_json

NAME = "digests.json"


def seal(folder: Path) -> None:
    """Write the digests of all files of a folder. Raises: OSError."""
    files.write_json(folder / NAME, {path.name: files.sha256(path) for path in folder.iterdir() if path.is_file()})


def check(path: Path) -> None:
    """Compare a file with its digest; older folders have none. Raises: OSError; ValueError for another content."""
    digests = path.parent / NAME
    if digests.is_file() and strict_json.read_object(digests).get(path.name) != files.sha256(path):
        raise ValueError(f"{path.name} was changed since it was written")
