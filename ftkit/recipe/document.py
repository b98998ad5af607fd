"""A recipe's values with `--set KEY=VALUE` and its shorthands applied, and where each value was written."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ftkit.errors import Problem
from ftkit.formatting import beginning
from ftkit.recipe.toml_lines import Key

DEEPEST = 32
"""How many times lists and tables of a recipe may lie in each other."""
_INDEX = re.compile(r"[0-9]{1,6}")
TOO_DEEP = f"lists and tables lie in each other more than {DEEPEST} times"


@dataclass
class Document:
    """A recipe's values, and for every key the place where it was written."""

    values: dict[str, Any]
    file: str
    """The recipe's name in messages."""
    base: Path
    """The folder where relative paths of the file start."""
    lines: Mapping[Key, int] = field(default_factory=dict)
    """The line of each key of the file."""
    overridden: dict[Key, str] = field(default_factory=dict)
    """Keys that an override set, and the override as it was written."""
    moved_from: dict[Key, Key] = field(default_factory=dict)
    """Keys whose values were merged in from another table, such as a target's own sub-table, and their keys there."""

    def where(self, key: Key) -> str:
        """FILE:LINE of a key, or of the nearest key above it that has a line, or the override that set it."""
        key = self.written_key(key)
        above = [key[:end] for end in range(len(key), -1, -1)]
        # An override replaces a value whole: what the file has at and below its key is gone.
        if override := next((self.overridden[each] for each in above if each in self.overridden), ""):
            return override
        return f"{self.file}:{next((self.lines[each] for each in above if each and each in self.lines), 1)}"

    def base_folder(self, key: Key) -> Path:
        """The folder where a relative path of this key starts: the recipe's, or for an override the working folder."""
        key = self.written_key(key)
        is_override = any(key[:end] in self.overridden for end in range(1, len(key) + 1))
        return Path.cwd() if is_override else self.base

    def written_key(self, key: Key) -> Key:
        """The key as the recipe's author wrote it: another one where the value was merged in from another table."""
        ends = range(len(key), 0, -1)
        return next((self.moved_from[key[:end]] + key[end:] for end in ends if key[:end] in self.moved_from), key)

    def override(self, overrides: Mapping[str, Any] | Sequence[str], problems: list[Problem]) -> None:
        """Set dotted keys; a later override wins. Those that cannot be set are added to `problems`."""
        if isinstance(overrides, Mapping):
            pairs = [(key, value, f"overrides[{key!r}]") for key, value in overrides.items()]
        else:
            pairs = []
            for text in overrides:
                key, equals, value = text.partition("=")
                if not equals or not key.strip():
                    hint = "For example --set backbone.epochs=1."
                    problems.append(Problem(f"--set {beginning(text, 100)}", "", "not of the form KEY=VALUE", hint))
                    continue
                pairs.append((key.strip(), parse(value), f"--set {beginning(text, 100)}"))
        for key, value, source in pairs:
            parts: Key = tuple(int(part) if _INDEX.fullmatch(part) else part for part in key.split("."))
            if len(parts) > DEEPEST:
                problems.append(Problem(source, beginning(key, 100), TOO_DEEP))
            elif problem := self._set(parts, _toml_value(value)):
                problems.append(Problem(source, key, problem))
            else:
                self.overridden[parts] = source

    def _set(self, key: Key, value: Any) -> str:
        """Set one value; returns what is wrong with the key, or nothing."""
        holder: Any = self.values
        for part, following in zip(key, key[1:], strict=False):
            if isinstance(holder, list):
                if not isinstance(part, int) or part >= len(holder):
                    return f"the list has {len(holder)} entries, counted from 0; {part!r} is not one of them"
                holder = holder[part]
            elif isinstance(holder, dict):
                holder = holder.setdefault(str(part), [] if isinstance(following, int) else {})
            else:
                break
        last = key[-1]
        if isinstance(holder, list):
            if not isinstance(last, int) or last > len(holder):
                return f"the list has {len(holder)} entries, counted from 0; {last!r} is not one of them"
            holder[last : last + 1] = [value]
            return ""
        if not isinstance(holder, dict):
            return "a part of the key before the last one is not a table"
        holder[str(last)] = value
        return ""


def parse(text: str) -> Any:
    """A value in TOML; anything that is not valid TOML is text, so that words need no quotes."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
        return text if too_deep(value) or next(too_long(value), None) is not None else value
    except (ValueError, RecursionError):  # of a number with thousands of digits, and of a list in a thousand lists
        return text


def too_deep(value: Any, deepest: int = DEEPEST) -> bool:
    """Whether lists and tables lie in each other more than `deepest` times."""
    level = [value]
    for _ in range(deepest + 1):
        level = [
            item
            for each in level
            for item in (each.values() if isinstance(each, dict) else each if isinstance(each, list) else ())
        ]
    return bool(level)


def too_long(value: Any, key: Key = ()) -> Iterator[Key]:
    """Keys of whole numbers that no computer's register holds: TOML has 64 bits. Their digits may be too many even to be printed."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        yield key
    for part, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from too_long(item, (*key, part))


def _toml_value(value: Any) -> Any:
    """A Python value in the types that TOML has."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _toml_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_toml_value(item) for item in value]
    return value
