"""From a TOML recipe to a `Plan`; all mistakes are reported at once, each with its place, its key and how to fix it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ftkit import files, plugins
from ftkit.contracts.plan import Plan
from ftkit.errors import Problem, RecipeError, UsageError
from ftkit.plugins import Plugins
from ftkit.recipe.components import dotted
from ftkit.recipe.document import TOO_DEEP, Document, too_deep, too_long
from ftkit.recipe.plugin_choice import absent_plugins, chosen_plugins
from ftkit.recipe.reader import Reader
from ftkit.recipe.toml_lines import line_numbers

__all__ = ["Plan", "load", "loads"]

_LONGEST = 2**20
"""Characters that a recipe may have."""
_TOO_LONG = "a whole number has at most 64 bits"
_FLAT = "A recipe needs a few levels only: see docs/recipes.md."


def load(
    path: str | Path,
    overrides: Mapping[str, Any] | Sequence[str] | None = None,
    *,
    on: str | None = None,
    deploy: str | None = None,
    offline: bool = False,
    fresh: bool = False,
) -> Plan:
    """Read a recipe file, apply overrides, and check all of it.

    `path` may be the name of a recipe that comes with ftkit, such as `quickstart`: see `located`.
    Raises: UsageError when the file cannot be read; RecipeError with every mistake; PluginError.
    """
    path = located(path)
    shorthands = [f"run.on={on}"] * (on is not None) + [f"deploy.use={deploy}"] * (deploy is not None)
    shorthands += ["run.offline=true"] * offline
    plan = _read(_text(path), str(path), path.absolute().parent, overrides or (), shorthands, absent_plugins)
    return replace(plan, path=path.absolute(), fresh=fresh)


def loads(text: str, overrides: Mapping[str, Any] | Sequence[str] | None = None) -> Plan:
    """Make a plan from a recipe's text, such as `Plan.text`; not all plugins that it names need be here. Raises: RecipeError; PluginError."""
    return _read(text, "recipe", Path.cwd(), overrides or (), ())


def located(recipe: str | Path) -> Path:
    """The file of a recipe: a name alone is NAME.toml in the current folder, or else the recipe of that name that comes with ftkit."""
    path, name = Path(recipe), str(recipe)
    if (files.exists(path) and path.is_file()) or path.name != name or path.suffix == ".toml":
        return path
    here = Path(f"{name}.toml")
    return here if files.exists(here) else bundled().get(name, path)


def bundled() -> dict[str, Path]:
    """The recipes that come with ftkit, by name."""
    package = Path(__file__).parent.parent
    for folder in (package / "recipes", package.parent / "recipes"):
        if folder.is_dir():
            return {path.stem: path for path in sorted(folder.glob("*.toml"))}
    return {}


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:  # a device may have no end
            text = file.read(_LONGEST + 1)
    except FileNotFoundError:
        names = sorted(file.name for file in path.parent.glob("*.toml")) if path.parent.is_dir() else []
        hint = f"The folder has {', '.join(names)}." if names else "Give the path of a TOML file."
        hint += f" ftkit comes with {', '.join(bundled())}."
        raise UsageError("there is no such recipe", where=str(path), hint=hint) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the recipe cannot be read: {error}", where=str(path)) from error
    if len(text) > _LONGEST:
        raise UsageError(f"this is no recipe: it has more than {_LONGEST:,} characters", where=str(path))
    return text


def _read(
    text: str,
    file: str,
    base: Path,
    overrides: Mapping[str, Any] | Sequence[str],
    shorthands: Sequence[str],
    check: Callable[[Document, Plugins], Iterable[Problem]] | None = None,
) -> Plan:
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, _, place = str(error).partition(" (at ")
        named = re.search(r"line (\d+)", place)
        where = f"{file}:{named.group(1) if named else text.count(chr(10)) + 1}"
        hint = "Text needs quotes; a table begins with [name]. See toml.io for the format."
        raise RecipeError([Problem(where, "", f"not valid TOML: {message}", hint)]) from error
    except ValueError as error:  # Python reads no number of so many digits
        digits = re.search(r"[0-9][0-9_]{4000,}", text)
        line = text.count("\n", 0, digits.start()) + 1 if digits else 1
        hint = "Numbers of a recipe have a few digits; text needs quotes."
        raise RecipeError([Problem(f"{file}:{line}", "", "a number has thousands of digits", hint)]) from error
    except RecursionError as error:
        raise RecipeError([Problem(f"{file}:1", "", TOO_DEEP, _FLAT)]) from error
    if too_deep(values):
        raise RecipeError([Problem(f"{file}:1", "", TOO_DEEP, _FLAT)])
    document = Document(values, file, base, line_numbers(text))
    if long := [Problem(document.where(key), dotted(key), _TOO_LONG) for key in too_long(values)]:
        raise RecipeError(long)
    problems: list[Problem] = []
    document.override(overrides, problems)
    document.override(shorthands, problems)
    installed = plugins.choose(chosen_plugins(document))
    problems += check(document, installed) if check else ()
    reader = Reader(document, installed, problems)
    plan = reader.plan()
    if reader.problems or plan is None:
        raise RecipeError(sorted(reader.problems, key=_in_file_order))
    return plan


def _in_file_order(problem: Problem) -> tuple[bool, int]:
    line = problem.where.rpartition(":")[2]
    return (not line.isdigit(), int(line) if line.isdigit() else 0)
