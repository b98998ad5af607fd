"""A plugin of one's own to begin with: the templates of its kind under other names.

The templates are plugins themselves, which are called `seedling`: a folder for each kind, and `shared` for what all have.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from ftkit._version import API, __version__
from ftkit.errors import UsageError
from ftkit.scaffold.kinds import templates, templates_of
from ftkit.scaffold.names import Names, checked
from ftkit.scaffold.written import write_folder

USE = "use.md"
"""The part of the README that says how the component is used."""

EXTRAS = {"deployers": "[serving]", "platforms": "[search]"}
"""The extras of ftkit that a kind needs."""


def write(kind: str, name: str, folder: Path | None = None) -> tuple[Names, Path]:
    """Write a plugin of a kind; without a folder, into one with the name of its distribution. Returns its names and the folder.

    Raises: UsageError; nothing is left behind.
    """
    source = templates_of(kind)
    code = {path.name: path.read_text(encoding="utf-8") for path in sorted(source.glob("*/*.py"))}
    names = checked(name, source.name, "\n".join(code.values()))
    words = _words(names, source, code["__init__.py"])
    texts = {}
    for base in (templates() / "shared", source):
        for path in _files(base):
            place = path.relative_to(base).as_posix().replace("test_seedling", f"test_{names.module}")
            texts[_filled(place, words)] = _filled(path.read_text(encoding="utf-8"), words)
    folder = folder or Path(names.distribution)
    write_folder(folder, texts)
    return names, folder


def _words(names: Names, source: Path, code: str) -> dict[str, str]:
    """What stands in the templates, and what takes its place."""
    words = {
        "ftkit_seedling": names.package,
        "FTKIT_SEEDLING": names.package.upper(),
        "Seedling": names.title,
        "seedling": names.component,
    }
    return {
        "SEEDLING_DESCRIPTION": (ast.get_docstring(ast.parse(code)) or "").partition("\n")[0],
        "SEEDLING_REQUIREMENT": f"ftkit{EXTRAS.get(source.name, '')}>={__version__}",
        "SEEDLING_OLDEST": __version__,
        "SEEDLING_API": str(API),
        "SEEDLING_YEAR": str(datetime.now(UTC).year),
        "SEEDLING_USE": _filled((source / USE).read_text(encoding="utf-8").strip(), words),
        **words,
    }


def _filled(text: str, words: Mapping[str, str]) -> str:
    """A text with all words replaced at once, so that no replacement is replaced again."""
    return re.sub("|".join(words), lambda match: words[match[0]], text)


def _files(folder: Path) -> Iterator[Path]:
    """The files of a template, without what tools leave beside them. Raises: UsageError."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != USE]
    if not paths:
        raise UsageError("the templates are not installed", where=str(folder), hint="Install ftkit again.")
    for path in paths:
        parents = path.relative_to(folder).parts[:-1]
        if not any(each == "__pycache__" or (each.startswith(".") and each != ".github") for each in parents):
            yield path
