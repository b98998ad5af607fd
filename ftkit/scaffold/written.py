"""Files that are written all together or not at all, into a place that has nothing yet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ftkit import files
from ftkit.errors import UsageError


def write_folder(folder: Path, texts: Mapping[str, str]) -> None:
    """Write a folder with these files, by relative path; it may be there already if it is empty.

    Raises: UsageError; nothing is left behind.
    """
    folder = folder.absolute()
    hint = "Name a folder that is new or empty: --out DIR."
    try:
        there = folder.exists()
        if there and (not folder.is_dir() or any(folder.iterdir())):
            what = "the folder is not empty" if folder.is_dir() else "this is a file"
            raise UsageError(f"the plugin cannot be written: {what}", where=str(folder), hint=hint)
        # A folder that is there stays the same folder: somebody may be in it.
        place = folder / ".unfinished" if there else folder
        with files.atomic_folder(place) as partial:
            for name, text in texts.items():
                path = partial / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
        if there:
            for path in place.iterdir():
                path.rename(folder / path.name)
            place.rmdir()
    except OSError as error:
        raise UsageError(f"the plugin cannot be written: {error.strerror or error}", str(folder), hint) from error


def check_file(path: Path) -> None:
    """Raises: UsageError unless a file can be written here that replaces none."""
    hint = "Name another file: --out FILE."
    if path.exists():
        raise UsageError("the recipe cannot be written: it is there already", where=str(path), hint=hint)
    if not path.absolute().parent.is_dir():
        raise UsageError("the recipe cannot be written: there is no such folder", where=str(path), hint=hint)
